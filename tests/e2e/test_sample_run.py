"""The whole pipeline on the embedded sample, as a user runs it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

import pipeline
from serving import ImageClassifier, tflite_metadata, version_dir
from tests.e2e.conftest import Workplace

pytestmark = pytest.mark.timeout(900)  # a run takes a minute or two, and some tests make two of them

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
    "DeviceValidator",
    "RobustnessEvaluator",
    "QualityGate",
    "Pusher",
    "RunReport",
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
    title, *lines = shown.splitlines()
    assert title == "Dataset mnist_sample 1.0.0"
    assert sorted(line.split()[0] for line in lines[: len(STEPS)]) == sorted(STEPS)
    assert "\u2713 train 3,600  \u2713 eval 400  \u2713 test 1,000" in shown
    for word in ("Warning", "WARNING", "absl", "oneDNN", "Traceback"):
        assert word not in shown
    (log,) = (workplace.root / "logs").iterdir()
    assert "absl" in log.read_text()


def test_the_end_of_a_run_tells_the_verdict_then_figures_then_where_things_are(workplace: Workplace) -> None:
    shown = (workplace.folder / "first.txt").read_text()
    summary = workplace.summary()
    end = shown.splitlines()[1 + len(STEPS) :]
    count = len(summary["gates"])
    assert end[1].startswith(f"BLESSED  {count} of {count} comparisons passed (closest: ")
    values = {line[:21].strip(): line[21:] for line in end[2:] if line}
    assert values["TFLite accuracy"].startswith(f"{summary['metrics']['tflite']['accuracy']:.2%} (95% interval: ")
    assert values["Pushed to"] == str(workplace.versions()[0])
    assert values["Report"] == summary["report"]
    assert Path(values["Log"]).is_file()
    assert "Compare two runs" not in values
    # One latency, whoever tells it.
    assert set(re.findall(r"([\d,]+) µs an image", shown)) == {f"{summary['tflite']['latency_us_p50']:.0f}"}


def test_a_ci_system_finds_every_comparison_beside_the_summary(workplace: Workplace) -> None:
    suite = ElementTree.parse(workplace.root / "reports" / "latest" / "gates.junit.xml").getroot()  # noqa: S314
    assert suite.get("tests") == str(len(workplace.summary()["gates"]))
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "0")
    cases = {(case.get("classname"), case.get("name")) for case in suite.iter("testcase")}
    assert len(cases) == len(workplace.summary()["gates"])


def test_the_summary_states_what_happened(workplace: Workplace) -> None:
    summary = workplace.summary()
    assert summary["dataset"] == "mnist_sample"
    assert summary["split_counts"] == {"train": 3600, "eval": 400, "test": 1000}
    assert sorted(node["id"] for node in summary["nodes"]) == sorted(STEPS)
    assert summary["metrics"]["tflite"]["accuracy"] >= 0.965
    assert summary["blessed"]
    assert [gate["reason"] for gate in summary["gates"] if gate["passed"] is not True] == []
    tflite = workplace.versions()[0] / version_dir.TFLITE
    assert summary["pushed_to"] == str(tflite.parent)
    assert summary["tflite"]["sha256"] == version_dir.sha256(tflite)
    assert summary["tflite"]["bytes"] == tflite.stat().st_size


def test_the_file_was_run_on_every_runtime_that_devices_have(workplace: Workplace) -> None:
    summary = workplace.summary()
    gates = {(gate["gate"], gate["metric"]): gate for gate in summary["gates"]}
    assert gates.keys() >= {
        ("device", "bytes"),
        ("device", "full_integer_problems"),
        ("LiteRT", "golden_mismatches"),
        ("LiteRT", "latency_us_p50"),
        ("LiteRT vs SavedModel", "label_agreement"),
        ("LiteRT vs SavedModel", "mcnemar_p"),
        ("LiteRT vs SavedModel", "recall_drop"),
        ("LiteRT reference", "label_mismatches"),
        ("TFLite Micro", "label_mismatches"),
        ("TFLite Micro", "arena_bytes"),
    }
    tflite = summary["tflite"]
    assert tflite["bytes"] == gates["device", "bytes"]["value"] <= 100_000
    assert 0 < tflite["latency_us_p50"] == gates["LiteRT", "latency_us_p50"]["value"] <= 1000
    assert 0 < tflite["arena_bytes"] == gates["TFLite Micro", "arena_bytes"]["value"] <= 65_536
    manifest = version_dir.read_manifest(workplace.versions()[0])
    assert manifest["device"]["sha256"] == tflite["sha256"]  # the file that ships is the file that was judged
    assert manifest["device"]["arena_bytes"] == tflite["arena_bytes"]


def test_the_file_abstains_from_few_digits_and_from_noise(
    workplace: Workplace, test_split: tuple[np.ndarray, np.ndarray]
) -> None:
    (version,) = workplace.versions()
    classifier = ImageClassifier(version)
    chosen = classifier.manifest["abstention"]
    assert chosen["threshold"] == classifier.threshold > 1 / 10
    assert (chosen["split"], chosen["images"]) == ("eval", 400)
    assert chosen["refused"] <= 0.003
    noise = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)
    assert np.mean([label is None for label in classifier.classify(test_split[0], abstain=True).labels]) < 0.02
    assert np.mean([label is None for label in classifier.classify(noise, abstain=True).labels]) > 0.9


def test_the_version_directory_is_whole(workplace: Workplace) -> None:
    (version,) = workplace.versions()
    manifest = version_dir.verify(version)
    assert manifest["version"] == int(version.name)
    assert manifest["dataset"]["name"] == "mnist_sample"
    assert manifest["schema_sha256"] == version_dir.sha256(Path(pipeline.__file__).parent / "schemas" / "mnist.pbtxt")
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
    accuracy = workplace.summary()["metrics"]["tflite"]["accuracy"]
    assert float(result.stdout) == accuracy
    labels, _ = ImageClassifier(workplace.versions()[0]).classify(test_split[0])
    assert np.mean(np.array(labels) == test_split[1].astype(str)) == accuracy


def test_the_file_names_itself_its_classes_and_what_it_was_made_from(workplace: Workplace) -> None:
    metadata = tflite_metadata.read((workplace.versions()[0] / version_dir.TFLITE).read_bytes())
    assert metadata.name == "mnist_sample classifier"
    assert metadata.labels == tuple("0123456789")
    lineage = json.loads(metadata.lineage)
    assert lineage["dataset"]["name"] == "mnist_sample"
    assert lineage["artifacts"].keys() == {"examples", "trained_model", "transform_graph"}


def test_a_device_kit_can_be_made_of_it(workplace: Workplace) -> None:
    output = workplace.folder / "kit"
    command = [sys.executable, "-m", "serving", "kit", workplace.versions()[0], "--output", output]
    subprocess.run(command, check=True, capture_output=True)
    resolver = (output / "resolver.h").read_text()
    for method in ("AddConv2D", "AddFullyConnected", "AddMaxPool2D", "AddMean", "AddQuantize", "AddSoftmax"):
        assert f"resolver->{method}()" in resolver


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
    accuracy = summary["metrics"]["tflite"]["accuracy"]
    assert second.stderr == ""
    assert second.stdout.splitlines() == [
        f"Nothing changed: all {len(STEPS)} steps cached in {summary['wall_seconds']:.1f} s.",
        f"Served: {before[-1]} (BLESSED, TFLite accuracy {accuracy:.2%})",
        f"Report: {summary['report']}",
    ]


def test_json_is_the_summary_and_nothing_else_on_standard_output(workplace: Workplace) -> None:
    result = workplace.run("--preset", "sample", "--json", "--verbose")
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout) == workplace.summary()
    table = " ".join(result.stderr.replace("│", "").split())
    for gate in workplace.summary()["gates"]:
        assert f"{gate['gate']} passed {gate['reason']}" in table


def pasted(workplace: Workplace, shown: str, purpose: str, **words: str) -> str:
    """What a printed command prints, run by a shell as it stands but for what the user has to fill in."""
    (command,) = (line[21:] for line in shown.splitlines() if line[:21].strip() == purpose)
    for word, replacement in words.items():
        command = command.replace(word, replacement)
    environment = workplace.environment(BROWSER="echo opened %s")
    result = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_printed_commands_can_be_run(workplace: Workplace, test_split: tuple, tmp_path: Path) -> None:
    shown = (workplace.folder / "first.txt").read_text()
    assert "index.html" in pasted(workplace, shown, "Open the report")
    Image.fromarray(test_split[0][0, ..., 0]).save(tmp_path / "digit.png")
    said = pasted(workplace, shown, "Classify a picture", PICTURE=f"--whole {tmp_path / 'digit.png'}")
    assert re.search(r"digit\.png  [0-9?]  \(", said)


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
    assert result.stdout.splitlines()[1].startswith("  cached: ImportSchemaGen, TFDSExampleGen, ")
    assert "Metrics on the test split" in pasted(workplace, result.stdout, "Compare two runs")


def test_status_names_run_version_and_what_would_run(workplace: Workplace) -> None:
    common = ("--preset", "sample", "--pipeline-root", str(workplace.root), "--serving-dir", str(workplace.serving))
    same = workplace.call("status", *common)
    assert same.returncode == 0, same.stderr
    assert f"{workplace.versions()[-1]}  whole: every file matches its manifest; TFLite accuracy 9" in same.stdout
    assert "would re-run nothing: every step is cached" in same.stdout
    other = workplace.call("status", *common, "--set", "training.dropout=0.1")
    (steps,) = re.findall(r"would re-run: (.*?)\.$", other.stdout, re.MULTILINE)
    assert set(steps.split(", ")) == set(STEPS[STEPS.index("Trainer") :])


def test_the_variants_can_be_had(workplace: Workplace) -> None:
    output = workplace.folder / "variants"
    result = workplace.call("export-variants", "--pipeline-root", str(workplace.root), "--output", str(output))
    assert result.returncode == 0, result.stderr
    sizes = {path.stem: path.stat().st_size for path in output.glob("*.tflite")}
    assert sizes.keys() == {"int8", "float32", "float16", "dynamic_range"}
    assert sizes["int8"] < sizes["float16"] < sizes["float32"]
    again = workplace.call("export-variants", "--pipeline-root", str(workplace.root), "--output", str(output))
    assert again.returncode == 2


@pytest.mark.slow
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
    assert "\nREFUSED  " in refused.stdout
    reasons = [gate["reason"] for gate in summary["gates"] if gate["passed"] is False]
    assert reasons == [line[4:] for line in refused.stdout.splitlines() if line.startswith("  - ")]

    page = (workplace.root / "reports" / "latest" / "index.html").read_text()
    heading = page[page.index("<h1>") : page.index("</h1>")]
    assert "Refused" in heading
    assert summary["gates"][0]["reason"] in heading
    assert "nothing: the model was refused, what is served stays as it is" in page
    good = min(path.name for path in (workplace.root / "reports").iterdir())
    compared = workplace.call("compare", good, "latest", "--json", "--pipeline-root", str(workplace.root))
    assert compared.returncode == 0, compared.stderr
    found = json.loads(compared.stdout)
    assert found["broken"] > 500
    assert "training.epochs" in {item["name"] for item in found["settings"]}

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
