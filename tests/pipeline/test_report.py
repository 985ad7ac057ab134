"""The page says at its top what became of the run, and why."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd
from typer.testing import CliRunner

from components.baseline import Baseline
from components.errors import UserError
from components.gate import Gate
from components.run_report.content import Findings, tables
from components.run_report.data import Variant
from pipeline import cli, compare, lineage, report, runner, summary
from pipeline.cli import make_config
from pipeline.config import DECIDING, Preset, RunConfig
from pipeline.lineage import Output, Step
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


def manifest(**device: Any) -> dict[str, Any]:
    found = {"latency_us_p50": 50.0, "latency_us_p95": 60.0, "arena_bytes": 30_000, "operators": {"CONV_2D": 6}}
    return {
        "dataset": {"builder": "mnist:3.0.1", "fingerprint": "f" * 64},
        "schema_sha256": "5" * 64,
        "device": found | device,
        "abstention": {"threshold": 0.5, "refused": 0.002, "images": 5000, "split": "eval"},
    }


FACTS = {
    "config": json.loads(RunConfig().model_dump_json()),
    "git_revision": None,
    "data_fingerprint": "f" * 64,
    "schema_sha256": "5" * 64,
    "packages": {"keras": "3"},
}


def page(summary: Summary, **device: Any) -> str:
    return report.render(
        summary,
        content=tables(findings()),
        figures={"confusion": "<svg><title>A matrix</title></svg>"},
        manifest=manifest(**device),
        artifacts={node.id: {"model": 7} for node in summary.nodes},
        evaluations=["/runs/evaluation/1"],
        facts=FACTS,
        schema=runner.built_in_schema("mnist"),
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


def gates_section(text: str) -> str:
    return text[text.index('<section id="gates">') : text.index("<table>")]


def test_the_served_version_that_a_model_was_compared_with_is_named_with_its_accuracy() -> None:
    baseline = Baseline("7", "/models/mnist/7", None, {"saved_model": 0.9952, "tflite": 0.9951})
    text = gates_section(page(made(baseline=baseline)))
    assert "Compared with what was served when the run began, version <code>/models/mnist/7</code>: accuracy of" in text
    assert 'saved_model <data value="0.9952">99.52 %</data>, tflite <data value="0.9951">99.51 %</data>.' in text


def test_without_a_baseline_the_reason_is_told() -> None:
    text = gates_section(page(made(baseline=Baseline(reason="no model is served yet"))))
    assert "Not compared with a served model: no model is served yet." in text
    assert "The served model" not in page(made())


def test_a_summary_of_an_earlier_version_of_this_program_says_nothing_of_a_baseline() -> None:
    assert "Compared with" not in page(made())


# To run it again.


def pasted(command: str, folder: Path) -> list[str]:
    """The arguments that a shell makes of the last line of some commands."""
    program = folder / "bin" / "mnist-pipeline"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    program.chmod(0o755)
    shell = ["sh", "-c", command.splitlines()[-1]]
    environment = {"PATH": f"{program.parent}:/usr/bin:/bin"}
    result = subprocess.run(shell, env=environment, capture_output=True, text=True, check=True)
    return result.stdout.split("\0")[:-1]


def parsed(arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """The configuration with which the command line would start a run; the run itself is left out."""
    configs = []

    def start(config: RunConfig, *others: Any, **more: Any) -> None:
        configs.append(config)
        raise UserError("that is enough")

    monkeypatch.setattr(runner, "run", start)
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(cli.app, arguments, env={"MNIST_MANUAL_DIR": None})
    assert isinstance(result.exception, UserError), result.output
    return configs[0]


BUILT_IN = runner.built_in_schema("mnist").read_bytes()
OWN = b'# My own schema.\nfeature { name: "image" }\n'
# What a run was started with: preset, content of the schema that it was given (None: none), settings.
RUNS: dict[str, tuple[Preset, bytes | None, list[str]]] = {
    "defaults": (Preset.FULL, None, []),
    "fast": (Preset.FAST, None, []),
    "sample": (Preset.SAMPLE, None, ["training.epochs=7", "splits.test=test[:10%]", "training.augment=false"]),
    "another dataset": (
        Preset.FULL,
        OWN,
        [
            "dataset=emnist/letters",
            "splits.train=train[:10%]+train[20%:]",
            "splits.eval=train[10%:20%]",
            "thresholds.accuracy=0.9",
            "thresholds.robustness=0.5",
            "device.bytes=200000",
            "training.learning_rate=1e-05",
            "manual_dir=/data/it's $HOME",
            "data_dir=/data/a b",
        ],
    ),
    "another schema": (Preset.FULL, OWN, ["thresholds.robustness=null"]),
    "a copy of the schema": (Preset.SAMPLE, BUILT_IN, []),
    "blessed anyway": (Preset.SAMPLE, None, ["bless_anyway=it's a `demo`; 50% off"]),
}


@pytest.mark.parametrize("kind", RUNS)
def test_the_command_makes_the_same_run_again(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset, schema, settings = RUNS[kind]
    given = None
    if schema is not None:
        given = tmp_path / "given.pbtxt"
        given.write_bytes(schema)
    config = make_config(preset, {"pipeline_root": Path("/runs/x"), "schema_file": given}, settings)
    copy = tmp_path / "the report" / "schema.pbtxt"
    copy.parent.mkdir()
    copy.write_bytes(runner.schema_file(config).read_bytes())
    if given:
        given.unlink()  # the report's own copy is enough

    command = report.command(json.loads(config.model_dump_json()), None, copy)
    again = parsed(pasted(command, tmp_path), tmp_path, monkeypatch)

    decides = DECIDING | {"manual_dir", "data_dir", "bless_anyway"}
    assert again.model_dump(include=decides) == config.model_dump(include=decides)
    assert again.recorded() == config.recorded()
    assert runner.schema_file(again).read_bytes() == copy.read_bytes()
    assert (again.schema_file is None) is (schema in (None, BUILT_IN))


def test_the_command_names_the_dataset_so_that_no_other_takes_its_place() -> None:
    line = report.command(FACTS["config"], None, runner.built_in_schema("mnist"))
    assert line == "mnist-pipeline run --dataset mnist"


def test_the_command_starts_with_the_code_of_the_run() -> None:
    schema = runner.built_in_schema("mnist")
    assert report.command(FACTS["config"], "abc", schema).splitlines()[0] == "git checkout abc"
    assert report.command(FACTS["config"], "abc-dirty", schema).startswith("git checkout abc  # and the changes")


def test_a_setting_that_was_none_is_named_too() -> None:
    assert "run_fn=null" in report.command(FACTS["config"] | {"run_fn": None}, None, runner.built_in_schema("mnist"))


def output(folder: Path, files: dict[str, str]) -> Output:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    return Output(1, folder, {})


def written(root: Path, schema: bytes) -> Path:
    """The report of a run whose steps left no more than the report needs."""
    blessing = {"manifest.json": json.dumps(manifest()), "model_card.md": "card"}
    outputs = {
        "RunReport": {"report": output(root / "content", {"report.json": json.dumps(tables(findings()))})},
        "QualityGate": {"blessing": output(root / "blessing", blessing)},
        "ImportSchemaGen": {"schema": output(root / "schema", {"schema.pbtxt": schema.decode()})},
        "SavedModelEvaluator": {"evaluation": output(root / "saved_model", {})},
        "TFLiteEvaluator": {"evaluation": output(root / "tflite", {})},
        "Trainer": {},
        "Pusher": {},
    }
    folder = root / "reports" / "run-1"
    folder.mkdir(parents=True)
    return report.write(made(), {node: Step(False, True, found) for node, found in outputs.items()}, FACTS, folder)


def test_the_schema_lies_beside_the_page_and_in_its_command(tmp_path: Path) -> None:
    page = written(tmp_path, OWN)
    copy = page.with_name("schema.pbtxt")
    assert copy.read_bytes() == OWN
    text = page.read_text()
    assert '<a href="schema.pbtxt">' in text
    assert f"--schema {copy}" in text[text.index("To run it again") :]


# Runs of an older format.


@pytest.mark.parametrize(
    "look", [lambda root: report.page(root, "latest"), lambda root: compare.compare(root, "x", "x")]
)
@pytest.mark.parametrize("content", ['{"run_id": "x", "dataset": "mnist"}', '{"run_id":', ""])
def test_a_summary_of_an_older_format_is_a_sentence(look: Callable[[Path], Any], content: str, tmp_path: Path) -> None:
    file = tmp_path / "reports" / "x" / "summary.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(UserError, match=r"Cannot read .*reports/x/summary\.json: expected .*Run the pipeline again"):
        look(tmp_path)


def test_an_older_run_that_is_not_looked_at_does_not_matter(tmp_path: Path) -> None:
    for run, text in {"a": "{}", "b": made(run_id="b").model_dump_json()}.items():
        (tmp_path / "reports" / run).mkdir(parents=True)
        (tmp_path / "reports" / run / "summary.json").write_text(text)
    assert summary.find(tmp_path, "latest").run_id == "b"


@pytest.mark.parametrize("known", [False, True])
def test_a_run_whose_artifacts_are_gone_is_a_sentence(known: bool, tmp_path: Path) -> None:
    summary.write(made(), tmp_path / "reports" / made().run_id / "summary.json")
    if known:  # ML Metadata knows the run, as an older version recorded it, and none of its steps
        store = lineage.open_store(tmp_path)
        kind = store.put_context_type(mlmd.ContextType(name="pipeline_run"))
        store.put_contexts([mlmd.Context(type_id=kind, name=made().run_id)])
        lineage.record(store, made().run_id, {"config": {}, "data_fingerprint": "f"})
    with pytest.raises(UserError, match=r"Cannot make the report of run .* another version of this program"):
        report.page(tmp_path, "latest")
    with pytest.raises(UserError, match=r"Cannot compare .* another version of this program"):
        compare.compare(tmp_path, "latest", "latest")


def test_an_evaluation_that_is_gone_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary.write(made(), tmp_path / "reports" / made().run_id / "summary.json")
    steps = {"TFLiteEvaluator": Step(False, True, {"evaluation": Output(1, tmp_path / "gone", {})})}
    monkeypatch.setattr(lineage, "steps", lambda *arguments: steps)
    with pytest.raises(UserError, match=r"Cannot compare .* does not exist"):
        compare.compare(tmp_path, "latest", "latest")


def test_two_runs_are_put_side_by_side() -> None:
    found = compare.differences({"a": 1.0, "b": "x", "c": None}, {"a": 1.5, "d": 2})
    assert [(item.name, item.first, item.second, item.change) for item in found] == [
        ("a", 1.0, 1.5, 0.5),
        ("b", "x", None, None),
        ("c", None, None, None),
        ("d", None, 2, None),
    ]
