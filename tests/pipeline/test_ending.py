"""What a person reads when a run has ended."""

import dataclasses
import io
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from components.gate import Gate
from components.run_report.statistics import accuracy_interval
from pipeline import ending
from pipeline.summary import Summary
from tests.pipeline.test_summary import gate, made

LOG = Path("/runs/logs/x.log")
LOW = gate("tflite", "overall", 0.98, 0.994)
NOT_RUN = Gate("TFLite Micro", "golden_mismatches", "overall", None, 0, None, None, "TFLite Micro was not run")
REFUSED = {"blessed": False, "pushed_to": None}
CACHED = [{"id": name, "seconds": 0, "cached": True, "peak_rss_mb": 1} for name in ("Trainer", "Pusher")]


def most(value: float, bound: float, metric: str = "bytes") -> Gate:
    return Gate.at_most("device", metric, "file", value, bound, "")


def compared(value: float, baseline: float, drop: float) -> Gate:
    return Gate.at_least("tflite", "accuracy", "overall", value, baseline - drop, "", baseline=baseline)


def shown(result: Summary, previous: str | None = None, width: int = 80) -> list[str]:
    screen = io.StringIO()
    ending.show(Console(file=screen, width=width, highlight=False), result, LOG, "/runs/my root", previous)
    return screen.getvalue().splitlines()


@pytest.mark.parametrize(
    ("judged", "share"),
    [
        (most(91_234, 100_000), 0.91234),
        (most(0.004, 0.005), 0.8),
        (most(0.005, 0.005), 1),  # the bound itself passes
        (most(0, 0.005), 0),
        (gate("tflite", "overall", 0.9951, 0.994), 49 / 60),
        (gate("tflite", "overall", 1.0, 0.994), 0),
        (most(0, 0), None),  # none may differ: no near miss
        (gate("tflite", "overall", 0.994, 0.994), 1),
        (gate("tflite", "overall", 1.0, 1.0), None),  # no error is allowed
        (compared(0.9958, 0.9958, 0.002), 0),  # as good as the served model
        (compared(0.9999, 0.9958, 0.002), 0),
        (compared(0.9953, 0.9958, 0.002), 0.25),
        (most(-0.01, 0.005, "recall_drop"), 0),
        (gate("LiteRT vs SavedModel", "overall", 0.3, 0.05, "mcnemar_p"), None),
        (LOW, None),
        (NOT_RUN, None),
        (dataclasses.replace(most(1, 2), relation=None), None),  # as earlier versions of this program wrote it
    ],
)
def test_closeness_is_the_part_that_is_used_of_what_is_allowed(judged: Gate, share: float | None) -> None:
    assert ending.used(judged) == (share if share is None else pytest.approx(share))


@given(value=st.floats(0, 1), bound=st.floats(0, 1))
def test_closeness_of_what_passed_is_between_nothing_and_all(value: float, bound: float) -> None:
    for judged in (gate("tflite", "overall", value, bound), most(value, bound), compared(value, bound, 0.1)):
        share = ending.used(judged)
        assert share is None or 0 <= share <= 1


def test_the_closest_of_gates_of_different_units_is_named_with_its_bound() -> None:
    accuracy, size, none_may = gate("tflite", "label=5", 0.9951, 0.994), most(95_000, 100_000), most(0, 0, "mismatches")
    assert ending.closest([none_may, accuracy, size]) is size
    assert ending.closest([none_may, NOT_RUN, LOW]) is None
    assert shown(made(gates=[none_may, accuracy, size]))[1] == (
        "BLESSED  3 of 3 comparisons passed (closest: device bytes, 95,000; at most 100,000 required)"
    )
    exactly = gate("tflite", "overall", 0.994, 0.994)
    assert shown(made(gates=[exactly]))[1] == (
        "BLESSED  1 of 1 comparisons passed (closest: tflite accuracy, 0.9940; at least 0.9940 required)"
    )
    assert shown(made(gates=[none_may, accuracy]))[1] == (
        "BLESSED  2 of 2 comparisons passed (closest: tflite accuracy on label=5, 0.9951; at least 0.9940 required)"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"gates": [most(0, 0), NOT_RUN]}, ["BLESSED  1 of 2 comparisons passed, 1 not run"]),
        (
            {**REFUSED, "gates": [LOW, NOT_RUN, most(0, 0), LOW]},
            [
                "REFUSED  1 of 4 comparisons passed, 2 failed, 1 not run; nothing was pushed",
                f"  - {LOW.reason}",
                f"  - {LOW.reason}",
            ],
        ),
        (
            {"gates": [LOW], "bless_anyway": "a [demo]"},
            [
                "BLESSED ANYWAY  0 of 1 comparisons passed, 1 failed; pushed because: a [demo]",
                f"  - {LOW.reason}",
            ],
        ),
        ({"gates": [most(0, 0)], "bless_anyway": "demo"}, ["BLESSED  1 of 1 comparisons passed"]),
    ],
)
def test_the_verdict_comes_first_with_every_refusal_in_full(changes: dict[str, Any], expected: list[str]) -> None:
    assert shown(made(**changes))[: len(expected) + 2] == ["", *expected, ""]


