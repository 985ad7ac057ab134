"""Running the pipeline: dataset, graph, LocalDagRunner, summary."""

import logging
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from components.errors import DataUnavailableError, StepFailedError, UserError
from components.keys import SCHEMA
from pipeline import workspace
from pipeline.config import DEFAULT_DATASET, SAMPLE_DATASET, RunConfig
from pipeline.console import STEPS, StepLines, waiting
from serving import version_dir

# TFX is imported when a run starts and not before: the command line answers at once.
if TYPE_CHECKING:
    from ml_metadata import MetadataStore
    from tfx.proto.orchestration.pipeline_pb2 import Pipeline

    from components.tfds_example_gen.datasets import Dataset
    from pipeline.summary import Summary

_SCHEMAS = Path(__file__).parent / "schemas"
_KEPT = " Run again to go on from there; finished steps are kept."
_DISK_FULL = ("No space left on device", "disk is full")  # as the system says it, and SQLite


def built_in_schema(dataset: str) -> Path:
    """Returns where the curated schema of a dataset is kept if this program has one."""
    # The sample is of the same kind as what it is a sample of.
    dataset = DEFAULT_DATASET if dataset == SAMPLE_DATASET else dataset
    return _SCHEMAS / f"{dataset.partition(':')[0].replace('/', '_')}.pbtxt"


def schema_file(config: RunConfig) -> Path:
    """Returns the curated schema of the configured dataset.

    Raises:
      UserError: there is none.
    """
    path = config.schema_file or built_in_schema(config.dataset)
    if not path.is_file():
        raise UserError(
            f"No curated schema for {config.dataset!r}: expected the file {path}. Infer one by `mnist-pipeline schema "
            f"--dataset {config.dataset} --output my_schema.pbtxt`, look it over, and pass it by --schema."
        )
    return path


def log_to(log: Path) -> None:
    """Sends the records of all loggers to a file, and to no other place."""
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.INFO)
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.INFO)


def load_dataset(config: RunConfig) -> "tuple[Dataset, dict[str, int]]":
    """Prepares the configured dataset; returns its description and the number of examples a split.

    Raises:
      UserError: see `components.tfds_example_gen.datasets`.
    """
    from components.tfds_example_gen import datasets

    builder = datasets.load_builder(config.dataset, config.data_dir)
    datasets.prepare(builder, config.manual_dir)
    counts = datasets.count_splits(builder, config.splits)
    return datasets.describe(builder, config.splits), counts


