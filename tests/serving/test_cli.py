"""The command line: an answer and 0, or what is wrong and what to do, and 2; never a traceback."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving import cli

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int | None
    out: str
    err: str


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]):
    """Runs a command in this process."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(ended.value.code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def pictures(version: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By digit, a picture of it that the model is right and sure about; and some that no digit is in."""
    from serving import ImageClassifier
    from tests import releases

    images, truth = releases.held_out()
    labels, probabilities = ImageClassifier(version).classify(images)
    folder, found = tmp_path_factory.mktemp("pictures"), {}
    for digit in "0123456789":
        own = np.flatnonzero((truth == int(digit)) & (np.array(labels) == digit))
        found[digit] = folder / f"{digit}.png"
        Image.fromarray(images[own[probabilities[own].max(axis=1).argmax()], :, :, 0]).save(found[digit])
    for name, content in {"empty": b"", "text": b"no picture", "cut": found["3"].read_bytes()[:100]}.items():
        found[name] = folder / f"{name}.png"
        found[name].write_bytes(content)
    found["blank"] = folder / "blank.png"
    Image.new("L", (60, 40), 255).save(found["blank"])
    found["nowhere"] = folder / "nowhere.png"
    return found


def test_each_picture_gets_a_line_in_order(call, version: Path, pictures: dict[str, Path]) -> None:
    paths = [pictures[name] for name in ("7", "0", "blank")]
    result = call("predict", "--model", version, "--whole", "--brief", *paths)
    assert (result.code, result.err) == (0, "")
    seven, zero, blank = result.out.splitlines()
    assert seven.startswith(f"{pictures['7']}      7  (")
    assert seven.endswith("%)")
    assert zero.startswith(f"{pictures['0']}      0  (")
    assert blank == f"{pictures['blank']}  nothing found"


def test_what_the_model_saw_is_drawn(call, version: Path, pictures: dict[str, Path]) -> None:
    result = call("predict", "--model", version, "--whole", pictures["1"])
    answer, *drawing = result.out.splitlines()
    assert "1  (" in answer
    assert 8 <= len(drawing) <= 14  # two rows of pixels a line, blank ones left out
    assert all(line.startswith("    ") and set(line) <= set(" .:-=+*#%@") for line in drawing)
    inked = np.asarray(Image.open(pictures["1"])).any(axis=0).nonzero()[0]
    columns = [index - 4 for line in drawing for index, shade in enumerate(line) if shade != " "]
    assert min(columns) >= inked.min()
    assert max(columns) <= inked.max()


def test_json_holds_findings_with_all_that_is_known(call, version: Path, pictures: dict[str, Path]) -> None:
    result = call("predict", "--model", version, "--whole", "--json", pictures["4"], pictures["blank"])
    assert result.code == 0
    four, blank = json.loads(result.out)
    assert four["image"] == str(pictures["4"])
    (finding,) = four["findings"]
    assert finding.keys() == {"label", "probability", "candidate", "box", "seen"}
    assert (finding["label"], finding["candidate"], finding["box"]) == ("4", "4", None)
    assert 0.5 < finding["probability"] <= 1
    assert np.array(finding["seen"]).shape == (28, 28, 1)
    assert blank == {"image": str(pictures["blank"]), "findings": []}


def test_a_doubtful_digit_is_a_question_mark_with_its_best_guess(call, version: Path, tmp_path: Path) -> None:
    from tests import releases

    # Nothing is believed.
    content = releases.with_names((version / "model.tflite").read_bytes(), "0123456789", threshold=1.0)
    (tmp_path / "doubter.tflite").write_bytes(content)
    Image.fromarray(releases.held_out()[0][350, :, :, 0]).save(tmp_path / "three.png")
    result = call("predict", "--model", tmp_path / "doubter.tflite", "--whole", "--brief", tmp_path / "three.png")
    assert result.code == 0
    assert result.out == f"{tmp_path / 'three.png'}  ?  (none, at best 3)\n"
    (found,) = json.loads(
        call("predict", "--model", tmp_path / "doubter.tflite", "--whole", "--json", tmp_path / "three.png").out
    )
    assert (found["findings"][0]["label"], found["findings"][0]["candidate"]) == (None, "3")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "does not exist: expected an image file"),
        ("empty", "is empty: expected an image file, got 0 bytes"),
        ("text", "is no picture that can be read: expected one of PNG, JPEG"),
        ("cut", "is damaged or cut off"),
    ],
)
def test_a_bad_picture_is_told_and_the_others_are_answered(
    call, version: Path, pictures: dict[str, Path], name: str, words: str
) -> None:
    paths = (pictures["7"], pictures[name], pictures["0"])
    result = call("predict", "--model", version, "--whole", "--brief", *paths)
    assert result.code == 2
    assert result.err.startswith(f"Error: {pictures[name]} {words}")
    assert len(result.err.splitlines()) == 1
    assert len(result.out.splitlines()) == 2

    result = call("predict", "--model", version, "--whole", "--json", *paths)
    assert result.code == 2
    seven, bad, zero = json.loads(result.out)
    assert bad.keys() == {"image", "error"}
    assert words in bad["error"]
    assert (seven["findings"][0]["label"], zero["findings"][0]["label"]) == ("7", "0")


