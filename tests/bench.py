"""Time and memory of a run, uncached and then cached: `make bench` (options as for `mnist-pipeline run`)."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from components.keys import HISTORY


def timed_run(root: Path, options: list[str]) -> tuple[float, dict[str, Any]]:
    """Runs the pipeline; returns the wall seconds of the whole process, and the summary."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "pipeline", "run", "--pipeline-root", str(root), *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if result.returncode:
        sys.exit(f"The run ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return seconds, json.loads((root / "reports" / "latest" / "summary.json").read_text())


def main() -> None:
    """Measures and prints."""
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        seconds, summary = timed_run(root, sys.argv[1:])
        cached_seconds, cached = timed_run(root, sys.argv[1:])
        (history,) = root.glob(f"*/Trainer/model_run/*/{HISTORY}")
        fit = sum(epoch["seconds"] for epoch in json.loads(history.read_text())["epochs"])
    if not all(node["cached"] for node in cached["nodes"]):
        sys.exit("The second run was not all cached.")
    table = Table(title=f"Run on {summary['dataset']}, TFLite accuracy {summary['metrics']['tflite']['accuracy']:.2%}")
    for column in ("", "seconds", "peak MiB"):
        table.add_column(column, justify="right" if column else "left")
    for node in summary["nodes"]:
        table.add_row(node["id"], f"{node['seconds']:.1f}", f"{node['peak_rss_mb']:,.0f}")
    outside_steps = seconds - sum(node["seconds"] for node in summary["nodes"])
    table.add_row("imports, dataset check, summary", f"{outside_steps:.1f}", "")
    table.add_section()
    table.add_row("whole run", f"{seconds:.1f}", "")
    table.add_row("  in model.fit", f"{fit:.1f}", "")
    table.add_row("  outside model.fit", f"{seconds - fit:.1f}", "")
    table.add_row("second run, all cached", f"{cached_seconds:.1f}", "")
    console.print(table)


if __name__ == "__main__":
    main()
