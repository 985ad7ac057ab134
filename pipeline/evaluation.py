"""What TFMA measures, and on which slices. It is given no bounds: the QualityGate alone judges."""

import json

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator import metrics
from components.keys import (
    ACCURACY,
    INK_QUARTILE,
    LABEL,
    PROBABILITIES,
    SERVE_EXAMPLES,
    SLICING_FEATURES,
    TRANSFORM_FEATURES,
)

_SLICES = [
    config_pb2.SlicingSpec(),
    config_pb2.SlicingSpec(feature_keys=[LABEL]),
    *(config_pb2.SlicingSpec(feature_keys=[feature]) for feature in SLICING_FEATURES),
    config_pb2.SlicingSpec(feature_keys=[LABEL, INK_QUARTILE]),
]


def saved_model_eval_config(classes: int) -> config_pb2.EvalConfig:
    """Returns the evaluation of the SavedModel, by the signature that clients call, on raw examples."""
    model = config_pb2.ModelSpec(
        signature_name=SERVE_EXAMPLES,
        label_key=LABEL,
        prediction_key=PROBABILITIES,
        preprocessing_function_names=[TRANSFORM_FEATURES],
    )
    return _eval_config(model, classes)


def tflite_eval_config(classes: int) -> config_pb2.EvalConfig:
    """Returns the evaluation of the TFLite file, on transformed examples: TFMA takes the pixels from there."""
    model = config_pb2.ModelSpec(model_type=tfma.TF_LITE, label_key=LABEL)
    return _eval_config(model, classes)


def _eval_config(model: config_pb2.ModelSpec, classes: int) -> config_pb2.EvalConfig:
    specs = config_pb2.MetricsSpec(metrics=_metrics(classes))
    return config_pb2.EvalConfig(model_specs=[model], slicing_specs=_SLICES, metrics_specs=[specs])


def _metrics(classes: int) -> list[config_pb2.MetricConfig]:
    def metric(class_name: str, name: str, module: str = "", **config: int) -> config_pb2.MetricConfig:
        return config_pb2.MetricConfig(
            class_name=class_name, module=module, config=json.dumps({"name": name, **config})
        )

    return [
        metric("ExampleCount", "example_count"),
        metric("ClassMetrics", ACCURACY, metrics.__name__, classes=classes),
        metric("SparseTopKCategoricalAccuracy", "top_2_accuracy", k=2),
        metric("SparseCategoricalCrossentropy", "cross_entropy"),
        metric("MultiClassConfusionMatrixPlot", "confusion_matrix"),
    ]
