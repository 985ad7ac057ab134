"""The file that ships runs on the runtimes that devices have, or is refused for a reason that names what is wrong."""

import dataclasses
import functools
import importlib.util
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from ml_metadata.proto import metadata_store_pb2
from tfx.components.pusher.executor import Executor as TFXPusher
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.types import standard_artifacts

from components.device_validator import component, validation
from components.device_validator.config import DeviceLimits
from components.device_validator.executor import Executor
from components.device_validator.validation import Reference, Validation, is_clear, mcnemar, validate
from components.gate import Gate
from components.tflite_exporter import conversion
from serving import runtimes, version_dir
from serving.runtimes import Execution
from tests import examples, releases
from tests.components import conversions

REPOSITORY = Path(__file__).parents[2]
LIMITS = DeviceLimits(latency_us=100_000)  # whatever else this machine does


@pytest.fixture(scope="module")
def file(release: Path) -> Path:
    return release / "Format-Serving" / "tflite"


@pytest.fixture(scope="module")
def outputs(file: Path) -> np.ndarray:
    """What the file says of the held-out digits."""
    return conversion.run(file.read_bytes(), releases.held_out()[0])


@pytest.fixture(scope="module")
def reference(outputs: np.ndarray) -> Reference:
    """Of a SavedModel that says just what the file says."""
    images, labels = releases.held_out()
    said, clear = outputs.argmax(axis=1), is_clear(outputs)
    return Reference(
        images=images,
        labels=labels,
        saved_model_labels=said,
        sample=np.concatenate([np.flatnonzero(clear)[::25], np.flatnonzero(~clear)[:5]]),
        golden_images=images[5:35],
        golden_labels=said[5:35],
        class_names=releases.DATASET.class_names,
    )


@pytest.fixture(scope="module")
def good(file: Path, reference: Reference) -> Validation:
    return validate(file, reference, LIMITS.model_copy(update={"bytes": file.stat().st_size}))


def gates(result: Validation) -> dict[tuple[str, str], Gate]:
    """By what was judged and by the metric; those of single classes have others of that name before them."""
    return {(gate.gate, gate.metric): gate for gate in result.gates if gate.metric != "recall_drop"}


def refused(result: Validation) -> set[tuple[str, str]]:
    return {(gate.gate, gate.metric) for gate in result.gates if gate.refused}


def test_a_good_file_passes_every_gate_on_every_runtime(good: Validation) -> None:
    assert good.passed
    assert [gate.reason for gate in good.gates if gate.passed is not True] == []
    assert list(gates(good)) == [
        ("device", "bytes"),
        ("device", "full_integer_problems"),
        ("LiteRT", "golden_mismatches"),
        ("LiteRT", "latency_us_p50"),
        ("LiteRT vs SavedModel", "label_agreement"),
        ("LiteRT vs SavedModel", "mcnemar_p"),
        ("LiteRT reference", "golden_mismatches"),
        ("LiteRT reference", "label_mismatches"),
        ("TFLite Micro", "golden_mismatches"),
        ("TFLite Micro", "label_mismatches"),
        ("TFLite Micro", "arena_bytes"),
    ]
    drops = [gate.slice for gate in good.gates if gate.metric == "recall_drop"]
    assert drops == [f"label={digit}" for digit in range(10)]


def test_what_was_measured_is_told(good: Validation, file: Path, outputs: np.ndarray) -> None:
    found = good.measurements
    assert found["bytes"] == file.stat().st_size
    assert found["sha256"] == version_dir.sha256(file)
    assert set(found["operators"]) >= {"CONV_2D", "FULLY_CONNECTED", "SOFTMAX"}
    assert found["packages"].keys() == {"ai-edge-litert", "tflite-micro"}
    assert 0 < found["latency_us_p50"] <= found["latency_us_p95"]
    assert 28 * 28 < found["arena_bytes"] < 65_536
    assert (found["agreement"], found["mcnemar"]) == (1.0, {"lost": 0, "won": 0, "p": 1.0})
    np.testing.assert_array_equal(good.outputs, outputs)  # of the test images, without the golden ones
    json.dumps(found)


