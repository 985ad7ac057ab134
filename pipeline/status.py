"""What a pipeline root holds, what is served, and what a run would do. Looking never fails and changes nothing."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.errors import UserError
from components.tfds_example_gen import datasets
from pipeline import lineage, runner, summary, workspace
from pipeline.config import RunConfig
from pipeline.console import STEPS
from pipeline.graph import metadata_file
from pipeline.plan import steps_to_run
from serving import version_dir

_LAST = 10
_LONGEST = 1000  # characters of a sentence: a damaged file may name any number of things


def show(config: RunConfig, fallback: RunConfig | None, console: Console) -> None:
    """Prints the last runs, the versions that are served, and the steps that a run would re-run.

    Args:
      config: of the run.
      fallback: what a run would go on with if the dataset cannot be had; None if it would stop.
      console: to print on.
    """
    for part in _look(config, fallback):
        if isinstance(part, str):
            console.print(_plain(part), markup=False, soft_wrap=True)
        else:
            console.print(part)


def _look(config: RunConfig, fallback: RunConfig | None) -> Iterator[str | Table]:
    try:
        made = workspace.is_marked(config.pipeline_root)
    except (UserError, OSError) as error:
        yield f"Cannot use {config.pipeline_root} as pipeline root: {error}"
        yield from _served(config.serving_dir)
        return
    if made:
        yield from _runs(config.pipeline_root)
    else:
        yield f"No runs yet in {config.pipeline_root}."
    yield from _served(config.serving_dir)
    try:
        yield from _plan(config, fallback)
    except UserError as error:
        yield f"A run would stop: {error}"
    except Exception as error:  # TFX and ML Metadata fail in many ways on a file that is damaged in its middle
        yield f"Cannot tell what a run would do: {type(error).__name__}: {error}"


def _runs(root: Path) -> Iterator[str | Table]:
    """Yields a table of the last runs, and a sentence for each whose summary cannot be read."""
    table = Table(title="Last runs", title_justify="left")
    for column in ("run", "dataset", "TFLite accuracy", "verdict", "pushed to"):
        table.add_column(column, overflow="fold")
    unreadable = []
    for file in summary.files(root)[-_LAST:]:
        try:
            item = summary.read(file)
        except UserError as error:
            unreadable.append(str(error))
            continue
        verdict = "blessed" if item.blessed else f"refused by {', '.join(sorted({g.gate for g in item.failed_gates}))}"
        row = (item.run_id, item.dataset, _accuracy(item.metrics), verdict, item.pushed_to or "nothing")
        table.add_row(*(escape(_plain(text)) for text in row))
    if table.row_count:
        yield table
    elif not unreadable:
        yield f"No finished runs yet in {root}."
    yield from unreadable


def _served(serving_dir: Path) -> Iterator[str]:
    """Yields a sentence for each version directory, saying whether it is whole; of each model the newest first."""
    try:
        models = sorted(serving_dir.iterdir())
    except FileNotFoundError:
        models = []
    except OSError as error:
        yield f"Cannot read the serving directory {serving_dir}: {error}."
        return
    versions = [line for model in models for line in _versions(model)]
    if versions:
        yield "Served (of each model the newest version first, which is what TensorFlow Serving loads):"
        yield from versions
    else:
        yield f"Nothing is served in {serving_dir}."


def _versions(model: Path) -> list[str]:
    try:
        return [f"  {directory}  {_state(directory)}" for directory in reversed(version_dir.directories(model))]
    except OSError as error:
        return [f"  {model}  cannot be read: {error}"]


def _state(directory: Path) -> str:
    try:
        accuracy = _accuracy(version_dir.verify(directory).get("metrics"))
    except version_dir.NoManifestError:
        return f"not made by this pipeline (no {version_dir.MANIFEST})"
    except (version_dir.VersionDirError, OSError) as error:
        return f"DAMAGED: {error}"
    return f"whole: every file matches its manifest; TFLite accuracy {accuracy}"


def _accuracy(metrics: Any) -> str:
    try:
        return f"{metrics['tflite']['accuracy']:.2%}"
    except (LookupError, TypeError, ValueError, OverflowError):
        return "not stated"


def _plan(config: RunConfig, fallback: RunConfig | None) -> Iterator[str]:
    """Yields what a run would do, as far as that can be known without preparing a dataset."""
    runner.schema_file(config)
    workspace.check_writable(config.serving_dir)
    builder = datasets.load_builder(config.dataset, config.data_dir)
    if builder.is_prepared():
        steps = would_run(config)
        if steps == list(STEPS):
            yield f"A run on {config.dataset} would run every step."
        elif steps:
            yield f"A run on {config.dataset} would re-run: {', '.join(steps)}."
        else:
            yield f"A run on {config.dataset} would re-run nothing: every step is cached."
        return
    missing = datasets.missing_sources(builder, config.manual_dir)
    if missing:
        source = " from the network"
        source += f" ({missing[0][1]} is not in {config.manual_dir})" if config.manual_dir else ""
    else:
        source = f" from {config.manual_dir}" if builder.url_infos else ""
    nothing_ran = not metadata_file(config.pipeline_root).exists()
    steps_then = "then run every step" if nothing_ran else "only then know which steps to re-run"
    yield f"Dataset {config.dataset} is not prepared here: a run would first prepare it{source}, and {steps_then}."
    if missing and fallback:
        yield f"Without a network a run would go on with the embedded sample, {fallback.dataset}:"
        yield from _plan(fallback, None)
    elif missing:
        yield "Without a network a run would stop there."


def would_run(config: RunConfig) -> list[str]:
    """Returns the steps that a run would not find in the cache, in order.

    TFX itself decides, on a copy of the metadata, with the executors left out.

    Args:
      config: of the run; its dataset is prepared.

    Raises:
      UserError: the dataset or its schema cannot be had, or the metadata cannot be read.
    """
    dataset, _ = runner.load_dataset(config)
    original = metadata_file(config.pipeline_root)
    if not original.exists():
        return list(STEPS)
    served = version_dir.directories(config.serving_dir / dataset.name)
    representation = runner.compile_run(config, dataset, "plan", served)
    with tempfile.TemporaryDirectory() as folder:
        copy = metadata_file(Path(folder))
        shutil.copyfile(original, copy)
        try:
            store = lineage.open_store(Path(folder))
            runner.learn_what_is_served(store, served, dataset, Path(folder) / "served")
        except UserError as error:
            raise UserError(str(error).replace(str(copy), str(original))) from error
        nodes = steps_to_run(representation, copy)
    return [step for step in STEPS if step in nodes]


def _plain(text: str) -> str:
    """Returns text from outside as one line that can do nothing to a terminal."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."