def test_no_line_is_broken_however_narrow_the_screen_is() -> None:
    result = made(pushed_to=f"/models/{'m' * 100}/1", report=f"/runs/{'r' * 100}/a [b]/index.html")
    assert shown(result, "20240101", width=20) == shown(result, "20240101", width=1000)
    assert any(line.endswith(f" {result.report}") for line in shown(result, width=20))


def test_brackets_in_a_reason_are_no_markup() -> None:
    odd = dataclasses.replace(LOW, reason="TFMA: [red]x[/red]")
    assert shown(made(**REFUSED, gates=[odd]))[2] == "  - TFMA: [red]x[/red]"


def test_the_figures_are_those_of_the_summary_with_intervals_on_the_test_split() -> None:
    figures = dict(ending.figures(made(metrics={"saved_model": {"accuracy": 0.9951}, "tflite": {"accuracy": 0.9945}})))
    low, high = accuracy_interval(9945, 10_000)
    assert figures == {
        "Tested on": "10,000 images of mnist",
        "TFLite accuracy": f"99.45% (95% interval: {low:.2%} to {high:.2%})",
        "SavedModel accuracy": "99.51% (95% interval: 99.37% to 99.64%)",
        "Size": "91,234 bytes, 76,604 parameters",
        "Latency": "55 µs an image (LiteRT, one thread, median)",
        "Arena": "31,456 bytes (TFLite Micro)",
        "Time": "100 s",
    }


def test_what_could_not_be_measured_is_said() -> None:
    tflite = {"bytes": 9, "sha256": "a", "params": 1, "latency_us_p50": None, "arena_bytes": None}
    figures = dict(ending.figures(made(tflite=tflite)))
    assert (figures["Latency"], figures["Arena"]) == ("not measured", "not measured")


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        (None, None),
        ({"version": None, "path": None, "reason": None, "metrics": {}}, None),
        (
            {"version": None, "path": None, "reason": "version 3 has other classes", "metrics": {}},
            "not compared: version 3 has other classes",
        ),
        (
            {"version": "3", "path": "/m/3", "reason": None, "metrics": {"tflite": 0.9939, "saved_model": 0.9952}},
            "TFLite +0.06, SavedModel -0.01 percentage points compared with version 3, which was served before",
        ),
        (
            {"version": "3", "path": "/m/3", "reason": None, "metrics": {"tflite": 0.9939}},
            "TFLite +0.06 percentage points compared with version 3, which was served before",
        ),
    ],
)
def test_the_change_is_against_what_was_served(baseline: dict[str, Any] | None, expected: str | None) -> None:
    result = made(metrics={"saved_model": {"accuracy": 0.9951}, "tflite": {"accuracy": 0.9945}}, baseline=baseline)
    assert dict(ending.figures(result)).get("Change") == expected


def test_paths_stand_on_lines_of_their_own() -> None:
    assert list(ending.paths(made(), LOG)) == [
        ("Served already", "/models/mnist/1"),
        ("Report", "/runs/reports/x/summary.json"),
        ("Log", "/runs/logs/x.log"),
    ]
    assert next(ending.paths(made(nodes=NEW_PUSH), LOG)) == ("Pushed to", "/models/mnist/1")
    assert [name for name, _ in ending.paths(made(**REFUSED), LOG)] == ["Report", "Log"]


def commands(*arguments: Any) -> dict[str, list[str]]:
    return {purpose: shlex.split(command) for purpose, command in ending.commands(*arguments)}