@pytest.mark.parametrize("latency", [46.46, 46.5, 46.54, 47.45, 999.96])
def test_a_latency_is_the_same_number_wherever_it_is_told(latency: float) -> None:
    measurements: dict[str, Any] = {}
    execution = Execution(np.zeros((3, 10), np.uint8), np.full(3, latency), None)
    (gate,) = validation._latency_gates(execution, LIMITS, measurements)
    assert gate.value == measurements["latency_us_p50"] == round(latency, 1)
    assert f"an image takes {measurements['latency_us_p50']} µs" in gate.reason
    assert f"95 % take at most {measurements['latency_us_p95']} µs" in gate.reason


@pytest.mark.parametrize(("latency", "told", "passed"), [(1000.4, "1000.4", False), (1000.04, "1000.0", True)])
def test_a_latency_beside_its_bound_does_not_contradict_the_outcome(latency: float, told: str, passed: bool) -> None:
    execution = Execution(np.zeros((3, 10), np.uint8), np.full(3, latency), None)
    (gate,) = validation._latency_gates(execution, DeviceLimits(latency_us=1000), {})
    assert gate.passed is passed
    assert gate.reason.startswith(f"an image takes {told} µs on one thread")
    assert gate.reason.endswith("(required: at most 1,000)")


def test_the_integer_operators_are_named(good: Validation) -> None:
    reason = gates(good)["device", "full_integer_problems"].reason
    assert reason.startswith("integer operators only: CONV_2D, FULLY_CONNECTED, MAX_POOL_2D")


@pytest.fixture(scope="module")
def strained(file: Path, reference: Reference, good: Validation) -> Validation:
    """Every bound a little too tight, every expectation a little wrong."""
    limits = DeviceLimits(
        bytes=file.stat().st_size - 1,
        latency_us=0.01,
        arena_bytes=good.measurements["arena_bytes"] - 1,
        agreement=0.99,
        significance=0.9,
    )
    # The SavedModel gets all right; the digit 9 is expected of a golden image that shows a 0.
    golden = reference.golden_labels.copy()
    golden[0] = 9
    return validate(
        file, dataclasses.replace(reference, saved_model_labels=reference.labels, golden_labels=golden), limits
    )


@pytest.mark.parametrize(
    ("gate", "metric", "words"),
    [
        ("device", "bytes", "bytes (required: at most {bytes:,})"),
        ("LiteRT", "golden_mismatches", "1 of 30 golden images got another label on LiteRT (required: at most 0)"),
        ("LiteRT", "latency_us_p50", "µs on one thread, the median; 95 % take at most"),
        ("LiteRT vs SavedModel", "label_agreement", "{wrong} of 1,000 test images get another label than from the Sav"),
        (
            "LiteRT vs SavedModel",
            "mcnemar_p",
            "quantisation lost {wrong} right answers and won 0: McNemar's p is {p:.4g} (",
        ),
        ("LiteRT reference", "golden_mismatches", "1 of 30 golden images got another label on LiteRT reference"),
        ("TFLite Micro", "golden_mismatches", "1 of 30 golden images got another label on TFLite Micro (req"),
        ("TFLite Micro", "arena_bytes", "the arena of TFLite Micro takes {arena:,} bytes (required: at most {less:,})"),
    ],
)
def test_a_file_that_is_too_much_or_too_far_off_is_refused_with_the_figures(
    strained: Validation, good: Validation, reference: Reference, gate: str, metric: str, words: str
) -> None:
    wrong = int((reference.saved_model_labels != reference.labels).sum())
    assert wrong > 10
    arena = good.measurements["arena_bytes"]
    p = strained.measurements["mcnemar"]["p"]
    expected = words.format(bytes=strained.measurements["bytes"] - 1, wrong=wrong, arena=arena, less=arena - 1, p=p)
    found = gates(strained)[gate, metric]
    assert found.passed is False
    assert expected in found.reason
    assert not strained.passed


