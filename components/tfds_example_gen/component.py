"""TFDSExampleGen: any image-classification dataset of TensorFlow Datasets as TFX examples."""

from pathlib import Path

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components.tfds_example_gen.executor import Executor


class TFDSExampleGenSpec(types.ComponentSpec):
    """No inputs; the dataset (its fingerprint included) is the cache key."""

    PARAMETERS = {
        "dataset": ExecutionParameter(type=str),
        "data_dir": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {}
    OUTPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}


class TFDSExampleGen(base_beam_component.BaseBeamComponent):
    """Copies TFDS's stored tf.Examples, bytes untouched, into the splits of an `Examples` artifact.

    The artifact's custom properties `dataset`, `version`, `class_names` and `image_shape` tell where it came from.
    """

    SPEC_CLASS = TFDSExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, dataset: str, data_dir: Path | None = None) -> None:
        """Makes the component.

        Args:
          dataset: JSON of a `Dataset`, from `datasets.describe`.
          data_dir: where TFDS keeps prepared datasets; None for TFDS's own default. The dataset must be prepared.
        """
        super().__init__(
            TFDSExampleGenSpec(
                dataset=dataset,
                data_dir=str(data_dir) if data_dir else None,
                examples=types.Channel(type=standard_artifacts.Examples),
            )
        )
