"""TFLiteExporter: a trained model becomes a release, and TFLite files to compare it with."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components.tflite_exporter.executor import Executor


class TFLiteVariants(artifact.Artifact):
    """TFLite files of one model in several precisions, and `variants.json` with their sizes and hashes."""

    TYPE_NAME = "TFLiteVariants"


class TFLiteExporterSpec(types.ComponentSpec):
    """Interface of TFLiteExporter."""

    PARAMETERS = {
        "dataset": ExecutionParameter(type=str),
        "abstention_rate": ExecutionParameter(type=float),
        "seed": ExecutionParameter(type=int),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
        "trained_model": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "variants": ChannelParameter(type=TFLiteVariants),
    }


class TFLiteExporter(base_component.BaseComponent):
    """Converts to full-integer TFLite and lays out the release that is judged and pushed.

    The output `model` holds what a version directory holds, less the manifest: SavedModel, TFLite file (under the name
    that TFMA looks for), labels, and golden examples of the test split with the outputs that are expected of them.
    """

    SPEC_CLASS = TFLiteExporterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        trained_model: types.BaseChannel,
        dataset: str,
        abstention_rate: float,
        seed: int,
    ) -> None:
        """Makes the component.

        Args:
          examples: `Examples` with the splits train (for calibration), eval (for the threshold of abstention) and test
            (for golden examples).
          transform_graph: Transform's graph, which knows the normalisation.
          trained_model: the Trainer's model, with the bare network beside its SavedModel.
          dataset: JSON of a `Dataset`.
          abstention_rate: part of the eval split's images that the model may abstain from; in 0..1.
          seed: of the draw of calibration and golden images.
        """
        super().__init__(
            TFLiteExporterSpec(
                examples=examples,
                transform_graph=transform_graph,
                trained_model=trained_model,
                dataset=dataset,
                abstention_rate=abstention_rate,
                seed=seed,
                model=types.Channel(type=standard_artifacts.Model),
                variants=types.Channel(type=TFLiteVariants),
            )
        )