def test_of_a_refused_file_all_reasons_are_told_and_no_others(strained: Validation) -> None:
    passed = {(gate.gate, gate.metric) for gate in strained.gates if gate.passed} - refused(strained)
    assert passed == {
        ("device", "full_integer_problems"),
        ("LiteRT reference", "label_mismatches"),
        ("TFLite Micro", "label_mismatches"),
    }


# Comparisons of labels alone.


def compared(
    labels: np.ndarray, saved_model_labels: np.ndarray, truth: np.ndarray, names: str = "0123456789", **limits: float
) -> tuple[dict[tuple[str, str], Gate], dict]:
    """Gates by metric and slice, and what was measured. Limits that are not named pass everything."""
    nothing = np.zeros((0, *releases.SHAPE), np.uint8)
    measurements: dict = {}
    reference = Reference(nothing, truth, saved_model_labels, truth[:0], nothing, truth[:0], tuple(names))
    bounds = DeviceLimits(**{"agreement": 0, "significance": 0, "recall_drop": 1} | limits)
    found = validation._agreement_gates(labels, reference, bounds, measurements)
    assert {gate.gate for gate in found} == {"LiteRT vs SavedModel"}
    return {(gate.metric, gate.slice): gate for gate in found}, measurements


TRUTH = np.repeat(np.arange(10), 200)


def with_errors(count: int, start: int = 0) -> np.ndarray:
    """The truth but for some in a row that are wrong."""
    labels = TRUTH.copy()
    labels[start : start + count] = (labels[start : start + count] + 1) % 10
    return labels


@pytest.mark.parametrize(("different", "passed"), [(2, True), (3, False)])
def test_one_label_of_a_thousand_may_differ_and_no_more(different: int, passed: bool) -> None:
    found, measurements = compared(with_errors(different), TRUTH, TRUTH, agreement=0.999)
    gate = found["label_agreement", "overall"]
    assert gate.passed is passed
    assert measurements["agreement"] == gate.value == 1 - different / 2000
    assert gate.reason.startswith(f"{different} of 2,000 test images get another label than from the SavedModel")


def test_labels_agree_when_both_are_wrong_alike() -> None:
    found, _ = compared(with_errors(50), with_errors(50), TRUTH, agreement=1, significance=0.9, recall_drop=0)
    assert all(gate.passed for gate in found.values())


@pytest.mark.parametrize(
    ("lost", "won", "p", "passed"),
    [
        (5, 0, "0.0625", True),
        (6, 0, "0.03125", False),  # 1 / 32
        (0, 6, "0.03125", False),  # significant is significant, whichever is better
        (8, 1, "0.03906", False),  # 2 * (1 + 9) / 2^9
        (8, 2, "0.1094", True),  # 2 * (1 + 10 + 45) / 2^10
        (25, 12, "0.04703", False),
        (150, 117, "0.04998", False),  # what is shown does not contradict the outcome
    ],
)
def test_answers_lost_and_won_by_quantisation_must_not_differ_significantly(
    lost: int, won: int, p: str, passed: bool
) -> None:
    found, measurements = compared(with_errors(lost), with_errors(won, start=1000), TRUTH, significance=0.05)
    gate = found["mcnemar_p", "overall"]
    assert gate.passed is passed
    assert measurements["mcnemar"] == {"lost": lost, "won": won, "p": gate.value}
    errors = f"quantisation lost {lost} right answers and won {won}: McNemar's p is {p}"
    assert gate.reason == f"{errors} (required: at least 0.05)"


@pytest.mark.parametrize(("lost", "passed"), [(1, True), (2, False)])
def test_no_class_may_lose_more_than_half_a_percent_of_its_images(lost: int, passed: bool) -> None:
    # Of 200 sevens the SavedModel gets 190 right; in floats, 0.95 - 0.945 is a hair more than 0.005.
    found, _ = compared(with_errors(10 + lost, 1400), with_errors(10, 1400), TRUTH, recall_drop=0.005)
    failed = [key for key, gate in found.items() if not gate.passed]
    assert failed == ([] if passed else [("recall_drop", "label=7")])
    assert found["recall_drop", "label=7"].reason == (
        f"recall of 7 is {0.95 - lost / 200:.4f}, the SavedModel's is 0.9500: a drop of {lost / 200:.4f} "
        "(required: at most 0.0050)"
    )


