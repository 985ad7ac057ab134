"""RobustnessEvaluator: how much of its accuracy does the file keep when images get worse?"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components.robustness.executor import Executor


class RobustnessEvaluation(artifact.Artifact):
    """Accuracy of the TFLite file on corrupted test images: `robustness.json`."""

    TYPE_NAME = "RobustnessEvaluation"


class RobustnessEvaluatorSpec(types.ComponentSpec):
    """Interface of RobustnessEvaluator."""

    PARAMETERS = {
        "dataset": ExecutionParameter(type=str),
        "seed": ExecutionParameter(type=int),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"evaluation": ChannelParameter(type=RobustnessEvaluation)}


class RobustnessEvaluator(base_component.BaseComponent):
    """Measures the TFLite file, and that of the served model, under the fifteen corruptions of MNIST-C."""

    SPEC_CLASS = RobustnessEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        dataset: str,
        seed: int,
    ) -> None:
        """Makes the component.

        Args:
          examples: raw `Examples` with the split test.
          model: the TFLiteExporter's release.
          baseline_model: the release to compare with.
          dataset: JSON of a `Dataset`.
          seed: of the sample and of the corruptions.
        """
        super().__init__(
            RobustnessEvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                dataset=dataset,
                seed=seed,
                evaluation=types.Channel(type=RobustnessEvaluation),
            )
        )
