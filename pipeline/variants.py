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
    run = summary.find(root, "latest")
    if output.exists():
        raise UserError(f"{output} is there already. Name a directory that is not.")
    steps = lineage.steps(lineage.open_store(root), run.dataset, run.run_id)
    source = steps["TFLiteExporter"].outputs["variants"].uri
    shutil.copytree(source, output)
    for name, facts in json.loads((output / VARIANTS).read_text())["variants"].items():
        yield f"{output / name}.tflite  {facts['bytes']:>9,} bytes"