def test_a_recall_that_rises_passes() -> None:
    found, _ = compared(TRUTH, with_errors(50, start=400), TRUTH, recall_drop=0)
    assert found["recall_drop", "label=2"].value == -0.25
    assert found["recall_drop", "label=2"].passed


def test_a_class_without_test_images_has_no_recall_to_fall() -> None:
    found, _ = compared(np.array([0, 2]), np.array([0, 2]), np.array([0, 2]), names="abc")
    assert [part for metric, part in found if metric == "recall_drop"] == ["label=0", "label=2"]


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (0, 5, 2 / 32), (6, 0, 2 / 64), (1, 9, 22 / 1024), (3, 3, 1.0), (10, 0, 2 / 1024)],
)
def test_mcnemars_p_is_that_of_a_table_worked_by_hand(one: int, other: int, p: float) -> None:
    assert mcnemar(one, other) == pytest.approx(p)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemars_p_is_the_part_of_coin_flips_that_are_as_uneven(one: int, other: int) -> None:
    flips = one + other
    uneven = sum(math.comb(flips, heads) for heads in range(flips + 1) if abs(2 * heads - flips) >= abs(one - other))
    assert mcnemar(one, other) == pytest.approx(uneven / 2**flips)
    assert mcnemar(one, other) == mcnemar(other, one)


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_more_one_sided_the_errors_the_smaller_is_mcnemars_p(fewer: int, more: int) -> None:
    fewer, more = sorted((fewer, more))
    assert 0 < mcnemar(fewer, more + 1) <= mcnemar(fewer, more) + 1e-9


def test_an_answer_is_clear_if_it_leads_by_more_than_a_tenth() -> None:
    rows = [[0, 141, 115], [141, 115, 0], [0, 140, 115], [128, 0, 128], [255, 0, 0], [86, 85, 85], [0, 255, 255]]
    assert is_clear(np.array(rows, np.uint8)).tolist() == [True, True, False, False, True, False, False]


# Files that are no files of this kind: no runtime is asked.


@pytest.fixture(scope="module")
def tiny() -> dict[str, bytes]:
    """Files of the small random network, made in ways that the pipeline does not."""
    model, noise = conversions.with_pixels_in(conversions.bare_network()), conversions.noise()
    tan = conversions.with_operator(tf.math.tan)
    gelu = conversions.with_operator(lambda x: tf.nn.gelu(x, approximate=True))
    whole = conversion.to_full_integer(model, noise)
    return {
        "whole": whole,
        "cut off": whole[: len(whole) // 2],
        "text": b"404: Not Found",
        "empty": b"",
        "float": conversion.to_variant(model, "float32"),
        "int8": conversions.convert(model, noise, **conversions.INT8),
        "flex": conversions.convert(tan, noise, **conversions.FLEX),
        "gelu": conversions.convert(gelu, noise, **conversions.UINT8),
    }


def tiny_reference(content: bytes | None = None) -> Reference:
    """Of a SavedModel that says what the file says, as far as the file can be run."""
    images = conversions.noise()
    labels = np.zeros(len(images), int) if content is None else conversion.run(content, images).argmax(axis=1)
    return Reference(images, labels, labels, np.arange(10), images[:3], labels[:3], ("a", "b", "c"))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("cut off", "damaged or cut off"),
        ("text", "Not a TFLite model: expected the identifier TFL3"),
        ("empty", "in a file of 0 bytes"),
        ("float", "expected integer tensors alone, got floats in"),
        ("int8", "expected input uint8 [1, 8, 8, 1], got int8 [1, 8, 8, 1]"),
        ("flex", "expected built-in operators alone, got FlexTan"),
    ],
)
def test_what_is_no_full_integer_file_is_refused_before_any_runtime_starts(
    tiny: dict[str, bytes], kind: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "_MODULE", "no.such.module")
    (tmp_path / "tflite").write_bytes(tiny[kind])
    result = validate(tmp_path / "tflite", tiny_reference(), LIMITS)

    assert not result.passed
    (gate,) = [gate for gate in result.gates if gate.refused]
    assert (gate.gate, gate.metric) == ("device", "full_integer_problems")
    assert words in gate.reason
    assert not gate.reason.endswith(".")
    assert result.outputs is None
    assert result.measurements["latency_us_p50"] is None
    assert len(result.gates) == 2


