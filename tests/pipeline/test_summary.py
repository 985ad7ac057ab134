"""The summary of a run is kept whole, and found again."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from components.baseline import Baseline, choices
from components.gate import Gate
from components.release import release_digest
from pipeline import summary
from serving import version_dir
from tests import versions


def gate(name: str, part: str, value: float, bound: float, metric: str = "accuracy") -> Gate:
    return Gate.at_least(name, metric, part, value, bound, f"{metric} of {name} on {part} is {value}", form="")


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


def test_the_baseline_is_what_was_compared_with_whatever_became_of_it_since(tmp_path: Path) -> None:
    served = [versions.push(content, tmp_path) for content in "AB"]
    baselines = choices(version_dir.directories(tmp_path), versions.NAMES, versions.SHAPE)
    of_b = release_digest(version_dir.read_manifest(served[1])["files"])
    for version in served:
        shutil.rmtree(version)
    for release, version in {"another": served[1], of_b: served[0]}.items():
        expected = Baseline(version.name, str(version), metrics={"tflite": 0.99})
        assert summary.compared_with(baselines, release, {"tflite": 0.99}) == expected
        found = summary.compared_with(baselines, release, {})  # gone before the gates could look at it
        assert found == Baseline(reason=f"the served version {version} was removed or damaged during the run")


def test_where_nothing_is_served_nothing_was_compared_with() -> None:
    found = summary.compared_with(choices([], versions.NAMES, versions.SHAPE), "another", {})
    assert found == Baseline(reason="no model is served yet")


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


def test_the_run_before_is_the_last_one_on_the_same_data(tmp_path: Path) -> None:
    runs = {"20240101-0": "mnist", "20240102-0": "mnist", "20240103-0": "mnist_sample", "20240105-0": "mnist"}
    for run, dataset in runs.items():
        summary.write(made(run_id=run, dataset=dataset), tmp_path / "reports" / run / summary.FILE)
    assert summary.previous(tmp_path, made(run_id="20240104-0")) == "20240102-0"
    assert summary.previous(tmp_path, made(run_id="20240101-0")) is None