@pytest.fixture
def bad_models(version: Path, tmp_path: Path) -> dict[str, Path]:
    models = {name: tmp_path / f"{name}.tflite" for name in ("nowhere", "empty", "text", "cut")}
    models["empty"].write_bytes(b"")
    models["text"].write_text("404: Not Found")
    models["cut"].write_bytes((version / "model.tflite").read_bytes()[:4000])
    models["changed"] = shutil.copytree(version, tmp_path / "changed")
    (models["changed"] / "labels.txt").write_text("9\n8\n7\n6\n5\n4\n3\n2\n1\n0\n")
    models["folder"] = tmp_path
    return models


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "Cannot read the model"),
        ("empty", "Not a TFLite model: expected the identifier TFL3"),
        ("text", "Not a TFLite model: expected the identifier TFL3"),
        ("cut", "damaged or cut off"),
        ("changed", "changed: labels.txt"),
        ("folder", "(is not a version directory: expected a file|Cannot read the model)"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "inspect", "kit"])
def test_a_bad_model_is_told(
    call, pictures: dict[str, Path], bad_models: dict[str, Path], tmp_path: Path, command: str, name: str, words: str
) -> None:
    model = bad_models[name]
    arguments = {
        "predict": ("--model", model, pictures["7"]),
        "inspect": (model,),
        "kit": (model, "--output", tmp_path / "kit"),
    }[command]
    result = call(command, *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Error: ")
    assert len(result.err.splitlines()) == 1
    if command != "kit" or model.is_dir():  # a kit is not made of a bare file in any case
        assert re.search(words, result.err)
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize("name", ["nowhere", "empty", "text", "cut"])
def test_a_bad_model_is_not_measured(call, bad_models: dict[str, Path], name: str) -> None:
    result = call("benchmark", bad_models[name])
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Error: ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["classify"],
        ["predict"],
        ["predict", "--turbo", "x.png"],
        ["inspect"],
        ["kit", "model"],
        ["benchmark", "model", "--data"],
    ],
)
def test_a_command_that_is_none_is_told_with_the_usage(call, arguments: list[str]) -> None:
    result = call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("usage: python -m serving")


def test_help_names_the_commands(call) -> None:
    result = call("--help")
    assert result.code == 0
    for command in ("predict", "benchmark", "inspect", "kit"):
        assert command in result.out