def test_a_file_of_other_images_or_classes_is_refused(file: Path) -> None:
    result = validate(file, tiny_reference(), LIMITS)
    (gate,) = [gate for gate in result.gates if gate.refused]
    assert "expected input uint8 [1, 8, 8, 1], got uint8 [1, 28, 28, 1]" in gate.reason
    assert "expected output uint8 [1, 3], got uint8 [1, 10]" in gate.reason


# Files that a runtime cannot run, and runtimes that fail.


def test_a_file_that_declares_well_and_does_not_load_is_refused_in_the_runtimes_words(
    file: Path, reference: Reference, tmp_path: Path
) -> None:
    (tmp_path / "tflite").write_bytes(releases.that_does_not_load(file.read_bytes()))
    result = validate(tmp_path / "tflite", reference, LIMITS)
    assert refused(result) == {("LiteRT", "golden_mismatches")}
    assert result.gates[-1].reason.startswith("LiteRT could not run the file: RuntimeError: ")
    assert result.gates[-1].reason.endswith("failed to prepare")
    assert result.gates[-1].value is None
    assert result.outputs is None


def test_an_operator_that_tflite_micro_lacks_is_named(tiny: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "tflite").write_bytes(tiny["gelu"])
    result = validate(tmp_path / "tflite", tiny_reference(tiny["gelu"]), LIMITS)

    assert refused(result) == {("TFLite Micro", "golden_mismatches")}
    reason = gates(result)["TFLite Micro", "golden_mismatches"].reason
    assert reason == "TFLite Micro could not run the file: unsupported operators: GELU"
    assert result.measurements["arena_bytes"] is None
    assert result.outputs is not None


def test_where_tflite_micro_is_absent_its_gate_was_not_run_which_is_no_pass_and_no_refusal(
    file: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tflite_micro" else find(name, *rest)
    )
    result = validate(file, reference, LIMITS)

    (gate,) = [gate for gate in result.gates if gate.gate == "TFLite Micro"]
    assert gate.passed is None
    assert gate.value is None
    assert gate.reason == "TFLite Micro was not run: the optional package tflite-micro is not installed"
    assert not gate.refused
    assert result.passed
    assert result.measurements["packages"].keys() == {"ai-edge-litert"}
    assert result.measurements["arena_bytes"] is None


# A process of a runtime with a fault: otherwise it does what the real one does.
FAULTY = """
import ctypes, runpy, sys, time
import numpy as np

def wrong_answers():
    runpy.run_module("serving.runtime_process", run_name="__main__", alter_sys=True)
    with np.load(sys.argv[4]) as results:
        np.savez(sys.argv[4], outputs=np.roll(results["outputs"], 1, axis=1), latencies_us=results["latencies_us"])
    sys.exit(0)

sys.path.insert(0, {repository!r})
faults = {faults!r}
exec(faults.get(sys.argv[1], "runpy.run_module('serving.runtime_process', run_name='__main__', alter_sys=True)"))
"""