def test_the_commands_name_run_and_root_and_only_what_is_there() -> None:
    pushed_to = "/my models/mnist/1"
    result = made(pushed_to=pushed_to)
    found = commands(result, "/runs/my root", "20240101")
    root = ["--pipeline-root", "/runs/my root"]
    assert found["Open the report"][-5:] == ["report", "--open", result.run_id, *root]
    assert found["Classify a picture"][-6:] == ["-m", "serving", "predict", "PICTURE", "--model", pushed_to]
    assert found["Compare two runs"][-5:] == ["compare", "20240101", result.run_id, *root]
    assert commands(made(**REFUSED), None, None).keys() == {"Open the report"}
    assert "--pipeline-root" not in " ".join(commands(made(), None, "20240101")["Compare two runs"])


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with this program in it, which is not activated, while another one is."""
    for folder in (tmp_path / ".venv", tmp_path / "other"):
        (folder / "bin").mkdir(parents=True)
        for name in ("python", "mnist-pipeline"):
            (folder / "bin" / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "other" / "bin"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".venv" / "bin"


def programs() -> tuple[str, ...]:
    found = commands(made(), None, None)
    return found["Open the report"][0], found["Classify a picture"][0]


def test_the_programs_are_named_as_this_shell_finds_them(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert programs() == (".venv/bin/mnist-pipeline", ".venv/bin/python")
    monkeypatch.chdir(environment.parents[1] / "other")
    assert programs() == (f"{environment}/mnist-pipeline", f"{environment}/python")
    monkeypatch.setenv("PATH", f"{environment}{os.pathsep}{os.environ['PATH']}")
    assert programs() == ("mnist-pipeline", "python")
    (environment / "mnist-pipeline").unlink()
    assert commands(made(), None, None)["Open the report"][:4] == ["python", "-m", "pipeline", "report"]


def test_a_run_that_did_nothing_says_so_in_three_lines() -> None:
    assert shown(made(nodes=CACHED)) == [
        "Nothing changed: all 2 steps cached in 99.6 s.",
        "Served: /models/mnist/1 (BLESSED, TFLite accuracy 99.45%)",
        "Report: /runs/reports/x/summary.json",
    ]


def test_a_run_that_did_nothing_and_is_refused_says_why() -> None:
    assert shown(made(nodes=CACHED, gates=[LOW], **REFUSED))[1:] == [
        "REFUSED  0 of 1 comparisons passed, 1 failed; nothing was pushed",
        f"  - {LOW.reason}",
        "Report: /runs/reports/x/summary.json",
    ]
    assert shown(made(nodes=CACHED, gates=[LOW], bless_anyway="demo"))[-2] == (
        "Served: /models/mnist/1 (BLESSED ANYWAY, TFLite accuracy 99.45%)"
    )


def test_all_steps_and_comparisons_can_be_seen() -> None:
    screen = io.StringIO()
    result = made(gates=[LOW, NOT_RUN, gate("tflite", "label=1", 0.999, 0.98)])
    ending.show_everything(Console(file=screen, width=200), result)
    text = " ".join(screen.getvalue().replace("│", "").split())
    for part in (
        "peak memory of the whole process meanwhile",
        "Trainer 61.2 2,048 MiB",
        "Pusher cached 100 MiB",
        f"tflite failed {LOW.reason}",
        "TFLite Micro not run TFLite Micro was not run",
        "tflite passed accuracy of tflite on label=1 is 0.999",
    ):
        assert part in text


def test_of_the_slices_that_pass_the_closest_to_its_bound_stands_for_all() -> None:
    gates = [
        gate("tflite", "overall", 0.995, 0.994),
        gate("tflite", "label=1", 0.999, 0.98),
        gate("tflite", "label=2", 0.983, 0.98),
        gate("tflite", "label=3", 0.99, 0.98),
        NOT_RUN,
    ]
    assert ending.nearest_gates(made(gates=gates)) == [gates[0], gates[2], NOT_RUN]


def test_of_the_slices_that_fail_every_one_is_shown_and_no_other() -> None:
    gates = [
        gate("tflite", "label=1", 0.97, 0.98),
        gate("tflite", "label=2", 0.99, 0.98),
        gate("tflite", "label=3", 0.5, 0.98),
        gate("saved_model", "overall", 0.995, 0.994),
    ]
    assert ending.nearest_gates(made(gates=gates)) == [gates[0], gates[2], gates[3]]


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
    assert ending.pushed(made(**changes)) == expected
