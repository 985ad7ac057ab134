"""Every gate both ways, on the property and on disk, with a reason."""

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
import tensorflow_model_analysis as tfma
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_model_analysis.proto import config_pb2
from tfx.components.pusher.executor import Executor as TFXPusher
from tfx.types import standard_artifacts

from components.gate import Gate
from components.quality_gate import executor, gates
from components.robustness.component import RobustnessEvaluation
from components.tfds_example_gen.datasets import Dataset
from pipeline import evaluation
from pipeline.config import Thresholds
from serving import version_dir
from tests.components.evaluations import CLASSES, evaluate

FRACTIONS = st.floats(0, 1)


def at_least(bound: float) -> tfma.GenericValueThreshold:
    return tfma.GenericValueThreshold(lower_bound={"value": bound})


def at_most(bound: float) -> tfma.GenericValueThreshold:
    return tfma.GenericValueThreshold(upper_bound={"value": bound})


def change(direction: int, absolute: float) -> tfma.GenericChangeThreshold:
    return tfma.GenericChangeThreshold(direction=direction, absolute={"value": absolute})


HIGHER, LOWER = tfma.MetricDirection.HIGHER_IS_BETTER, tfma.MetricDirection.LOWER_IS_BETTER


@pytest.mark.parametrize(
    ("value", "threshold", "passed"),
    [
        (0.994, at_least(0.994), True),
        (math.nextafter(0.994, 0), at_least(0.994), False),
        (1.0, at_least(0.994), True),
        (0.25, at_most(0.25), True),
        (math.nextafter(0.25, 1), at_most(0.25), False),
        (0.0, at_most(0.25), True),
        (0.0, at_least(0.0), True),  # a bound of zero is a bound
        (0.1, at_most(0.0), False),
        (math.nan, at_least(0.5), False),
        (math.nan, at_most(0.5), False),
    ],
)
def test_a_value_passes_up_to_its_bound_and_not_beyond(
    value: float, threshold: tfma.GenericValueThreshold, passed: bool
) -> None:
    assert gates.value_gate("tflite", "accuracy", "overall", value, threshold).passed is passed


@pytest.mark.parametrize(
    ("value", "baseline", "threshold", "bound", "passed"),
    [
        (0.75, 1.0, change(HIGHER, -0.25), 0.75, True),
        (math.nextafter(0.75, 0), 1.0, change(HIGHER, -0.25), 0.75, False),
        (0.5, 0.25, change(HIGHER, 0.25), 0.5, True),  # must be better by that much
        (0.49, 0.25, change(HIGHER, 0.25), 0.5, False),
        (0.75, 0.5, change(LOWER, 0.25), 0.75, True),
        (math.nextafter(0.75, 1), 0.5, change(LOWER, 0.25), 0.75, False),
        (math.nan, 0.5, change(HIGHER, -0.25), 0.25, False),
    ],
)
def test_a_change_passes_up_to_its_bound_and_not_beyond(
    value: float, baseline: float, threshold: tfma.GenericChangeThreshold, bound: float, passed: bool
) -> None:
    gate = gates.change_gate("tflite", "accuracy", "overall", value, baseline, threshold)
    assert (gate.passed, gate.bound, gate.baseline) == (passed, bound, baseline)


@given(value=FRACTIONS, bound=FRACTIONS)
def test_a_lower_bound_passes_what_is_no_less(value: float, bound: float) -> None:
    assert gates.value_gate("f", "m", "overall", value, at_least(bound)).passed == (value >= bound)


def test_a_reason_says_what_was_measured_where_and_what_is_asked() -> None:
    gate = gates.value_gate("tflite", "accuracy", "label=3", 0.9712, at_least(0.98))
    assert gate.reason == "accuracy of tflite on label=3 is 0.9712; at least 0.9800 is asked for"
    gate = gates.change_gate("tflite", "accuracy", "overall", 0.99, 0.995, change(HIGHER, -0.002))
    assert gate.reason == (
        "accuracy of tflite on overall is 0.9900, the blessed model's 0.9950; at least 0.9930 is asked for"
    )
    assert gate.gate == "tflite vs baseline"


@pytest.mark.parametrize(
    ("key", "name"),
    [((), "overall"), ((("label", 3),), "label=3"), ((("ink", 0), ("label", 3)), "ink=0, label=3")],
)
def test_slices_have_names_for_people(key: tuple, name: str) -> None:
    assert gates.slice_name(key) == name