@pytest.fixture
def fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the process of some runtimes, by their names, do something else."""

    def set_faults(**faults: str) -> None:
        (tmp_path / "faulty.py").write_text(FAULTY.format(repository=str(REPOSITORY), faults=faults))
        monkeypatch.setattr(runtimes, "_IMPORT_PATH", tmp_path)
        monkeypatch.setattr(runtimes, "_MODULE", "faulty")

    return set_faults


def test_runtimes_that_crash_or_say_something_else_than_litert_are_no_crash_of_ours(
    file: Path, reference: Reference, good: Validation, fault: Callable[..., None]
) -> None:
    fault(LITERT_REFERENCE="ctypes.string_at(0)", MICRO="wrong_answers()")
    limits = LIMITS.model_copy(update={"arena_bytes": good.measurements["arena_bytes"]})
    result = validate(file, reference, limits)

    found = gates(result)
    assert refused(result) == {
        ("LiteRT reference", "golden_mismatches"),
        ("TFLite Micro", "golden_mismatches"),
        ("TFLite Micro", "label_mismatches"),
    }
    crash = found["LiteRT reference", "golden_mismatches"]
    assert crash.reason == "LiteRT reference could not run the file: it ended with SIGSEGV"
    assert crash.value is None
    clear = len(reference.sample) - 5
    assert found["TFLite Micro", "golden_mismatches"].value == 30
    assert found["TFLite Micro", "label_mismatches"].value == clear
    assert f"{clear} of {clear} sampled test images that are clear to LiteRT" in (
        found["TFLite Micro", "label_mismatches"].reason
    )
    assert found["TFLite Micro", "arena_bytes"].passed  # a bound that is just kept


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("ctypes.string_at(0)", "LiteRT could not run the file: it ended with SIGSEGV"),
        ("time.sleep(600)", "LiteRT did not finish 1030 images in 1 s"),
        ("raise MemoryError('no room')", "LiteRT could not run the file: MemoryError: no room"),
        ("sys.exit(7)", "LiteRT could not run the file: exit code 7"),
        ("sys.exit(0)", "LiteRT could not run the file: it left no answers"),
        ("open(sys.argv[4], 'w').write('half'); sys.exit(0)", "LiteRT could not run the file: it left no answers"),
    ],
)
def test_a_litert_that_fails_ends_the_validation_with_its_reason(
    file: Path,
    reference: Reference,
    fault: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    deed: str,
    words: str,
) -> None:
    fault(LITERT=deed)
    if "sleep" in deed:
        monkeypatch.setattr(validation, "execute", functools.partial(runtimes.execute, timeout=1))
    result = validate(file, reference, LIMITS)

    assert refused(result) == {("LiteRT", "golden_mismatches")}
    assert words in result.gates[-1].reason
    assert not result.passed
    assert result.outputs is None


# The component.

SETTINGS = {
    "dataset": releases.DATASET.to_json(),
    "limits": DeviceLimits(latency_us=100_000, agreement=0.97, significance=0, recall_drop=0.2).model_dump_json(),
    "machine": "this one, 2 cores",
    "seed": 1,
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.Examples:
    """Two hundred of the held-out digits, and a split that must not be looked at."""
    images, labels = (array[::5] for array in releases.held_out())
    records = [examples.example(examples.png(image), int(label)) for image, label in zip(images, labels, strict=True)]
    splits = {"train": [examples.example(b"no image", 0)], "test": records}
    return examples.artifact(splits, tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def run(stored: standard_artifacts.Examples, release: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The output artifacts, by type, of a run under TFX's runner."""
    folder = tmp_path_factory.mktemp("run")
    importer = Importer(
        source_uri=stored.uri,
        artifact_type=standard_artifacts.Examples,
        properties={"split_names": stored.split_names},
        custom_properties={"payload_format": "FORMAT_TF_EXAMPLE", "file_format": "tfrecords_gzip"},
    ).with_id("Stored")
    model = Importer(source_uri=str(release), artifact_type=standard_artifacts.Model).with_id("Release")
    validator = component.DeviceValidator(importer.outputs["result"], model.outputs["result"], **SETTINGS)
    connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))
    LocalDagRunner().run(
        pipeline.Pipeline(
            pipeline_name="validate",
            pipeline_root=str(folder / "root"),
            components=[importer, model, validator],
            metadata_connection_config=connection,
        )
    )
    with metadata.Metadata(connection) as handle:
        return {
            name: handle.store.get_artifacts_by_type(name)[0]
            for name in ("InfraBlessing", component.TestPredictions.TYPE_NAME)
        }


