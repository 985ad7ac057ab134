"""What TFMA measures, on which slices, and what must be reached."""

import json

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator import metrics
from components.keys import (
    INK_QUARTILE,
    LABEL,
    PROBABILITIES,
    SERVE_EXAMPLES,
    SLICING_FEATURES,
    TRANSFORM_FEATURES,
)
from pipeline.config import Thresholds

_OVERALL = config_pb2.SlicingSpec()
_BY_CLASS = config_pb2.SlicingSpec(feature_keys=[LABEL])
_SLICES = [
    _OVERALL,
    _BY_CLASS,
    *(config_pb2.SlicingSpec(feature_keys=[feature]) for feature in SLICING_FEATURES),
    config_pb2.SlicingSpec(feature_keys=[LABEL, INK_QUARTILE]),
]


def saved_model_eval_config(classes: int, thresholds: Thresholds) -> config_pb2.EvalConfig:
    """Returns the evaluation of the SavedModel, by the signature that clients call, on raw examples."""
    model = config_pb2.ModelSpec(
        signature_name=SERVE_EXAMPLES,
        label_key=LABEL,
        prediction_key=PROBABILITIES,
        preprocessing_function_names=[TRANSFORM_FEATURES],
    )
    return _eval_config(model, classes, thresholds)


def tflite_eval_config(classes: int, thresholds: Thresholds) -> config_pb2.EvalConfig:
    """Returns the evaluation of the TFLite file, on transformed examples: TFMA takes the pixels from there."""
    model = config_pb2.ModelSpec(model_type=tfma.TF_LITE, label_key=LABEL)
    return _eval_config(model, classes, thresholds)


def _eval_config(model: config_pb2.ModelSpec, classes: int, thresholds: Thresholds) -> config_pb2.EvalConfig:
    specs = _metrics_specs(classes, thresholds)
    return config_pb2.EvalConfig(model_specs=[model], slicing_specs=_SLICES, metrics_specs=specs)


def _metrics_specs(classes: int, thresholds: Thresholds) -> list[config_pb2.MetricsSpec]:
    def metric(class_name: str, name: str, **config: int) -> config_pb2.MetricConfig:
        return config_pb2.MetricConfig(class_name=class_name, config=json.dumps({"name": name, **config}))

    class_metrics = metric("ClassMetrics", metrics.ACCURACY, classes=classes)
    class_metrics.module = metrics.__name__
    # Not `threshold`: TFMA applies that to every slice, not only to all examples together.
    class_metrics.per_slice_thresholds.extend(
        [
            _threshold(_OVERALL, thresholds.accuracy, thresholds.accuracy_drop),
            _threshold(_BY_CLASS, thresholds.class_accuracy, thresholds.class_accuracy_drop),
        ]
    )
    return [
        config_pb2.MetricsSpec(
            metrics=[
                metric("ExampleCount", "example_count"),
                class_metrics,
                metric("SparseTopKCategoricalAccuracy", "top_2_accuracy", k=2),
                metric("SparseCategoricalCrossentropy", "cross_entropy"),
                metric("MultiClassConfusionMatrixPlot", "confusion_matrix"),
            ]
        )
    ]


def _threshold(slices: config_pb2.SlicingSpec, least: float, drop: float) -> config_pb2.PerSliceMetricThreshold:
    return config_pb2.PerSliceMetricThreshold(
        slicing_specs=[slices],
        threshold=config_pb2.MetricThreshold(
            value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": least}),
            change_threshold=config_pb2.GenericChangeThreshold(
                direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -drop}
            ),
        ),
    )
