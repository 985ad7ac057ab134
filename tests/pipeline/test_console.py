"""While a run goes on the console shows its steps, and nothing that a library says."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from components import progress
from pipeline import console
from pipeline.observer import Timing


def lines(*calls: tuple, encoding: str = "utf-8") -> list[str]:
    screen = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    steps = console.StepLines(Console(file=screen, width=60), "Dataset mnist [3]")
    with steps.live():
        for name, *arguments in calls:
            getattr(steps, name)(*arguments)
    screen.seek(0)
    return screen.read().splitlines()


def done(node: str, seconds: float = 1.0) -> list[tuple]:
    return [("start", node), ("finish", node, Timing(seconds=seconds), False)]


def cached(node: str) -> list[tuple]:
    return [("start", node), ("finish", node, Timing(), True)]


def test_a_step_leaves_a_line_with_what_it_last_reported() -> None:
    title, trainer, pusher = lines(
        ("start", "Trainer"),
        ("report", "epoch 1 of 3"),
        ("report", f"3 epochs [best 2], {'and a long text ' * 9}"),
        ("finish", "Trainer", Timing(seconds=12.34), False),
        *done("Pusher"),
    )
    assert title == "Dataset mnist [3]"
    assert trainer.split(maxsplit=3)[:3] == ["Trainer", "12.3", "s"]
    assert trainer.endswith("3 epochs [best 2], " + "and a long text " * 9)
    assert pusher.split(maxsplit=3) == ["Pusher", "1.0", "s", "pushing"]


def test_cached_steps_share_a_line_before_the_step_that_is_at_work() -> None:
    text = lines(*cached("Transform"), *cached("Trainer"), *done("TFLiteExporter"), *cached("Pusher"))
    assert [line.split("  s  ")[0].split()[0] for line in text] == ["Dataset", "cached:", "TFLiteExporter", "cached:"]
    assert text[1] == "  cached: Transform, Trainer"
    assert text[3] == "  cached: Pusher"


def test_many_cached_steps_are_broken_between_names() -> None:
    _, first, second, _ = lines(*(call for node in list(console.STEPS)[:6] for call in cached(node)), *done("Pusher"))
    assert first == "  cached: TFDSExampleGen, ImportSchemaGen, StatisticsGen,"
    assert second == "          ExampleValidator, Transform, Trainer"


def test_a_step_that_reports_is_at_work_so_what_was_cached_shows_at_once() -> None:
    assert lines(*cached("Transform"), ("start", "Trainer"), ("report", "epoch 1")) == [
        "Dataset mnist [3]",
        "  cached: Transform",
    ]


def test_where_all_is_cached_nothing_is_shown() -> None:
    assert lines(*cached("Transform"), *cached("Trainer")) == []


def test_lookups_that_do_no_work_leave_no_line() -> None:
    assert lines(("start", "ServedModel"), ("finish", "ServedModel", Timing(), False)) == []


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", progress.DONE), ("ascii", "ok")])
def test_a_console_without_check_marks_says_ok(encoding: str, mark: str) -> None:
    calls = [("start", "TFDSExampleGen"), ("report", f"{progress.DONE} train 5"), *done("TFDSExampleGen")[1:]]
    assert lines(*calls, encoding=encoding)[-1].endswith(f"  {mark} train 5")


@pytest.mark.parametrize(("stream", "name"), [(1, "stdout"), (2, "stderr")])
def test_only_ours_is_seen_and_on_one_stream(stream: int, name: str, tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom pipeline.console import only_ours\n"
        f"with only_ours(Path({str(tmp_path / 'logs' / 'x.log')!r}), {stream}) as console:\n"
        "    console.print('ours, 5 \u00b5s \u2713')\n    print('noise')\n    os.write(2, b'native\\n')\n"
        "print('after')"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(console.__file__).parents[1]), "PYTHONIOENCODING": "latin-1"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    found = {"stdout": result.stdout.decode("latin-1"), "stderr": result.stderr.decode("latin-1")}
    assert found.pop(name) == "ours, 5 \u00b5s ?\n" + ("after\n" if name == "stdout" else "")
    assert list(found.values()) == ["after\n" if name == "stderr" else ""]
    assert sorted((tmp_path / "logs" / "x.log").read_text().splitlines()) == ["native", "noise"]


def test_a_full_disk_under_the_log_hides_no_error() -> None:
    code = (
        "import sys\nfrom contextlib import suppress\nfrom pathlib import Path\n"
        "from pipeline.console import only_ours\n"
        "try:\n"
        "    with only_ours(Path('/dev/full')) as console:\n"
        "        console.print('ours')\n"
        "        sys.stdout.write('a library')\n"  # waits in the buffer
        "        with suppress(OSError):\n"
        "            sys.stderr.write('another')\n"
        "        raise RuntimeError\n"
        "except RuntimeError:\n"
        "    print('an error', file=sys.stderr)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "ours\n", "an error\n")


def test_what_libraries_print_beside_a_live_line_is_not_seen_on_a_terminal(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.console import StepLines, only_ours, waiting\n"
        f"with only_ours(Path({str(tmp_path / 'x.log')!r})) as console:\n"
        "    with waiting(console, 'Loading'):\n        print('noise', file=sys.stderr)\n        print('noise')\n"
        "    steps = StepLines(console, 'Dataset')\n"
        "    with steps.live():\n        steps.start('Trainer')\n        print('noise', file=sys.stderr)\n"
        "        steps.report('at work')\n"
    )
    ours, terminal = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(Path(console.__file__).parents[1]), "TERM": "xterm"}
    try:
        subprocess.run([sys.executable, "-c", code], env=environment, stdout=terminal, stderr=terminal, check=True)
        seen = os.read(ours, 100_000).decode()
    finally:
        os.close(terminal)
        os.close(ours)
    assert "Loading" in seen
    assert "at work" in seen
    assert "noise" not in seen
    assert (tmp_path / "x.log").read_text().split() == ["noise"] * 3