@pytest.mark.parametrize(
    ("keys", "part", "matches"),
    [
        ([], "overall", True),
        ([], "label=3", False),
        (["label"], "label=3", True),
        (["label"], "overall", False),
        (["label"], "ink_quartile=3", False),
        (["label"], "ink_quartile=0, label=3", False),
        (["label", "ink_quartile"], "ink_quartile=0, label=3", True),  # TFMA sorts the features of a slice
    ],
)
def test_a_threshold_holds_for_its_own_slices_alone(keys: list[str], part: str, matches: bool) -> None:
    assert gates._matches(tfma.SlicingSpec(feature_keys=keys), part) is matches


EASY = Thresholds(accuracy=0.8, class_accuracy=0.7, accuracy_drop=0.1, class_accuracy_drop=0.2)
GOOD = {0: 10, 1: 9, 2: 9}
BAD_ONE = {0: 10, 1: 10, 2: 6}  # good enough over all, and not on class 2


CONFIG = evaluation.saved_model_eval_config(CLASSES, EASY)


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("evaluations")
    return {
        "good": evaluate(GOOD, CONFIG, folder / "good").uri,
        "bad": evaluate(BAD_ONE, CONFIG, folder / "bad").uri,
    }


def table(found: list[gates.Gate]) -> dict[tuple[str, str], tuple[float, float, float | None, bool]]:
    numbers = {}
    for gate in found:
        baseline = None if gate.baseline is None else round(gate.baseline, 4)
        numbers[gate.gate, gate.slice] = (round(gate.value, 4), round(gate.bound, 4), baseline, gate.passed)
    return numbers


def test_gates_are_what_tfma_measured_against_what_was_asked(evaluations: dict[str, str]) -> None:
    result = gates.read_evaluation(evaluations["good"], "tflite")
    assert table(result.gates) == {
        ("tflite", "overall"): (0.9333, 0.8, None, True),
        ("tflite", "label=0"): (1.0, 0.7, None, True),
        ("tflite", "label=1"): (0.9, 0.7, None, True),
        ("tflite", "label=2"): (0.9, 0.7, None, True),
        ("tflite vs baseline", "overall"): (0.9333, 0.8, 0.9, True),
        ("tflite vs baseline", "label=0"): (1.0, 0.7, 0.9, True),
        ("tflite vs baseline", "label=1"): (0.9, 0.7, 0.9, True),
        ("tflite vs baseline", "label=2"): (0.9, 0.7, 0.9, True),
    }
    assert result.metrics["overall"]["example_count"] == 30
    assert result.baseline["label=2"]["accuracy"] == pytest.approx(0.9)


def test_one_bad_class_fails_its_gates_and_no_other(evaluations: dict[str, str]) -> None:
    result = gates.read_evaluation(evaluations["bad"], "tflite")
    failed = {key: value for key, value in table(result.gates).items() if not value[-1]}
    assert failed == {
        ("tflite", "label=2"): (0.6, 0.7, None, False),
        ("tflite vs baseline", "label=2"): (0.6, 0.7, 0.9, False),
    }


def test_without_a_baseline_there_are_the_absolute_gates_alone(tmp_path: Path) -> None:
    result = gates.read_evaluation(evaluate(BAD_ONE, CONFIG, tmp_path, against_baseline=False).uri, "tflite")

    assert {gate.gate for gate in result.gates} == {"tflite"}
    assert [gate.slice for gate in result.gates if not gate.passed] == ["label=2"]
    assert len(result.gates) == 4
    assert result.baseline == {}


def test_a_reason_that_only_tfma_knows_is_a_gate_of_its_own(tmp_path: Path) -> None:
    config = tfma.EvalConfig()
    config.CopyFrom(CONFIG)
    accuracy = next(metric for metric in config.metrics_specs[0].metrics if metric.per_slice_thresholds)
    accuracy.per_slice_thresholds.append(
        config_pb2.PerSliceMetricThreshold(
            slicing_specs=[tfma.SlicingSpec(feature_values={"label": "7"})],  # no example is of this class
            threshold=tfma.MetricThreshold(value_threshold=at_least(0.1)),
        )
    )
    result = gates.read_evaluation(evaluate(GOOD, config, tmp_path).uri, "tflite")

    (failed,) = [gate for gate in result.gates if not gate.passed]
    assert (failed.gate, failed.metric, failed.slice) == ("tflite", "validation", "overall")
    assert "TFMA refused tflite" in failed.reason


ABSTENTION = {"threshold": 0.5, "split": "eval", "images": 400, "refused": 0.0025}
MEASUREMENTS = {"bytes": 91_234, "latency_us_p50": 55.2, "arena_bytes": 31_456, "agreement": 0.9995}
ROBUSTNESS = {"images": 30, "model": {"mean": 0.85, "worst": {"corruption": "fog", "accuracy": 0.4}, "accuracy": {}}}


