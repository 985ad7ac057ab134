"""RunReport: what a person looks at before signing a release."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components.device_validator.component import TestPredictions
from components.robustness.component import RobustnessEvaluation
from components.run_report.executor import Executor
from components.tflite_exporter.component import TFLiteVariants


class ReportContent(artifact.Artifact):
    """Numbers (`report.json`) and pictures (PNG, SVG) of a run's report; the page is made of them when a run ends."""

    TYPE_NAME = "ReportContent"


class RunReportSpec(types.ComponentSpec):
    """Interface of RunReport."""

    PARAMETERS = {
        "dataset": ExecutionParameter(type=str),
        "seed": ExecutionParameter(type=int),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
        "variants": ChannelParameter(type=TFLiteVariants),
        "saved_model_evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "tflite_evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "device_validation": ChannelParameter(type=standard_artifacts.InfraBlessing),
        "predictions": ChannelParameter(type=TestPredictions),
        "robustness": ChannelParameter(type=RobustnessEvaluation),
    }
    OUTPUTS = {"report": ChannelParameter(type=ReportContent)}


class RunReport(base_component.BaseComponent):
    """Draws what the steps found, whether the release was blessed or refused.

    It depends on data and measurements alone, so that it is cached when these are; verdict, push and the steps' times
    are the run's own, and come in when the run makes its page.
    """

    SPEC_CLASS = RunReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        anomalies: types.BaseChannel,
        model_run: types.BaseChannel,
        variants: types.BaseChannel,
        saved_model_evaluation: types.BaseChannel,
        tflite_evaluation: types.BaseChannel,
        device_validation: types.BaseChannel,
        predictions: types.BaseChannel,
        robustness: types.BaseChannel,
        dataset: str,
        seed: int,
    ) -> None:
        """Makes the component.

        Args:
          examples: raw `Examples` of all splits.
          anomalies: the ExampleValidator's, with what it measured of drift.
          model_run: the Trainer's, with its history and a batch of the images it saw.
          variants: the TFLiteExporter's files of other precisions.
          saved_model_evaluation: TFMA's evaluation of the SavedModel.
          tflite_evaluation: TFMA's evaluation of the TFLite file.
          device_validation: the DeviceValidator's blessing, with what it measured.
          predictions: the DeviceValidator's, of both files on the test split.
          robustness: the RobustnessEvaluator's evaluation.
          dataset: JSON of a `Dataset`.
          seed: of the images that are shown.
        """
        super().__init__(
            RunReportSpec(
                examples=examples,
                anomalies=anomalies,
                model_run=model_run,
                variants=variants,
                saved_model_evaluation=saved_model_evaluation,
                tflite_evaluation=tflite_evaluation,
                device_validation=device_validation,
                predictions=predictions,
                robustness=robustness,
                dataset=dataset,
                seed=seed,
                report=types.Channel(type=ReportContent),
            )
        )
