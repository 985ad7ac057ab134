"""The whole pipeline on the embedded sample, as a user runs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from ai_edge_litert.interpreter import Interpreter

from serving import version_dir
from tests.e2e.conftest import Workplace

STEPS = [
    "ImportSchemaGen",
    "TFDSExampleGen",
    "StatisticsGen",
    "ExampleValidator",
    "Transform",
    "Trainer",
    "TFLiteExporter",
    "SavedModelEvaluator",
    "TFLiteEvaluator",
    "QualityGate",
    "Pusher",
]


@pytest.fixture(scope="module")
def test_split(workplace: Workplace) -> tuple[np.ndarray, np.ndarray]:
    """The raw test images and their labels."""
    import components.tfds_example_gen.mnist_sample  # noqa: F401  registers the builder

    data = tfds.load("mnist_sample", split="test", data_dir=workplace.folder / "tfds", as_supervised=True)
    images, labels = zip(*data.as_numpy_iterator(), strict=True)
    return np.stack(images), np.array(labels)


def test_the_console_tells_each_step_and_no_library_speaks(workplace: Workplace) -> None:
    shown = (workplace.folder / "first.txt").read_text()
    lines = [line.split()[0] for line in shown.splitlines() if line.startswith("  ")]
    assert sorted(lines) == sorted(STEPS)
    for word in ("Warning", "WARNING", "absl", "oneDNN", "Traceback"):
        assert word not in shown
    assert str(workplace.versions()[0]) in shown.replace("\n", "")
    (log,) = (workplace.root / "logs").iterdir()
    assert log.name in shown
    assert "absl" in log.read_text()


def test_the_summary_states_what_happened(workplace: Workplace) -> None:
    summary = workplace.summary()
    assert summary["dataset"] == "mnist_sample"
    assert summary["split_counts"] == {"train": 3600, "eval": 400, "test": 1000}
    assert sorted(node["id"] for node in summary["nodes"]) == sorted(STEPS)
    assert summary["metrics"]["tflite"]["accuracy"] >= 0.965
    assert summary["blessed"]
    assert all(gate["passed"] for gate in summary["gates"])
    tflite = workplace.versions()[0] / version_dir.TFLITE
    assert summary["pushed_to"] == str(tflite.parent)
    assert summary["tflite"]["sha256"] == version_dir.sha256(tflite)
    assert summary["tflite"]["bytes"] == tflite.stat().st_size


def test_the_version_directory_is_whole(workplace: Workplace) -> None:
    (version,) = workplace.versions()
    manifest = version_dir.verify(version)
    assert manifest["version"] == int(version.name)
    assert manifest["dataset"]["name"] == "mnist_sample"
    assert version_dir.read_labels(version / version_dir.LABELS) == [str(digit) for digit in range(10)]


def test_the_file_has_the_accuracy_that_the_summary_states(
    workplace: Workplace, test_split: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    for name, array in zip(("images.npy", "labels.npy"), test_split, strict=True):
        np.save(tmp_path / name, array)
    script = [sys.executable, Path(__file__).with_name("classify.py"), workplace.versions()[0]]
    result = subprocess.run(
        [*script, tmp_path / "images.npy", tmp_path / "labels.npy"], capture_output=True, text=True, check=True
    )
    assert float(result.stdout) == workplace.summary()["metrics"]["tflite"]["accuracy"]


def test_the_three_ways_in_agree_on_the_golden_images(workplace: Workplace) -> None:
    (version,) = workplace.versions()
    golden = np.load(version / version_dir.GOLDEN)
    images = golden["images"]
    examples = [
        tf.train.Example(
            features=tf.train.Features(feature={"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png]))})
        ).SerializeToString()
        for png in (tf.io.encode_png(image).numpy() for image in images)
    ]
    signatures = tf.saved_model.load(str(version)).signatures
    from_examples = signatures["serving_default"](examples=tf.constant(examples))
    from_pixels = signatures["serve_images"](images=tf.constant(images))
    np.testing.assert_array_equal(from_examples["probabilities"], from_pixels["probabilities"])
    np.testing.assert_array_equal(golden["saved_model_probabilities"], from_pixels["probabilities"])

    interpreter = Interpreter(model_path=str(version / version_dir.TFLITE))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    quantised = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(golden["tflite_output"], quantised)
    np.testing.assert_array_equal(quantised.argmax(axis=1), from_pixels["label"])


def test_a_second_run_does_nothing_twice(workplace: Workplace) -> None:
    before = workplace.versions()
    second = workplace.run("--preset", "sample")
    assert second.returncode == 0, second.stdout + second.stderr
    summary = workplace.summary()
    assert [node["id"] for node in summary["nodes"] if not node["cached"]] == []
    assert workplace.versions() == before
    assert summary["pushed_to"] == str(before[-1])
    assert "Nothing has changed" in second.stdout


def test_a_removed_version_is_pushed_again(workplace: Workplace) -> None:
    (version,) = workplace.versions()
    away = workplace.folder / "away"
    version.rename(away)
    result = workplace.run("--preset", "sample")
    assert result.returncode == 0, result.stdout + result.stderr
    (pushed,) = workplace.versions()
    assert workplace.summary()["pushed_to"] == str(pushed)
    assert [node["id"] for node in workplace.summary()["nodes"] if not node["cached"]] == ["Pusher"]
    assert version_dir.verify(pushed)["files"] == version_dir.read_manifest(away)["files"]


def test_status_names_run_version_and_what_would_run(workplace: Workplace) -> None:
    common = ("--preset", "sample", "--pipeline-root", str(workplace.root), "--serving-dir", str(workplace.serving))
    same = workplace.call("status", *common)
    assert same.returncode == 0, same.stderr
    assert str(workplace.versions()[-1]) in same.stdout
    assert "nothing, every step is cached" in same.stdout
    other = workplace.call("status", *common, "--set", "training.dropout=0.1")
    anew = "Trainer, TFLiteExporter, SavedModelEvaluator, TFLiteEvaluator, QualityGate, Pusher"
    assert f"would do anew: {anew}." in other.stdout.replace("\n", " ")


def test_the_variants_can_be_had(workplace: Workplace) -> None:
    output = workplace.folder / "variants"
    result = workplace.call("export-variants", "--pipeline-root", str(workplace.root), "--output", str(output))
    assert result.returncode == 0, result.stderr
    sizes = {path.stem: path.stat().st_size for path in output.glob("*.tflite")}
    assert sizes.keys() == {"int8", "float32", "float16", "dynamic_range"}
    assert sizes["int8"] < sizes["float16"] < sizes["float32"]
    again = workplace.call("export-variants", "--pipeline-root", str(workplace.root), "--output", str(output))
    assert again.returncode == 2


def test_a_bad_model_is_refused_and_what_is_served_stays(workplace: Workplace) -> None:
    before = workplace.versions()
    bad = ("--preset", "sample", "--set", "training.epochs=1", "--set", "run_fn=tests.e2e.shuffled_labels.run_fn")
    refused = workplace.run(*bad, PYTHONPATH=str(Path(__file__).parents[2]))
    assert refused.returncode == 3, refused.stdout + refused.stderr
    summary = workplace.summary()
    assert not summary["blessed"]
    assert summary["pushed_to"] is None
    assert workplace.versions() == before
    failed = {(gate["gate"], gate["slice"]) for gate in summary["gates"] if not gate["passed"]}
    assert {("tflite", "overall"), ("saved_model", "overall"), ("tflite vs baseline", "overall")} <= failed
    assert "Refused by gate 'tflite' on overall: accuracy of tflite on overall is 0." in refused.stderr

    anyway = workplace.run(*bad, "--bless-anyway", "to see it served", PYTHONPATH=str(Path(__file__).parents[2]))
    assert anyway.returncode == 0, anyway.stdout + anyway.stderr
    assert workplace.summary()["bless_anyway"] == "to see it served"
    *_, pushed = workplace.versions()
    assert pushed not in before
    assert version_dir.verify(pushed)["verdict"] == {
        "blessed": True,
        "passed": False,
        "bless_anyway": "to see it served",
    }
