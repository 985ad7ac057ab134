"""The summary, and what a person reads of it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from components.baseline import Baseline
from components.gate import Gate
from pipeline import console, summary
from pipeline.observer import Timing


def gate(name: str, part: str, value: float, bound: float, metric: str = "accuracy") -> Gate:
    return Gate(
        gate=name,
        metric=metric,
        slice=part,
        value=value,
        bound=bound,
        baseline=None,
        passed=value >= bound,
        reason=f"{metric} of {name} on {part} is {value}",
    )


def made(**changes: Any) -> summary.Summary:
    values: dict[str, Any] = {
        "run_id": "20240101-000000-000000",
        "dataset": "mnist",
        "split_counts": {"train": 55000, "eval": 5000, "test": 10000},
        "nodes": [
            {"id": "Trainer", "seconds": 61.24, "cached": False, "peak_rss_mb": 2048.0},
            {"id": "Pusher", "seconds": 0.0, "cached": True, "peak_rss_mb": 100.0},
        ],
        "wall_seconds": 99.6,
        "metrics": {"saved_model": {"accuracy": 0.9951}, "tflite": {"accuracy": 0.99449}},
        "tflite": {"bytes": 91234, "sha256": "a" * 64, "params": 76604, "latency_us_p50": 55.2, "arena_bytes": 31456},
        "gates": [gate("tflite", "overall", 0.995, 0.994)],
        "blessed": True,
        "bless_anyway": None,
        "pushed_to": "/models/mnist/1",
        "report": "/runs/reports/x/summary.json",
    }
    return summary.Summary(**values | changes)


@pytest.mark.parametrize(
    "baseline",
    [Baseline("7", "/models/mnist/7", None, {"tflite": 0.99}), Baseline(reason="no model is served yet"), None],
)
def test_a_summary_is_read_as_it_was_written(tmp_path: Path, baseline: Baseline | None) -> None:
    path = tmp_path / "reports" / "one" / summary.FILE
    summary.write(made(baseline=baseline), path)
    assert summary.files(tmp_path) == [path]
    assert summary.read(path) == summary.find(tmp_path, "latest") == made(baseline=baseline)
    assert [file.name for file in path.parent.iterdir()] == [summary.FILE]


def test_the_summaries_of_a_root_come_oldest_first_and_each_once(tmp_path: Path) -> None:
    for run in ("20240102-000000-000000", "20240101-000000-000000"):
        summary.write(made(run_id=run), tmp_path / "reports" / run / summary.FILE)
    (tmp_path / "reports" / "latest").symlink_to("20240102-000000-000000")
    (tmp_path / "reports" / "20240103-000000-000000").mkdir()  # a run that broke off
    assert [file.parent.name for file in summary.files(tmp_path)] == [
        "20240101-000000-000000",
        "20240102-000000-000000",
    ]


def test_a_root_without_runs_has_no_summaries(tmp_path: Path) -> None:
    assert summary.files(tmp_path) == []


@pytest.mark.parametrize(("cached", "expected"), [([True, True], True), ([True, False], False)])
def test_all_is_cached_if_every_step_is(cached: list[bool], expected: bool) -> None:
    nodes = [{"id": "A", "seconds": 0, "cached": value, "peak_rss_mb": 0} for value in cached]
    assert made(nodes=nodes).all_cached is expected


def test_of_the_slices_that_pass_the_one_nearest_to_its_bound_is_shown() -> None:
    gates = [
        gate("tflite", "overall", 0.995, 0.994),
        gate("tflite", "label=1", 0.999, 0.98),
        gate("tflite", "label=2", 0.983, 0.98),
        gate("tflite", "label=3", 0.99, 0.98),
    ]
    assert console.gate_lines(made(gates=gates)) == [
        ("Gate tflite", "[green]passed[/green]: accuracy of tflite on overall is 0.995"),
        ("Gate tflite", "[green]passed[/green]: accuracy of tflite on label=2 is 0.983"),
    ]


def test_of_the_slices_that_fail_every_one_is_shown_and_no_other() -> None:
    gates = [
        gate("tflite", "label=1", 0.97, 0.98),
        gate("tflite", "label=2", 0.99, 0.98),
        gate("tflite", "label=3", 0.5, 0.98),
        gate("saved_model", "overall", 0.995, 0.994),
    ]
    assert console.gate_lines(made(gates=gates)) == [
        ("Gate tflite", "[red]refused[/red]: accuracy of tflite on label=1 is 0.97"),
        ("Gate tflite", "[red]refused[/red]: accuracy of tflite on label=3 is 0.5"),
        ("Gate saved_model", "[green]passed[/green]: accuracy of saved_model on overall is 0.995"),
    ]


def test_brackets_in_a_reason_are_no_markup() -> None:
    odd = dataclasses.replace(gate("tflite", "overall", 0.1, 0.9), reason="TFMA: [x]")
    assert console.gate_lines(made(gates=[odd])) == [("Gate tflite", r"[red]refused[/red]: TFMA: \[x]")]


NEW_PUSH = [{"id": "Pusher", "seconds": 0.1, "cached": False, "peak_rss_mb": 0}]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"nodes": NEW_PUSH}, "/models/mnist/1"),
        ({}, "nothing new: /models/mnist/1 is up to date"),
        (
            {"blessed": False, "pushed_to": None},
            "nothing: the model was refused, what is served stays as it is",
        ),
        ({"nodes": NEW_PUSH, "bless_anyway": "demo"}, "/models/mnist/1 (blessed anyway: demo)"),
    ],
)
def test_what_became_of_the_push_is_told(changes: dict[str, Any], expected: str) -> None:
    assert console.pushed(made(**changes)) == expected


def shown(result: summary.Summary) -> str:
    screen = Console(width=200, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115
    console.show_summary(screen, result, Path("/runs/logs/x.log"))
    return " ".join(screen.export_text().replace("│", "").split())


def test_the_table_tells_all_that_a_run_came_to() -> None:
    text = shown(made())
    for part in (
        "Run 20240101-000000-000000 on mnist",
        "Trainer 61.2 s, 2,048 MiB",
        "Pusher cached",
        "55,000 train, 5,000 eval, 10,000 test",
        "SavedModel accuracy 99.51% on test",
        "TFLite file accuracy 99.45% on test",
        "91,234 bytes, 76,604 parameters",
        "/runs/reports/x/summary.json",
        "/runs/logs/x.log",
        "100 s",
    ):
        assert part in text


def lines(*calls: tuple) -> str:
    screen = Console(width=200, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115
    steps = console.StepLines(screen)
    for name, *arguments in calls:
        getattr(steps, name)(*arguments)
    return screen.export_text()


def test_a_step_leaves_a_line_with_what_it_last_reported() -> None:
    text = lines(
        ("start", "Trainer"),
        ("report", "epoch 1 of 3"),
        ("report", "3 epochs [best 2]"),
        ("finish", "Trainer", Timing(seconds=12.34), False),
        ("start", "Pusher"),
        ("finish", "Pusher", Timing(), True),
    )
    trainer, pusher = text.splitlines()
    assert trainer.split(maxsplit=3) == ["Trainer", "12.3", "s", "3 epochs [best 2]"]
    assert pusher.split(maxsplit=2) == ["Pusher", "cached", "pushing"]


def test_lookups_that_do_no_work_leave_no_line() -> None:
    assert lines(("start", "ServedModel"), ("finish", "ServedModel", Timing(), False)) == ""
