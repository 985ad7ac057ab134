"""Evaluator: TFMA's measurement of one model, and of the baseline on the same examples."""

from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types import standard_component_specs as specs
from tfx.utils import json_utils

from components.evaluator.executor import Executor


class EvaluatorSpec(types.ComponentSpec):
    """TFX's EvaluatorSpec less the blessing, and less what this pipeline does not use."""

    PARAMETERS = {key: specs.EvaluatorSpec.PARAMETERS[key] for key in (specs.EVAL_CONFIG_KEY, specs.EXAMPLE_SPLITS_KEY)}
    INPUTS = specs.EvaluatorSpec.INPUTS
    OUTPUTS = {specs.EVALUATION_KEY: specs.EvaluatorSpec.OUTPUTS[specs.EVALUATION_KEY]}


class Evaluator(base_beam_component.BaseBeamComponent):
    """TFX's Evaluator for a release of several files, of which no one alone may be blessed.

    It measures only: the EvalConfig has no thresholds, and the QualityGate alone judges.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        eval_config: config_pb2.EvalConfig,
        example_splits: list[str],
        schema: types.BaseChannel | None = None,
    ) -> None:
        """Makes the component; the arguments are those of `tfx.components.Evaluator`."""
        super().__init__(
            EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                schema=schema,
                eval_config=eval_config,
                example_splits=json_utils.dumps(example_splits),
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
            )
        )
