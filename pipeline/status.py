"""What the pipeline root holds, and what a run would do."""

import shutil
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from components import baseline
from components.errors import DataUnavailableError
from pipeline import runner, summary
from pipeline.config import RunConfig
from pipeline.console import STEPS
from pipeline.graph import metadata_file
from pipeline.plan import steps_to_run
from serving import version_dir

_LAST = 10


def show(config: RunConfig, console: Console) -> None:
    """Prints the last runs, the versions that are served, and the steps that a run of `config` would do anew."""
    table = Table(title="Last runs", title_justify="left")
    for column in ("run", "dataset", "TFLite accuracy", "verdict", "pushed to"):
        table.add_column(column, overflow="fold")
    for item in summary.read_all(config.pipeline_root)[-_LAST:]:
        verdict = "blessed" if item.blessed else f"refused by {', '.join(sorted({g.gate for g in item.failed_gates}))}"
        table.add_row(
            item.run_id, item.dataset, f"{item.metrics['tflite']['accuracy']:.2%}", verdict, item.pushed_to or "nothing"
        )
    console.print(table if table.row_count else f"No runs yet in {config.pipeline_root}.")

    for model in sorted(path for path in config.serving_dir.glob("*") if version_dir.versions(path)):
        version = version_dir.versions(model)[-1]
        accuracy = version_dir.verify(model / str(version))["metrics"]["tflite"]["accuracy"]
        console.print(f"Served: {model / str(version)}, TFLite accuracy {accuracy:.2%}, files as the manifest states")

    if not metadata_file(config.pipeline_root).exists():
        console.print("A run would do every step.")
        return
    try:
        anew = would_run(config)
    except DataUnavailableError:
        anew = None
    if anew is None:
        console.print(f"Dataset {config.dataset} cannot be had here, so what a run would do is not known.")
    else:
        console.print(f"A run of {config.dataset} would do anew: {', '.join(anew) or 'nothing, every step is cached'}.")


def would_run(config: RunConfig) -> list[str]:
    """Returns the steps that a run would do anew, in order.

    TFX itself decides, on a copy of the metadata, with the executors left out.

    Raises:
      UserError: the dataset or its schema cannot be had.
    """
    dataset, _ = runner.load_dataset(config)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / metadata_file(config.pipeline_root).name
        shutil.copyfile(metadata_file(config.pipeline_root), copy)
        nodes = steps_to_run(
            runner.compile_run(config, dataset, "plan", baseline.served(config.serving_dir / dataset.name)), copy
        )
    return [node for node in nodes if node in STEPS]
