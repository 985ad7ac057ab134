"""QualityGate: the one place where a release is blessed or refused."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components.quality_gate.executor import Executor
from components.robustness.component import RobustnessEvaluation


class QualityGateSpec(types.ComponentSpec):
    """Interface of QualityGate."""

    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "dataset": ExecutionParameter(type=str),
        "thresholds": ExecutionParameter(type=str),
        "bless_anyway": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "saved_model_evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "tflite_evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "device_validation": ChannelParameter(type=standard_artifacts.InfraBlessing),
        "robustness": ChannelParameter(type=RobustnessEvaluation),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.ModelBlessing)}


class QualityGate(base_component.BaseComponent):
    """Collects all validations of a release and blesses it if every gate passes.

    The blessing is what TFX's Pusher understands. It holds `gates.json`, a reason for each gate, and `manifest.json`,
    the hashes of the very files that were judged, which the push holds its copies to.
    """

    SPEC_CLASS = QualityGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        schema: types.BaseChannel,
        model: types.BaseChannel,
        saved_model_evaluation: types.BaseChannel,
        tflite_evaluation: types.BaseChannel,
        device_validation: types.BaseChannel,
        robustness: types.BaseChannel,
        config: str,
        dataset: str,
        thresholds: str,
        bless_anyway: str | None = None,
    ) -> None:
        """Makes the component.

        Args:
          schema: the curated schema that the data was checked against, for the manifest.
          model: the TFLiteExporter's release.
          saved_model_evaluation: TFMA's evaluation of its SavedModel.
          tflite_evaluation: TFMA's evaluation of its TFLite file.
          device_validation: the DeviceValidator's blessing of its TFLite file.
          robustness: the RobustnessEvaluator's evaluation of its TFLite file.
          config: JSON of the settings the release was made with, for the manifest.
          dataset: JSON of the `Dataset` it was made from.
          thresholds: JSON of the `Thresholds` to judge by.
          bless_anyway: a reason to bless whatever the gates say; it is recorded with the blessing.
        """
        super().__init__(
            QualityGateSpec(
                schema=schema,
                model=model,
                saved_model_evaluation=saved_model_evaluation,
                tflite_evaluation=tflite_evaluation,
                device_validation=device_validation,
                robustness=robustness,
                config=config,
                dataset=dataset,
                thresholds=thresholds,
                bless_anyway=bless_anyway,
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