def test_under_a_runner_a_good_file_is_blessed_with_reasons_and_measurements(
    run: dict[str, metadata_store_pb2.Artifact],
) -> None:
    blessing = Path(run["InfraBlessing"].uri)
    outcome = json.loads((blessing / "device.json").read_text())
    assert [gate["reason"] for gate in outcome["gates"] if gate["passed"] is not True] == []
    assert {gate["gate"] for gate in outcome["gates"]} == {
        "device",
        "LiteRT",
        "LiteRT vs SavedModel",
        "LiteRT reference",
        "TFLite Micro",
    }
    assert outcome["measurements"]["arena_bytes"] > 0
    assert {path.name for path in blessing.iterdir()} == {"device.json", "INFRA_BLESSED"}
    assert run["InfraBlessing"].custom_properties["blessed"].int_value == 1


def test_under_a_runner_the_answers_of_both_files_to_the_test_split_are_kept(
    run: dict[str, metadata_store_pb2.Artifact], file: Path
) -> None:
    images, labels = (array[::5] for array in releases.held_out())
    with np.load(Path(run["TestPredictions"].uri) / "predictions.npz") as answers:
        assert set(answers) == {"labels", "saved_model_probabilities", "tflite_output"}
        np.testing.assert_array_equal(answers["labels"], labels)
        np.testing.assert_array_equal(answers["tflite_output"], conversion.run(file.read_bytes(), images))
        served = tf.saved_model.load(str(file.parent)).signatures["serve_images"]
        expected = served(images=tf.constant(images))["probabilities"]
        np.testing.assert_allclose(answers["saved_model_probabilities"], expected, atol=1e-5)


def execute(stored: standard_artifacts.Examples, release: Path, folder: Path, **limits: float) -> dict:
    """Runs the executor as TFX does; returns the output artifacts by their keys."""
    model = standard_artifacts.Model()
    model.uri = str(release)
    outputs = {"blessing": standard_artifacts.InfraBlessing(), "predictions": component.TestPredictions()}
    for key, artifact in outputs.items():
        artifact.uri = str(folder / key)
    settings = SETTINGS | {"limits": json.dumps(json.loads(SETTINGS["limits"]) | limits)}
    Executor().Do(
        {"examples": [stored], "model": [model]}, {key: [artifact] for key, artifact in outputs.items()}, settings
    )
    return outputs


def test_a_file_over_its_budget_is_not_blessed_and_its_answers_are_kept_all_the_same(
    stored: standard_artifacts.Examples, release: Path, tmp_path: Path
) -> None:
    outputs = execute(stored, release, tmp_path, bytes=100)

    assert outputs["blessing"].get_int_custom_property("blessed") == 0
    assert {path.name for path in (tmp_path / "blessing").iterdir()} == {"device.json", "INFRA_NOT_BLESSED"}
    found = json.loads((tmp_path / "blessing" / "device.json").read_text())["gates"]
    assert [gate["metric"] for gate in found if gate["passed"] is False] == ["bytes"]
    assert not TFXPusher().CheckBlessing({"infra_blessing": [outputs["blessing"]]})
    with np.load(tmp_path / "predictions" / "predictions.npz") as answers:
        assert answers["tflite_output"].shape == (200, 10)


def test_a_damaged_file_is_not_blessed_and_the_saved_models_answers_are_kept(
    stored: standard_artifacts.Examples, release: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "release"
    damaged.mkdir()
    (damaged / "Format-Serving").mkdir()
    for item in (release / "Format-Serving").iterdir():
        if item.name != "tflite":
            (damaged / "Format-Serving" / item.name).symlink_to(item)
    (damaged / "Format-Serving" / "tflite").write_bytes((release / "Format-Serving" / "tflite").read_bytes()[:5000])
    outputs = execute(stored, damaged, tmp_path)

    assert not TFXPusher().CheckBlessing({"infra_blessing": [outputs["blessing"]]})
    with np.load(tmp_path / "predictions" / "predictions.npz") as answers:
        assert set(answers) == {"labels", "saved_model_probabilities"}


def test_tfx_takes_the_blessing_for_one(run: dict[str, metadata_store_pb2.Artifact]) -> None:
    blessing = standard_artifacts.InfraBlessing()
    blessing.set_mlmd_artifact(run["InfraBlessing"])
    assert TFXPusher().CheckBlessing({"infra_blessing": [blessing]})
