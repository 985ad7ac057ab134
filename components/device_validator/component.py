"""DeviceValidator: does the very file run, as it should, where it is meant to?"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components.device_validator.executor import Executor


class TestPredictions(artifact.Artifact):
    """What both files of a release say of each image of the test split, in order, and the truth."""

    TYPE_NAME = "TestPredictions"


class DeviceValidatorSpec(types.ComponentSpec):
    """Interface of DeviceValidator."""

    PARAMETERS = {
        "dataset": ExecutionParameter(type=str),
        "limits": ExecutionParameter(type=str),
        "machine": ExecutionParameter(type=str),
        "seed": ExecutionParameter(type=int),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {
        "blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
        "predictions": ChannelParameter(type=TestPredictions),
    }


class DeviceValidator(base_component.BaseComponent):
    """Runs the TFLite file in a clean process of each runtime, and holds it against the SavedModel and its budgets.

    The output `blessing` is what TFX's Pusher understands; `device.json` in it has a reason for each gate.
    """

    SPEC_CLASS = DeviceValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        dataset: str,
        limits: str,
        machine: str,
        seed: int,
    ) -> None:
        """Makes the component.

        Args:
          examples: raw `Examples` with the split test.
          model: the TFLiteExporter's release.
          dataset: JSON of a `Dataset`.
          limits: JSON of `DeviceLimits`.
          machine: what the latency is measured on, `provenance.machine()`: a result from another machine does
            not count.
          seed: of the draw of the images that the slow runtimes are run on.
        """
        super().__init__(
            DeviceValidatorSpec(
                examples=examples,
                model=model,
                dataset=dataset,
                limits=limits,
                machine=machine,
                seed=seed,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
                predictions=types.Channel(type=TestPredictions),
            )
        )