def serve(version: Path, folder: Path, number: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.copytree(version, folder / str(number))


def test_without_a_model_the_newest_one_pushed_is_taken(
    call, version: Path, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "pipeline_root" / "serving_models"
    for number, model in ((9, "digits"), (10, "digits"), (1, "another")):
        serve(version, folder / model, number)
    for old in (folder / "digits" / "9", folder / "another" / "1"):
        (old / "model.tflite").write_text("not to be read")
    assert cli.newest_version(folder) == folder / "digits" / "10"
    assert call("predict", "--whole", "--brief", pictures["7"]).code == 0

    serve(version, folder / "another", 11)
    assert cli.newest_version(folder) == folder / "another" / "11"


def test_the_newest_version_is_found_under_its_own_name(tmp_path: Path) -> None:
    for name in ("0012", "9"):
        (tmp_path / "digits" / name).mkdir(parents=True)
    assert cli.newest_version(tmp_path) == tmp_path / "digits" / "0012"


@pytest.mark.parametrize("there", [False, True])
def test_without_a_pushed_model_it_is_said_how_to_get_one(
    call, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    if there:
        (tmp_path / "pipeline_root" / "serving_models" / "digits").mkdir(parents=True)
    result = call("predict", pictures["7"])
    assert (result.code, result.out) == (2, "")
    assert "Expected a pushed model in pipeline_root/serving_models, found none. Pass --model" in result.err


def test_inspect_tells_file_metadata_and_manifest(call, version: Path) -> None:
    facts = json.loads(call("inspect", "--json", version).out)
    assert facts.keys() == {"file", "metadata", "manifest"}
    assert facts["file"]["operators"]["CONV_2D"] == 1
    assert facts["metadata"]["labels"] == list("0123456789")
    assert facts["manifest"]["model"] == "digits"
    assert "packages" not in facts["manifest"]

    outline = call("inspect", version).out
    for line in (
        "file:",
        f"  bytes: {(version / 'model.tflite').stat().st_size}",
        "    CONV_2D: 1",
        "  labels: 0 1 2 3 4 5 6 7 8 9",
        "  license: Apache-2.0",
        "  metrics:",
        "    tflite:",
        "      accuracy: 0.9271",
    ):
        assert line in outline.splitlines()
    assert "scale 1.0, zero_point 0" in outline


def test_inspect_of_a_bare_file_tells_what_is_in_it(call, version: Path, tmp_path: Path) -> None:
    from tests import releases

    shutil.copyfile(version / "model.tflite", tmp_path / "model.tflite")
    assert json.loads(call("inspect", "--json", tmp_path / "model.tflite").out).keys() == {"file", "metadata"}
    assert json.loads(call("inspect", "--json", version / "model.tflite").out)["manifest"]["model"] == "digits"
    (tmp_path / "model.tflite").write_bytes(releases.without_metadata((version / "model.tflite").read_bytes()))
    assert json.loads(call("inspect", "--json", tmp_path / "model.tflite").out)["metadata"] == {}


def test_benchmark_prints_a_line_a_runtime_and_the_same_as_json(call, version: Path) -> None:
    result = call("benchmark", version)
    assert result.code == 0
    file, litert, reference, micro = result.out.splitlines()
    assert file.split(maxsplit=1) == [
        "file",
        f"{(version / 'model.tflite').stat().st_size:,} bytes, 6,202 parameters",
    ]
    for line, name in ((litert, "LiteRT "), (reference, "LiteRT reference "), (micro, "TFLite Micro ")):
        assert line.startswith(name)
        assert "µs an image (median; 95 %:" in line
        assert "accuracy " in line
    assert ", arena 5,2" in micro
    assert "arena" not in litert + reference

    told = json.loads(call("benchmark", "--json", version).out)
    assert [run["runtime"] for run in told["runs"]] == ["LiteRT", "LiteRT reference", "TFLite Micro"]
    assert told["runs"][2]["arena_bytes"] > 5000


def test_benchmark_says_what_is_wrong_with_the_data(call, version: Path, tmp_path: Path) -> None:
    result = call("benchmark", version, "--data", tmp_path / "nowhere.npz")
    assert (result.code, result.out) == (2, "")
    assert "Error: Cannot read" in result.err


def test_kit_prints_the_files_that_it_wrote(call, version: Path, tmp_path: Path) -> None:
    result = call("kit", version, "--output", tmp_path / "kit")
    assert result.code == 0
    assert [Path(line).name for line in result.out.splitlines()] == sorted(
        path.name for path in (tmp_path / "kit").iterdir()
    )
    again = call("kit", version, "--output", tmp_path / "kit")
    assert again.code == 2
    assert "is there already" in again.err


def test_a_place_that_cannot_be_written_to_is_told(call, version: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = call("kit", version, "--output", tmp_path / "file" / "kit")
    assert result.code == 2
    assert str(tmp_path / "file") in result.err
    assert "Name a place that can be read or written." in result.err


# As a user runs it.


def serving(*arguments: object, **options: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "serving", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=REPOSITORY, **pipes | options)


def test_a_process_answers_on_standard_output_and_libraries_say_nothing(
    version: Path, pictures: dict[str, Path]
) -> None:
    process = serving("predict", "--model", version, "--whole", "--brief", pictures["7"])
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "7  (" in out


def test_a_process_that_fails_ends_with_2_and_no_traceback(tmp_path: Path, pictures: dict[str, Path]) -> None:
    process = serving("predict", "--model", tmp_path / "nowhere", pictures["7"])
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("Error: Cannot read the model")
    assert "Traceback" not in err


@pytest.mark.parametrize("unbuffered", ["", "1"])  # it is noticed at the end, or at the first line
def test_a_reader_that_goes_away_is_no_error(version: Path, unbuffered: str) -> None:
    process = serving("inspect", version, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["predict", "3.png", "--model", "gs://bucket/model"], "--model"),
        (["benchmark", "gs://bucket/model"], "model"),
        (["benchmark", "model", "--data", "gs://bucket/model"], "--data"),
        (["inspect", "gs://bucket/model"], "model"),
        (["kit", "gs://bucket/model", "--output", "kit"], "model"),
        (["kit", "model", "--output", "gs://bucket/model"], "--output"),
    ],
)
def test_a_uri_is_no_path(call: Callable[..., Result], arguments: list[str], option: str) -> None:
    result = call(*arguments)
    assert result.code == 2
    assert f"argument {option}: expected a path on this machine, got the URI gs://bucket/model." in result.err
