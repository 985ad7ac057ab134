"""What TFMA measures, on which slices, and what must be reached."""

import json

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.keys import (
    INK_QUARTILE,
    LABEL,
    PROBABILITIES,
    SERVE_EXAMPLES,
    STROKE_WIDTH,
    TRANSFORM_FEATURES,
)
from pipeline.config import Thresholds

_OVERALL = tfma.SlicingSpec()
_BY_CLASS = tfma.SlicingSpec(feature_keys=[LABEL])
_SLICES = [
    _OVERALL,
    _BY_CLASS,
    tfma.SlicingSpec(feature_keys=[INK_QUARTILE]),
    tfma.SlicingSpec(feature_keys=[STROKE_WIDTH]),
    tfma.SlicingSpec(feature_keys=[LABEL, INK_QUARTILE]),
]


def saved_model_eval_config(classes: int, thresholds: Thresholds) -> tfma.EvalConfig:
    """Returns the evaluation of the SavedModel, by the signature that clients call, on raw examples."""
    model = tfma.ModelSpec(
        signature_name=SERVE_EXAMPLES,
        label_key=LABEL,
        prediction_key=PROBABILITIES,
        preprocessing_function_names=[TRANSFORM_FEATURES],
    )
    return tfma.EvalConfig(model_specs=[model], slicing_specs=_SLICES, metrics_specs=_metrics(classes, thresholds))


def tflite_eval_config(classes: int, thresholds: Thresholds) -> tfma.EvalConfig:
    """Returns the evaluation of the TFLite file, on transformed examples: TFMA takes the pixels from there."""
    model = tfma.ModelSpec(model_type=tfma.TF_LITE, label_key=LABEL)
    return tfma.EvalConfig(model_specs=[model], slicing_specs=_SLICES, metrics_specs=_metrics(classes, thresholds))


def _metrics(classes: int, thresholds: Thresholds) -> list[tfma.MetricsSpec]:
    all_classes = tfma.MetricsSpec(
        metrics=[
            tfma.MetricConfig(class_name="ExampleCount"),
            tfma.MetricConfig(
                class_name="SparseCategoricalAccuracy",
                config=json.dumps({"name": "accuracy"}),
                # Not `threshold=`: TFMA applies that to every slice, not only to all examples together.
                per_slice_thresholds=[
                    _threshold(_OVERALL, thresholds.accuracy, thresholds.accuracy_drop),
                    _threshold(_BY_CLASS, thresholds.class_accuracy, thresholds.class_accuracy_drop),
                ],
            ),
            tfma.MetricConfig(
                class_name="SparseTopKCategoricalAccuracy", config=json.dumps({"name": "top_2_accuracy", "k": 2})
            ),
            tfma.MetricConfig(class_name="SparseCategoricalCrossentropy", config=json.dumps({"name": "cross_entropy"})),
            tfma.MetricConfig(class_name="MultiClassConfusionMatrixPlot"),
        ]
    )
    each_class = tfma.MetricsSpec(
        binarize=config_pb2.BinarizationOptions(class_ids={"values": range(classes)}),
        metrics=[
            tfma.MetricConfig(class_name="Precision"),
            tfma.MetricConfig(class_name="Recall"),
            tfma.MetricConfig(class_name="Calibration"),
        ],
    )
    return [all_classes, each_class]


def _threshold(slices: tfma.SlicingSpec, least: float, drop: float) -> config_pb2.PerSliceMetricThreshold:
    return config_pb2.PerSliceMetricThreshold(
        slicing_specs=[slices],
        threshold=tfma.MetricThreshold(
            value_threshold=tfma.GenericValueThreshold(lower_bound={"value": least}),
            change_threshold=tfma.GenericChangeThreshold(
                direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -drop}
            ),
        ),
    )