def device_gate(passed: bool | None) -> Gate:
    return Gate("TFLite Micro", "arena_bytes", "overall", 31_456, 65_536, None, passed, "the reason")


@pytest.fixture
def release(tmp_path: Path) -> standard_artifacts.Model:
    folder = tmp_path / "model" / "Format-Serving"
    (folder / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index", "tflite", "labels.txt"):
        (folder / name).write_bytes(name.encode())
    (tmp_path / "model" / "abstention.json").write_text(json.dumps(ABSTENTION))
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    model.id = 5
    return model


DATASET = Dataset("mnist", "mnist:3.0.1", "3.0.1", (28, 28, 1), tuple("0123456789"), {"test": "test"}, "f" * 64)


def judge(
    release: standard_artifacts.Model,
    saved_model: str,
    tflite: str,
    folder: Path,
    bless_anyway: str | None = None,
    device: bool | None = True,
) -> standard_artifacts.ModelBlessing:
    """Has the gate judge two evaluations, and a validation on devices whose one gate passed, failed, or did not run."""
    schema = standard_artifacts.Schema()
    schema.uri, schema.id = str(folder / "schema"), 4
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text("# curated")
    inputs: dict = {"schema": [schema], "model": [release]}
    for number, (key, uri) in enumerate({"saved_model": saved_model, "tflite": tflite}.items()):
        artifact = standard_artifacts.ModelEvaluation()
        artifact.uri, artifact.id = uri, 10 + number
        inputs[f"{key}_evaluation"] = [artifact]
    contents = {
        "device_validation": ("device.json", {"measurements": MEASUREMENTS, "gates": [asdict(device_gate(device))]}),
        "robustness": ("robustness.json", ROBUSTNESS),
    }
    for number, (key, (name, content)) in enumerate(contents.items()):
        artifact = RobustnessEvaluation() if key == "robustness" else standard_artifacts.InfraBlessing()
        artifact.uri, artifact.id = str(folder / key), 12 + number
        (folder / key).mkdir()
        (folder / key / name).write_text(json.dumps(content))
        inputs[key] = [artifact]
    blessing = standard_artifacts.ModelBlessing()
    blessing.uri = str(folder / "blessing")
    properties = {"config": '{"dataset": "mnist"}', "dataset": DATASET.to_json(), "bless_anyway": bless_anyway}
    executor.Executor().Do(inputs, {"blessing": [blessing]}, properties)
    return blessing


DOCUMENTS = {"gates.json", "manifest.json", "model_card.md"}


def files(blessing: standard_artifacts.ModelBlessing) -> set[str]:
    return {path.name for path in Path(blessing.uri).iterdir()}


def read(blessing: standard_artifacts.ModelBlessing, name: str) -> dict:
    return json.loads((Path(blessing.uri) / name).read_text())


def tfx_would_push(blessing: standard_artifacts.ModelBlessing) -> bool:
    return TFXPusher().CheckBlessing({"model_blessing": [blessing]})


def test_a_release_that_passes_is_blessed(
    release: standard_artifacts.Model, evaluations: dict[str, str], tmp_path: Path
) -> None:
    blessing = judge(release, evaluations["good"], evaluations["good"], tmp_path)

    assert blessing.get_int_custom_property("blessed") == 1
    assert blessing.get_int_custom_property("current_model_id") == 5
    assert blessing.get_string_custom_property("current_model") == release.uri
    assert not blessing.has_custom_property("bless_anyway")
    assert files(blessing) == {"BLESSED", *DOCUMENTS}
    assert tfx_would_push(blessing)
    outcome = read(blessing, "gates.json")
    assert (outcome["blessed"], outcome["passed"], outcome["bless_anyway"]) == (True, True, None)
    assert len(outcome["gates"]) == 17


@pytest.mark.parametrize("bad_file", ["saved_model", "tflite"])
def test_a_release_of_which_one_file_fails_is_refused(
    release: standard_artifacts.Model, evaluations: dict[str, str], tmp_path: Path, bad_file: str
) -> None:
    uris = {"saved_model": evaluations["good"], "tflite": evaluations["good"]} | {bad_file: evaluations["bad"]}
    blessing = judge(release, **uris, folder=tmp_path)

    assert blessing.get_int_custom_property("blessed") == 0
    assert files(blessing) == {"NOT_BLESSED", *DOCUMENTS}
    assert not tfx_would_push(blessing)
    failed = [gate for gate in read(blessing, "gates.json")["gates"] if not gate["passed"]]
    assert {gate["slice"] for gate in failed} == {"label=2"}
    assert all(gate["gate"].startswith(bad_file) for gate in failed)


def test_a_release_that_fails_on_a_device_alone_is_refused(
    release: standard_artifacts.Model, evaluations: dict[str, str], tmp_path: Path
) -> None:
    blessing = judge(release, evaluations["good"], evaluations["good"], tmp_path, device=False)

    assert blessing.get_int_custom_property("blessed") == 0
    assert files(blessing) == {"NOT_BLESSED", *DOCUMENTS}
    assert not tfx_would_push(blessing)
    outcome = read(blessing, "gates.json")
    assert outcome["passed"] is False
    assert [gate for gate in outcome["gates"] if gate["passed"] is not True] == [asdict(device_gate(False))]


def test_a_device_gate_that_was_not_run_refuses_nothing_and_is_not_told_as_passed(
    release: standard_artifacts.Model, evaluations: dict[str, str], tmp_path: Path
) -> None:
    blessing = judge(release, evaluations["good"], evaluations["good"], tmp_path, device=None)

    assert blessing.get_int_custom_property("blessed") == 1
    assert tfx_would_push(blessing)
    outcome = read(blessing, "gates.json")
    assert (outcome["blessed"], outcome["passed"]) == (True, True)
    assert [gate for gate in outcome["gates"] if gate["passed"] is not True] == [asdict(device_gate(None))]


@pytest.mark.parametrize(("passed", "refused"), [(True, False), (False, True), (None, False)])
def test_only_a_gate_that_failed_keeps_a_release_from_shipping(passed: bool | None, refused: bool) -> None:
    assert device_gate(passed).refused is refused


def test_a_refused_release_may_be_blessed_for_a_reason_that_is_recorded(
    release: standard_artifacts.Model, evaluations: dict[str, str], tmp_path: Path
) -> None:
    blessing = judge(release, evaluations["bad"], evaluations["bad"], tmp_path, bless_anyway="demo on Friday")

    assert blessing.get_int_custom_property("blessed") == 1
    assert blessing.get_string_custom_property("bless_anyway") == "demo on Friday"
    assert files(blessing) == {"BLESSED", *DOCUMENTS}
    assert tfx_would_push(blessing)
    outcome = read(blessing, "gates.json")
    assert (outcome["blessed"], outcome["passed"], outcome["bless_anyway"]) == (True, False, "demo on Friday")
    assert read(blessing, "manifest.json")["verdict"] == {
        "blessed": True,
        "passed": False,
        "bless_anyway": "demo on Friday",
    }


def test_the_manifest_holds_the_hashes_of_the_judged_files_under_their_names_when_pushed(
    release: standard_artifacts.Model, evaluations: dict[str, str], tmp_path: Path
) -> None:
    manifest = read(judge(release, evaluations["good"], evaluations["good"], tmp_path), "manifest.json")

    folder, blessing = Path(release.uri) / "Format-Serving", tmp_path / "blessing"
    assert {name: facts["sha256"] for name, facts in manifest["files"].items()} == {
        "saved_model.pb": version_dir.sha256(folder / "saved_model.pb"),
        "variables/variables.index": version_dir.sha256(folder / "variables/variables.index"),
        "model.tflite": version_dir.sha256(folder / "tflite"),
        "labels.txt": version_dir.sha256(folder / "labels.txt"),
        "model_card.md": version_dir.sha256(blessing / "model_card.md"),
    }


def test_the_manifest_tells_where_the_model_came_from(
    release: standard_artifacts.Model, evaluations: dict[str, str], tmp_path: Path
) -> None:
    manifest = read(judge(release, evaluations["good"], evaluations["bad"], tmp_path), "manifest.json")

    assert manifest["dataset"]["fingerprint"] == "f" * 64
    assert manifest["config"] == {"dataset": "mnist"}
    assert manifest["schema_sha256"] == hashlib.sha256(b"# curated").hexdigest()
    assert manifest["lineage"] == {
        "schema_artifact": 4,
        "model_artifact": 5,
        "saved_model_evaluation_artifact": 10,
        "tflite_evaluation_artifact": 11,
        "device_validation_artifact": 12,
        "robustness_artifact": 13,
    }
    assert manifest["metrics"]["saved_model"]["accuracy"] == pytest.approx(28 / 30)
    assert manifest["metrics"]["tflite"]["accuracy"] == pytest.approx(26 / 30)
    assert manifest["device"] == MEASUREMENTS
    assert manifest["abstention"] == ABSTENTION
    assert "tensorflow" in manifest["packages"]
