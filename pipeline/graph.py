"""The graph: from a dataset to a pushed release, top to bottom."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.components import Pusher, StatisticsGen, Trainer, Transform
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import pipeline
from tfx.proto import pusher_pb2, transform_pb2
from tfx.types import standard_artifacts

from components import fingerprint, provenance
from components.device_validator.component import DeviceValidator
from components.evaluator.component import Evaluator
from components.example_validator.component import ExampleValidator
from components.keys import TEST, TRAIN
from components.pusher.executor import Executor as PusherExecutor
from components.quality_gate.component import QualityGate
from components.resolvers import LatestOtherStrategy, ServedModelStrategy
from components.robustness.component import RobustnessEvaluator
from components.run_report.component import RunReport
from components.tfds_example_gen.component import TFDSExampleGen
from components.tfds_example_gen.datasets import Dataset
from components.tflite_exporter.component import TFLiteExporter
from pipeline import evaluation
from pipeline.config import RunConfig

# Beam's default runner may want to download one of its own.
BEAM_ARGS = ["--runner=DirectRunner", "--direct_running_mode=in_memory"]

_PREPROCESSING_FN = "components.transform.preprocessing.preprocessing_fn"


def create_pipeline(
    config: RunConfig, dataset: Dataset, schema_file: Path, served: Sequence[Path]
) -> pipeline.Pipeline:
    """Composes the pipeline; nothing is written.

    Args:
      config: what to train and what to ask of it.
      dataset: description of `config.dataset`.
      schema_file: the curated schema of that dataset.
      served: version directories of models of that dataset, oldest first; see `serving.version_dir.directories`.
    """
    described = dataset.to_json()
    classes = len(dataset.class_names)

    # What is there to learn from?
    example_gen = _with_code(TFDSExampleGen(dataset=described, data_dir=config.data_dir))
    examples = example_gen.outputs["examples"]

    # Does it look like the data that we know?
    schema_gen = _with_code(ImportSchemaGen(schema_file=str(schema_file)))
    schema_gen.exec_properties["content"] = fingerprint.of_files([schema_file])
    schema = schema_gen.outputs["schema"]
    statistics_gen = _with_code(StatisticsGen(examples=examples, schema=schema))
    statistics = statistics_gen.outputs["statistics"]
    previous_statistics = Resolver(
        strategy_class=LatestOtherStrategy,
        previous=types.Channel(type=standard_artifacts.ExampleStatistics),
        current=statistics,
    ).with_id("PreviousStatistics")
    example_validator = _with_code(
        ExampleValidator(
            examples=examples,
            statistics=statistics,
            previous_statistics=previous_statistics.outputs["previous"],
            schema=schema,
        ),
    )

    # How does an image become what the network sees? Only the test split is written out: TFMA wants it for TFLite.
    transform = _with_code(
        Transform(
            examples=examples,
            schema=schema,
            preprocessing_fn=_PREPROCESSING_FN,
            custom_config={"image_shape": dataset.image_shape},
            splits_config=transform_pb2.SplitsConfig(analyze=[TRAIN], transform=[TEST]),
            disable_statistics=True,
        ),
        _PREPROCESSING_FN,
    )
    transform.add_upstream_node(example_validator)
    transform_graph = transform.outputs["transform_graph"]

    # What can be learned?
    trainer = _with_code(
        Trainer(
            examples=examples,
            transform_graph=transform_graph,
            schema=schema,
            run_fn=config.run_fn,
            custom_config={"dataset": described, "training": config.training.model_dump()},
        ),
        config.run_fn,
    )

    # What would ship?
    exporter = _with_code(
        TFLiteExporter(
            examples=examples,
            transform_graph=transform_graph,
            trained_model=trainer.outputs["model"],
            dataset=described,
            abstention_rate=config.abstention_rate,
            seed=config.training.seed,
        ),
    )
    release = exporter.outputs["model"]

    # How good is it, on images that nothing was chosen by, and against what is served now?
    served_model = Resolver(
        strategy_class=ServedModelStrategy,
        config={"versions": [str(version) for version in served], "dataset": described},
        model=types.Channel(type=standard_artifacts.Model),
        current=release,
    ).with_id("ServedModel")
    baseline = served_model.outputs["model"]
    saved_model_evaluator = _with_code(
        Evaluator(
            examples=examples,
            schema=schema,
            model=release,
            baseline_model=baseline,
            eval_config=evaluation.saved_model_eval_config(classes),
            example_splits=[TEST],
        ).with_id("SavedModelEvaluator"),
    )
    tflite_evaluator = _with_code(
        Evaluator(
            examples=transform.outputs["transformed_examples"],
            model=release,
            baseline_model=baseline,
            eval_config=evaluation.tflite_eval_config(classes),
            example_splits=[TEST],
        ).with_id("TFLiteEvaluator"),
    )

    # Does the very file run where it is meant to, and say the same there?
    device_validator = _with_code(
        DeviceValidator(
            examples=examples,
            model=release,
            dataset=described,
            limits=config.device.model_dump_json(),
            machine=provenance.machine(),
            seed=config.training.seed,
        ),
    )

    # How much does it keep when images get worse?
    robustness_evaluator = _with_code(
        RobustnessEvaluator(
            examples=examples,
            model=release,
            baseline_model=baseline,
            dataset=described,
            seed=config.training.seed,
        ),
    )

    # May it ship?
    quality_gate = _with_code(
        QualityGate(
            schema=schema,
            model=release,
            saved_model_evaluation=saved_model_evaluator.outputs["evaluation"],
            tflite_evaluation=tflite_evaluator.outputs["evaluation"],
            device_validation=device_validator.outputs["blessing"],
            robustness=robustness_evaluator.outputs["evaluation"],
            config=config.recorded(),
            dataset=described,
            thresholds=config.thresholds.model_dump_json(),
            bless_anyway=config.bless_anyway,
        ),
    )

    # Then it does.
    pusher = _with_code(
        Pusher(
            model=release,
            model_blessing=quality_gate.outputs["blessing"],
            push_destination=pusher_pb2.PushDestination(
                filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(config.serving_dir / dataset.name))
            ),
            custom_executor_spec=executor_spec.ExecutorClassSpec(PusherExecutor),
        ),
    )

    # What should a person see of it?
    run_report = _with_code(
        RunReport(
            examples=examples,
            anomalies=example_validator.outputs["anomalies"],
            model_run=trainer.outputs["model_run"],
            variants=exporter.outputs["variants"],
            saved_model_evaluation=saved_model_evaluator.outputs["evaluation"],
            tflite_evaluation=tflite_evaluator.outputs["evaluation"],
            device_validation=device_validator.outputs["blessing"],
            predictions=device_validator.outputs["predictions"],
            robustness=robustness_evaluator.outputs["evaluation"],
            dataset=described,
            seed=config.training.seed,
        ),
    )
    run_report.add_upstream_node(pusher)

    return pipeline.Pipeline(
        pipeline_name=dataset.name,
        pipeline_root=str(config.pipeline_root / dataset.name),
        components=[
            example_gen,
            schema_gen,
            statistics_gen,
            previous_statistics,
            example_validator,
            transform,
            trainer,
            exporter,
            served_model,
            saved_model_evaluator,
            tflite_evaluator,
            device_validator,
            robustness_evaluator,
            quality_gate,
            pusher,
            run_report,
        ],
        enable_cache=True,
        metadata_connection_config=_metadata_connection(config.pipeline_root),
        beam_pipeline_args=[*BEAM_ARGS],
    )


def metadata_file(pipeline_root: Path) -> Path:
    """Returns where ML Metadata of a pipeline root lies."""
    return pipeline_root / "metadata.sqlite"


def _metadata_connection(pipeline_root: Path) -> metadata_store_pb2.ConnectionConfig:
    """Returns the connection to ML Metadata in a SQLite file; TFX's own function for it would make the directory."""
    connection = metadata_store_pb2.ConnectionConfig()
    connection.sqlite.filename_uri = str(metadata_file(pipeline_root))
    connection.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return connection


def _with_code(component: Any, *functions: str) -> Any:
    """Makes the code of a component's executor, and of functions that it calls, part of the cache key.

    TFX leaves both out, and which libraries they run on.
    """
    component.exec_properties["code"] = fingerprint.of_code(component.executor_spec.class_path, *functions)
    return component
