"""The TFLite files of other precisions that a run made for comparison."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from components.errors import UserError
from components.keys import VARIANTS
from pipeline import lineage, summary


def export(root: Path, output: Path) -> Iterator[str]:
    """Copies the files of the last run out of its artifacts; yields a line for each.

    Raises:
      UserError: there is no run, or the output is there already.
    """
    runs = summary.read_all(root)
    if not runs:
        raise UserError(f"No run in {root} has come to its end yet: run `mnist-pipeline run` first.")
    if output.exists():
        raise UserError(f"{output} is there already. Name a directory that is not.")
    steps = lineage.steps(lineage.open_store(root), runs[-1].dataset, runs[-1].run_id)
    source = steps["TFLiteExporter"].outputs["variants"].uri
    shutil.copytree(source, output)
    for name, facts in json.loads((output / VARIANTS).read_text())["variants"].items():
        yield f"{output / name}.tflite  {facts['bytes']:>9,} bytes"
