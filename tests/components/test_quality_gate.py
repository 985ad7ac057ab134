"""Every gate both ways, on the property and on disk, with a reason."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from tfx.components.pusher.executor import Executor as TFXPusher
from tfx.types import standard_artifacts

from components.gate import Gate
from components.quality_gate import executor, gates
from components.quality_gate.config import Thresholds
from components.robustness.component import RobustnessEvaluation
from components.tfds_example_gen.datasets import Dataset
from pipeline import evaluation
from serving import version_dir
from tests.components.evaluations import CLASSES, evaluate


@pytest.mark.parametrize(
    ("key", "name"),
    [((), "overall"), ((("label", 3),), "label=3"), ((("ink", 0), ("label", 3)), "ink=0, label=3")],
)
def test_slices_have_names_for_people(key: tuple, name: str) -> None:
    assert gates.slice_name(key) == name


EASY = Thresholds(accuracy=0.8, class_accuracy=0.7, accuracy_drop=0.1, class_accuracy_drop=0.2)
NAMES = ("cat", "dog", "owl")
GOOD = {0: 10, 1: 9, 2: 9}
BAD_ONE = {0: 10, 1: 10, 2: 6}  # good enough over all, and not on class 2


CONFIG = evaluation.saved_model_eval_config(CLASSES)


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("evaluations")
    return {
        "good": evaluate(GOOD, CONFIG, folder / "good").uri,
        "bad": evaluate(BAD_ONE, CONFIG, folder / "bad").uri,
    }


def judged(uri: str) -> list[Gate]:
    return list(gates.accuracy_gates("tflite", gates.read_evaluation(uri), NAMES, EASY))


def table(found: list[Gate]) -> dict[tuple[str, str], tuple[float, float, float | None, bool]]:
    numbers = {}
    for gate in found:
        baseline = None if gate.baseline is None else round(gate.baseline, 4)
        numbers[gate.gate, gate.slice] = (round(gate.value, 4), round(gate.bound, 4), baseline, gate.passed)
    return numbers


def test_what_tfma_measured_is_read_of_candidate_and_baseline(evaluations: dict[str, str]) -> None:
    result = gates.read_evaluation(evaluations["good"])
    assert result.metrics["overall"]["example_count"] == 30
    assert result.metrics["label=0"]["accuracy"] == 1
    assert result.baseline["label=2"]["accuracy"] == pytest.approx(0.9)
    assert "label=2, ink_quartile=0" in result.metrics or "ink_quartile=0, label=2" in result.metrics


def test_gates_are_what_tfma_measured_against_what_is_required(evaluations: dict[str, str]) -> None:
    assert table(judged(evaluations["good"])) == {
        ("tflite", "overall"): (0.9333, 0.8, None, True),
        ("tflite", "label=0"): (1.0, 0.7, None, True),
        ("tflite", "label=1"): (0.9, 0.7, None, True),
        ("tflite", "label=2"): (0.9, 0.7, None, True),
        ("tflite vs baseline", "overall"): (0.9333, 0.8, 0.9, True),
        ("tflite vs baseline", "label=0"): (1.0, 0.7, 0.9, True),
        ("tflite vs baseline", "label=1"): (0.9, 0.7, 0.9, True),
        ("tflite vs baseline", "label=2"): (0.9, 0.7, 0.9, True),
    }


def test_one_bad_class_fails_its_gates_and_no_other(evaluations: dict[str, str]) -> None:
    failed = {key: value for key, value in table(judged(evaluations["bad"])).items() if not value[-1]}
    assert failed == {
        ("tflite", "label=2"): (0.6, 0.7, None, False),
        ("tflite vs baseline", "label=2"): (0.6, 0.7, 0.9, False),
    }


def test_tfma_has_no_say_at_exactly_the_allowed_drop(evaluations: dict[str, str]) -> None:
    # Class 2 falls from 0.9 to 0.6; in floats, 0.6 - 0.9 is a hair less than -0.3, where TFMA's own thresholds refuse.
    thresholds = Thresholds(accuracy=0, class_accuracy=0, accuracy_drop=1 / 30, class_accuracy_drop=0.3)
    found = list(gates.accuracy_gates("tflite", gates.read_evaluation(evaluations["bad"]), NAMES, thresholds))
    assert len(found) == 8
    assert [gate for gate in found if not gate.passed] == []


def test_without_a_baseline_there_are_the_absolute_gates_alone(tmp_path: Path) -> None:
    uri = evaluate(BAD_ONE, CONFIG, tmp_path, against_baseline=False).uri

    found = judged(uri)
    assert {gate.gate for gate in found} == {"tflite"}
    assert [gate.slice for gate in found if not gate.passed] == ["label=2"]
    assert len(found) == 4
    assert gates.read_evaluation(uri).baseline == {}


def measured(overall: float, baseline: float | None = None, **classes: float) -> gates.Evaluation:
    """An evaluation of one class, whose accuracy is that of all unless it is given."""
    slices = {"overall": {"accuracy": overall}, "label=0": {"accuracy": classes.get("cat", overall)}}
    before = {} if baseline is None else {name: {"accuracy": baseline} for name in slices}
    return gates.Evaluation(slices, before)


# The test split of `full` and its allowed drop, of `sample` and its; every baseline from 95 % up.
DROPS = [(10_000, 20, Thresholds(accuracy_drop=0.002)), (1_000, 10, Thresholds(accuracy_drop=0.01))]


@pytest.mark.parametrize(("images", "allowed", "thresholds"), DROPS)
def test_at_exactly_the_allowed_drop_a_model_passes_and_one_more_mistake_is_too_many(
    images: int, allowed: int, thresholds: Thresholds
) -> None:
    baselines = range(images * 95 // 100, images + 1)
    assert len(baselines) in (501, 51)
    for right in baselines:
        for drop, passes in ((allowed, True), (allowed + 1, False)):
            found = measured((right - drop) / images, right / images)
            (gate,) = [
                gate
                for gate in gates.accuracy_gates("tflite", found, ["cat"], thresholds)
                if (gate.gate, gate.slice) == ("tflite vs baseline", "overall")
            ]
            assert gate.passed is passes, (right, drop)


def test_a_reason_is_a_sentence_that_says_what_was_measured_where_and_what_is_required() -> None:
    found = measured(0.99, 0.995, cat=0.9712)
    thresholds = Thresholds(class_accuracy=0.98, accuracy_drop=0.002, class_accuracy_drop=0.01)
    assert [gate.reason for gate in gates.accuracy_gates("tflite", found, ["cat"], thresholds)] == [
        "accuracy of tflite on overall is 0.9900 (required: at least 0.9940)",
        "accuracy of tflite on overall is 0.9900, the served model's is 0.9950 (required: at least 0.9930)",
        "accuracy of tflite on label=0 is 0.9712 (required: at least 0.9800)",
        "accuracy of tflite on label=0 is 0.9712, the served model's is 0.9950 (required: at least 0.9850)",
    ]


def test_a_class_without_any_test_image_is_refused_in_a_sentence() -> None:
    (*_, gate) = gates.accuracy_gates("tflite", measured(1.0, 1.0), ["cat", "dog"], Thresholds(class_accuracy=0))
    assert (gate.gate, gate.slice, gate.value, gate.passed) == ("tflite", "label=1", None, False)
    assert gate.reason == (
        "accuracy of tflite on label=1 cannot be measured: no test image is of class 'dog' (required: at least 0.0000)"
    )


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


DATASET = Dataset("mnist", "mnist:3.0.1", "3.0.1", (28, 28, 1), NAMES, {"test": "test"}, "f" * 64)


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
    properties = {
        "config": '{"dataset": "mnist"}',
        "dataset": DATASET.to_json(),
        "thresholds": EASY.model_dump_json(),
        "bless_anyway": bless_anyway,
    }
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
    assert outcome["baseline_metrics"]["tflite"]["accuracy"] == pytest.approx(0.9)


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