def compile_run(config: RunConfig, dataset: "Dataset", run_id: str, served: Sequence[Path]) -> "Pipeline":
    """Returns TFX's intermediate representation of the pipeline, for the run of this id.

    Args:
      config: of the run.
      dataset: description of `config.dataset`.
      run_id: names the run in ML Metadata.
      served: version directories to choose the baseline from; see `serving.version_dir.directories`.
    """
    from tfx.dsl.compiler import compiler, constants
    from tfx.orchestration.portable import runtime_parameter_utils

    from pipeline.graph import create_pipeline

    representation = compiler.Compiler().compile(create_pipeline(config, dataset, schema_file(config), served))
    # LocalDagRunner would name the run itself, and not tell.
    runtime_parameter_utils.substitute_runtime_parameter(
        representation, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    return representation


def learn_what_is_served(store: "MetadataStore", served: Sequence[Path], dataset: "Dataset", folder: Path) -> None:
    """Brings ML Metadata up to date with the serving directory, which others push to and delete from as well.

    Args:
      store: to be changed.
      served: version directories of models of the dataset, oldest first.
      dataset: that the next run is on.
      folder: for copies of those releases that ML Metadata does not know; made if it does not exist.
    """
    from components import baseline
    from components.resolvers import import_releases
    from pipeline import lineage

    lineage.forget_unserved_pushes(store)
    import_releases(store, baseline.possible(served, dataset.class_names, dataset.image_shape), folder)


def run(config: RunConfig, console: Console, log: Path, run_id: str, fallback: RunConfig | None = None) -> "Summary":
    """Runs the pipeline once, from the dataset to the push.

    Args:
      config: of the run; its pipeline root is held by the caller (`workspace.occupied`).
      console: shows the steps.
      log: file that the full log goes to.
      run_id: names the run in ML Metadata and in the reports.
      fallback: what to run, with a notice, if the dataset cannot be had; None if that is an error.

    Returns:
      The summary, which is also in `<pipeline root>/reports/<run id>/summary.json`, beside `gates.junit.xml` and the
      report's `index.html`.

    Raises:
      UserError: something that the user can fix; AnomaliesError if it is the data.
      StepFailedError: anything else went wrong; the log has the traceback.
    """
    started = time.monotonic()
    schema_file(config)
    workspace.check_writable(config.serving_dir)
    with _stage("Loading TensorFlow and TFX", console, log):
        from tfx.orchestration.local.local_dag_runner import LocalDagRunner

        from components import baseline, provenance
        from pipeline import junit, lineage, report, summary
        from pipeline.observer import Interrupts, Observer, Timing

    log_to(log)
    try:
        with _stage(f"Preparing dataset {config.dataset}", console, log):
            dataset, counts = load_dataset(config)
    except DataUnavailableError as error:
        if fallback is None:
            raise
        console.print(
            f"[yellow]Notice:[/yellow] {error}\nGoing on with the embedded sample, {SAMPLE_DATASET}: 5,000 real "
            "MNIST digits. Its figures are not those of MNIST."
        )
        config = fallback
        with _stage(f"Preparing dataset {config.dataset}", console, log):
            dataset, counts = load_dataset(config)
    with _stage("Compiling the pipeline", console, log):
        # What is served now decides what the model is compared with, whatever others push in the meantime.
        served = version_dir.directories(config.serving_dir / dataset.name)
        representation = compile_run(config, dataset, run_id, served)
        store = lineage.open_store(config.pipeline_root)
        learn_what_is_served(store, served, dataset, config.pipeline_root / dataset.name / "ServedModel")
        baselines = baseline.choices(served, dataset.class_names, dataset.image_shape)

    lines = StepLines(console, f"Dataset {dataset.name} {dataset.version}")
    interrupts = Interrupts()

    def finish(node: str, timing: Timing) -> None:
        interrupts.raise_late()
        lines.finish(node, timing, lineage.steps(store, dataset.name, run_id)[node].cached)

    with interrupts, Observer(lines.start, lines.report, finish) as observer, lines.live():
        try:
            LocalDagRunner().run_with_ir(representation)
        except Exception as error:
            raise explained(error, f"Step {observer.current}", log, _KEPT) from error
    with _stage("Writing the summary", console, log):
        steps = lineage.steps(store, dataset.name, run_id)
        lineage.record(
            store,
            run_id,
            {
                "config": config.model_dump(mode="json"),
                "data_fingerprint": dataset.fingerprint,
                "schema_sha256": version_dir.sha256(steps["ImportSchemaGen"].outputs["schema"].uri / SCHEMA),
                "packages": provenance.package_versions(),
                "git_revision": provenance.git_revision(),
            },
        )
        folder = workspace.report_dir(config.pipeline_root, run_id)
        result = summary.summarize(
            run_id=run_id,
            dataset=dataset,
            split_counts=counts,
            steps=steps,
            baselines=baselines,
            timings={node: timing for node, timing in observer.timings.items() if node in STEPS},
            wall_seconds=time.monotonic() - started,
            report=folder / report.FILE,
        )
        summary.write(result, folder / summary.FILE)
        junit.write(result, folder / junit.FILE)
        report.write(result, steps, lineage.facts(store, run_id), folder)
        workspace.point_latest(config.pipeline_root, run_id)
        return result


@contextmanager
def _stage(what: str, console: Console, log: Path) -> Iterator[None]:
    """Shows what goes on before and after the steps, and explains what goes wrong there."""
    with waiting(console, what):
        try:
            yield
        except Exception as error:
            raise explained(error, what, log) from error


def explained(error: Exception, what: str, log: Path, hint: str = "") -> Exception:
    """Returns the error to show for one that a step, or the work around the steps, raised; its traceback is logged."""
    with suppress(OSError), log.open("a", encoding="utf-8") as file:  # the disk may be full
        traceback.print_exception(error, file=file)
    chain: BaseException | None = error
    text = ""
    while chain is not None:
        if isinstance(chain, UserError):
            return chain
        text += f" {chain}"
        chain = chain.__cause__
    if any(phrase in text for phrase in _DISK_FULL):
        return UserError(
            f"The disk is full: {what} could not write its result. Free some room and run again; the steps before are "
            "kept."
        )
    where = f"\nThe full log is {log}." if log.is_file() else ""
    return StepFailedError(f"{what} failed: {in_a_line(error)}{where}{hint}")


def in_a_line(error: Exception) -> str:
    """Returns the type of an error and the first line of its message."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}"
