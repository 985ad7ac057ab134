"""The page says at its top what became of the run, and why."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.gate import Gate
from components.run_report.content import Findings, tables
from components.run_report.data import Variant
from pipeline import compare, report
from pipeline.cli import make_config
from pipeline.config import Preset, RunConfig
from pipeline.summary import Summary
from tests.pipeline.test_summary import gate, made

REFUSED = {"blessed": False, "pushed_to": None}
LOW = gate("tflite", "overall", 0.98, 0.994)
NOT_RUN = Gate("TFLite Micro", "golden_mismatches", "overall", None, 0, None, None, "TFLite Micro was not run")


def findings() -> Findings:
    labels = np.array([0, 1, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], np.float32)
    epoch = {"accuracy": 0.5, "loss": 1, "val_accuracy": 0.5, "val_loss": 1, "learning_rate": 0.1, "seconds": 1}
    slices = {"overall": {"accuracy": 0.75, "example_count": 4.0}, "label=1": {"accuracy": 0.5, "example_count": 2.0}}
    return Findings(
        class_names=["cat", "dog"],
        label_counts={"train": np.array([3, 3])},
        samples=np.zeros((2, 8, 8, 1), np.uint8),
        sample_labels=np.array([0, 1]),
        history={"epochs": [{"epoch": 1, **epoch}], "best_epoch": 1, "stopped_early": False},
        augmented=None,
        images=np.zeros((4, 8, 8, 1), np.uint8),
        labels=labels,
        probabilities={"SavedModel": probabilities, "TFLite": probabilities},
        metrics={"SavedModel": slices, "TFLite": slices},
        variants=[Variant("int8", 10, 0.75, 50.0)],
        robustness={
            "split": "test",
            "images": 4,
            "model": {"clean": 0.75, "mean": 0.5, "worst": {"corruption": "fog", "accuracy": 0.25}, "accuracy": {}},
        },
        corrupted={},
        drift=[],
    )


def page(summary: Summary, **device: Any) -> str:
    config = json.loads(RunConfig().model_dump_json())
    found = {"latency_us_p50": 50.0, "latency_us_p95": 60.0, "arena_bytes": 30_000, "operators": {"CONV_2D": 6}}
    manifest = {
        "dataset": {"builder": "mnist:3.0.1", "fingerprint": "f" * 64},
        "device": found | device,
        "abstention": {"threshold": 0.5, "refused": 0.002, "images": 5000, "split": "eval"},
    }
    return report.render(
        summary,
        content=tables(findings()),
        figures={"confusion": "<svg><title>A matrix</title></svg>"},
        manifest=manifest,
        artifacts={node.id: {"model": 7} for node in summary.nodes},
        evaluations=["/runs/evaluation/1"],
        facts={"config": config, "git_revision": None, "data_fingerprint": "f" * 64, "packages": {"keras": "3"}},
    )


def heading(text: str) -> str:
    return text[text.index("<h1>") : text.index("</h1>")]


def test_a_refused_run_says_why_at_the_top() -> None:
    assert LOW.reason in heading(page(made(**REFUSED, gates=[LOW])))
    assert "Refused" in heading(page(made(**REFUSED, gates=[LOW])))
    assert "Blessed" in heading(page(made()))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "1 of 1 comparisons passed."),
        ({"gates": [gate("tflite", "overall", 0.995, 0.994), NOT_RUN]}, "1 of 2 comparisons passed, 1 not run."),
        ({**REFUSED, "gates": [LOW]}, f"{LOW.reason}."),
        ({**REFUSED, "gates": [LOW, LOW]}, f"{LOW.reason} (1 more of 2 comparisons refuse it)."),
        ({"gates": [LOW], "bless_anyway": "demo"}, f"in spite of its gates, because: demo. {LOW.reason}."),
    ],
)
def test_the_verdict_is_one_sentence(changes: dict[str, Any], expected: str) -> None:
    assert report.headline(made(**changes)) == expected


def test_a_gate_that_was_not_run_is_not_shown_as_passed() -> None:
    text = page(made(gates=[NOT_RUN]))
    row = text[text.index('<th scope="row">TFLite Micro</th>') :]
    row = row[: row.index("</tr>")]
    assert "not run" in row
    assert "passed" not in row


def test_an_arena_that_was_not_measured_is_not_a_number() -> None:
    tflite = {"bytes": 9, "sha256": "a", "params": 1, "latency_us_p50": None, "arena_bytes": None}
    text = page(made(tflite=tflite), arena_bytes=None)
    row = text[text.index("Arena, bytes (TFLite Micro)") :]
    assert "not run" in row[: row.index("</tr>")]


def test_text_from_outside_is_no_markup() -> None:
    text = page(made(gates=[gate("tflite", "<script>alert(1)</script>", 0.9, 0.99)]))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_pictures_are_part_of_the_page() -> None:
    assert "<svg><title>A matrix</title></svg>" in page(made())


def test_without_a_baseline_nothing_is_said_of_one() -> None:
    assert "latest blessed model" not in page(made())


def test_the_command_makes_the_same_configuration_again() -> None:
    config = make_config(
        Preset.SAMPLE, {"pipeline_root": Path("/runs/x")}, ["training.epochs=7", "splits.test=test[:10%]"]
    )
    line = report.command(json.loads(config.model_dump_json()), "abc-dirty").splitlines()
    assert line[0].startswith("git checkout abc  #")
    words = shlex.split(line[1])
    assert words[:2] == ["mnist-pipeline", "run"]
    settings = [word for word in words[2:] if word != "--set"]
    again = make_config(Preset.FULL, {"pipeline_root": Path("/runs/x")}, settings)
    assert again.recorded() == config.recorded()


def test_the_defaults_need_no_settings() -> None:
    assert report.command(json.loads(RunConfig().model_dump_json()), None) == "mnist-pipeline run"


def test_two_runs_are_put_side_by_side() -> None:
    found = compare.differences({"a": 1.0, "b": "x", "c": None}, {"a": 1.5, "d": 2})
    assert [(item.name, item.first, item.second, item.change) for item in found] == [
        ("a", 1.0, 1.5, 0.5),
        ("b", "x", None, None),
        ("c", None, None, None),
        ("d", None, 2, None),
    ]
