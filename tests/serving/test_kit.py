"""The device kit holds the very model and what it must answer, and its snippets are true."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serving import kit, tflite_file
from serving.kit import KitError
from serving.version_dir import VersionDirError


@pytest.fixture(scope="module")
def written(version: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("kit") / "a" / "b"  # of which not even the parent is there
    kit.write(version, output)
    return output


@pytest.fixture(scope="module")
def golden(version: Path) -> dict[str, np.ndarray]:
    """The first golden example of each class."""
    with np.load(version / "golden.npz") as arrays:
        first = [int(np.flatnonzero(arrays["labels"] == digit)[0]) for digit in range(10)]
        return {name: arrays[name][first] for name in arrays}


def numbers(source: str, name: str) -> list[int]:
    """The values of a C array, in order."""
    body = re.search(rf"{name}(?:\[[^\]]*\])+ = \{{(.*?)\n\}};", source, re.DOTALL).group(1)
    return [int(number) for number in re.findall(r"\d+", body)]


def constant(source: str, name: str) -> int:
    return int(re.search(rf"constexpr \w+ {name} = (\d+);", source).group(1))


def test_all_files_are_there_and_told(version: Path, tmp_path: Path) -> None:
    told = kit.write(version, tmp_path / "kit")
    assert [path.name for path in told] == [
        "README.md",
        "golden.cc",
        "golden.h",
        "labels.txt",
        "main.cc",
        "model.tflite",
        "model_data.cc",
        "model_data.h",
        "resolver.h",
    ]
    assert sorted(told) == sorted((tmp_path / "kit").iterdir())
    assert (tmp_path / "kit").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["kit"]


def test_the_array_is_the_file_byte_for_byte(written: Path, version: Path) -> None:
    content = (version / "model.tflite").read_bytes()
    source = (written / "model_data.cc").read_text()
    assert bytes(numbers(source, "kData")) == content
    assert "alignas(16) const unsigned char kData[]" in source  # which TFLite Micro needs, and luck may hide
    assert (written / "model.tflite").read_bytes() == content
    assert (written / "labels.txt").read_bytes() == (version / "labels.txt").read_bytes()


def test_the_golden_vectors_are_one_image_a_class_and_what_litert_says_of_it(
    written: Path, golden: dict[str, np.ndarray]
) -> None:
    source = (written / "golden.cc").read_text()
    assert numbers(source, "kImages") == golden["images"].ravel().tolist()
    assert numbers(source, "kOutputs") == golden["tflite_output"].ravel().tolist()
    assert constant((written / "golden.h").read_text(), "kVectors") == 10


def test_the_constants_are_those_of_the_model(written: Path, version: Path) -> None:
    header, manifest = (written / "model_data.h").read_text(), json.loads((version / "manifest.json").read_text())
    sizes = [constant(header, name) for name in ("kHeight", "kWidth", "kChannels", "kClasses")]
    assert sizes == [28, 28, 1, 10]
    assert constant(header, "kThreshold") == manifest["abstention"]["threshold"] * 256
    assert manifest["device"]["arena_bytes"] == 5281
    assert constant(header, "kArenaBytes") == 6144  # the next whole KiB
    assert manifest["files"]["model.tflite"]["sha256"] in header
    assert 'kLabels[kClasses] = {"0", "1", "2",' in (written / "model_data.cc").read_text()


def test_the_resolver_adds_the_files_operators_and_no_others(written: Path, version: Path) -> None:
    source = (written / "resolver.h").read_text()
    methods = re.findall(r"resolver->(\w+)\(\)", source)
    operators = tflite_file.describe((version / "model.tflite").read_bytes()).operators
    assert set(operators) == {"CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "QUANTIZE", "RESHAPE", "SOFTMAX"}
    assert methods == ["AddConv2D", "AddFullyConnected", "AddMaxPool2D", "AddQuantize", "AddReshape", "AddSoftmax"]
    assert f"MicroMutableOpResolver<{len(methods)}>" in source


# Source: tensorflow/tflite-micro, tensorflow/lite/micro/micro_mutable_op_resolver.h.
@pytest.mark.parametrize(
    ("operator", "method"),
    [
        ("ADD", "AddAdd"),
        ("ADD_N", "AddAddN"),
        ("ARG_MAX", "AddArgMax"),
        ("AVERAGE_POOL_2D", "AddAveragePool2D"),
        ("BATCH_MATMUL", "AddBatchMatMul"),
        ("BATCH_TO_SPACE_ND", "AddBatchToSpaceNd"),
        ("CUMSUM", "AddCumSum"),
        ("DEPTH_TO_SPACE", "AddDepthToSpace"),
        ("DEPTHWISE_CONV_2D", "AddDepthwiseConv2D"),
        ("EXPAND_DIMS", "AddExpandDims"),
        ("HARD_SWISH", "AddHardSwish"),
        ("L2_NORMALIZATION", "AddL2Normalization"),
        ("L2_POOL_2D", "AddL2Pool2D"),
        ("LEAKY_RELU", "AddLeakyRelu"),
        ("LOGISTIC", "AddLogistic"),
        ("MEAN", "AddMean"),
        ("PADV2", "AddPadV2"),
        ("PRELU", "AddPrelu"),
        ("REDUCE_MAX", "AddReduceMax"),
        ("RELU6", "AddRelu6"),
        ("RESIZE_NEAREST_NEIGHBOR", "AddResizeNearestNeighbor"),
        ("SPLIT_V", "AddSplitV"),
        ("STRIDED_SLICE", "AddStridedSlice"),
        ("SVDF", "AddSvdf"),
        ("TRANSPOSE_CONV", "AddTransposeConv"),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "AddUnidirectionalSequenceLSTM"),
        ("ZEROS_LIKE", "AddZerosLike"),
    ],
)
def test_an_operator_is_added_by_the_method_that_tflite_micro_has_for_it(operator: str, method: str) -> None:
    assert kit.resolver_method(operator) == method


CHECK = """
#include <cstdio>
#include "golden.h"
#include "model_data.h"
int main() {
  if (reinterpret_cast<uintptr_t>(model::kData) % 16) return 1;
  fwrite(model::kData, 1, model::kDataBytes, stdout);
  fwrite(golden::kImages, 1, sizeof(golden::kImages), stdout);
  fwrite(golden::kOutputs, 1, sizeof(golden::kOutputs), stdout);
  for (const char* label : model::kLabels) printf("%s\\n", label);
}
"""


@pytest.mark.slow  # what a bare machine has not
@pytest.mark.skipif(shutil.which("g++") is None, reason="not run: there is no g++ here to compile the kit's sources")
def test_the_sources_compile_and_hold_what_they_should(
    written: Path, version: Path, golden: dict[str, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "check.cc").write_text(CHECK)
    sources = [tmp_path / "check.cc", written / "model_data.cc", written / "golden.cc"]
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{written}", "-o", tmp_path / "check"]
    subprocess.run(["g++", *flags, *sources], check=True)
    found = subprocess.run([tmp_path / "check"], capture_output=True, check=True).stdout
    labels = (version / "labels.txt").read_bytes()
    expected = (version / "model.tflite").read_bytes(), golden["images"].tobytes(), golden["tflite_output"].tobytes()
    assert found == b"".join(expected) + labels


# Of TFLite Micro's library just what the kit's sources name, so that they can be compiled against it.
MICRO = {
    "micro_mutable_op_resolver.h": """
#pragma once
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
namespace tflite {
template <unsigned int count> struct MicroMutableOpResolver {
  unsigned int added = 0;
  TfLiteStatus Add() { return added++ < count ? kTfLiteOk : kTfLiteError; }
  TfLiteStatus AddConv2D() { return Add(); }
  TfLiteStatus AddFullyConnected() { return Add(); }
  TfLiteStatus AddMaxPool2D() { return Add(); }
  TfLiteStatus AddQuantize() { return Add(); }
  TfLiteStatus AddReshape() { return Add(); }
  TfLiteStatus AddSoftmax() { return Add(); }
};
}
""",
    "../schema/schema_generated.h": """
#pragma once
namespace tflite {
using Model = unsigned char;
inline const Model* GetModel(const void* data) { return static_cast<const Model*>(data); }
}
""",
    # A device that knows the golden answers by heart, but for a number of them.
    "micro_interpreter.h": """
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include "golden.h"
struct TfLiteTensor { struct { uint8_t* uint8; } data; };
namespace tflite {
struct MicroInterpreter {
  uint8_t image[sizeof(golden::kImages[0])], answer[model::kClasses];
  TfLiteTensor in{{image}}, out{{answer}};
  int wrong = atoi(getenv("WRONG"));
  template <class Resolver> MicroInterpreter(const unsigned char* data, const Resolver&, uint8_t* arena, size_t) {
    if (data != model::kData || reinterpret_cast<uintptr_t>(arena) % 16) abort();
  }
  TfLiteStatus AllocateTensors() { return kTfLiteOk; }
  TfLiteTensor* input(int) { return &in; }
  TfLiteTensor* output(int) { return &out; }
  size_t arena_used_bytes() { return 5280; }
  TfLiteStatus Invoke() {
    for (int i = 0; i < golden::kVectors; ++i)
      if (!memcmp(image, golden::kImages[i], sizeof image)) {
        memcpy(answer, golden::kOutputs[i < wrong ? (i + 1) % golden::kVectors : i], sizeof answer);
        return kTfLiteOk;
      }
    return kTfLiteError;
  }
};
}
""",
}


@pytest.mark.slow  # what a bare machine has not
@pytest.mark.skipif(shutil.which("g++") is None, reason="not run: there is no g++ here to compile the kit's sources")
def test_the_program_tells_a_device_that_is_right_from_one_that_is_wrong(
    written: Path, golden: dict[str, np.ndarray], tmp_path: Path
) -> None:
    for name, source in MICRO.items():
        file = tmp_path / "tensorflow" / "lite" / "micro" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tensorflow" / "lite" / "schema").mkdir(exist_ok=True)
        file.write_text(source)
    sources = [written / name for name in ("main.cc", "model_data.cc", "golden.cc")]
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{written}", f"-I{tmp_path}", "-o", tmp_path / "device"]
    subprocess.run(["g++", *flags, *sources], check=True)

    right, wrong = (
        subprocess.run([tmp_path / "device"], env={"WRONG": count}, capture_output=True, text=True, check=False)
        for count in ("0", "3")
    )
    assert right.returncode == 0
    threshold = constant((written / "model_data.h").read_text(), "kThreshold")
    *lines, last = right.stdout.splitlines()
    for line, output in zip(lines, golden["tflite_output"], strict=True):
        doubt = "" if output.max() >= threshold else " (not believed)"
        assert line == f"{output.argmax()}: {output.max()}/256{doubt}"
    assert last == "0 of 10 labels differ, arena 5280 bytes"
    assert wrong.returncode == 3


def snippet(written: Path, language: str) -> str:
    return re.search(rf"```{re.escape(language)}\n(.*?)```", (written / "README.md").read_text(), re.DOTALL).group(1)


def test_the_readmes_python_runs_as_it_stands(written: Path, version: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", snippet(written, "python")], cwd=written, capture_output=True, text=True, check=True
    )
    label, probability = result.stdout.split()
    from serving import ImageClassifier

    expected = ImageClassifier(version).classify(np.zeros((28, 28), np.uint8))
    assert label == expected.labels[0]
    assert float(probability) == expected.probabilities.max()


def test_the_readme_tells_the_models_figures(written: Path, version: Path) -> None:
    text = (written / "README.md").read_text()
    content = (version / "model.tflite").read_bytes()
    threshold = json.loads((version / "manifest.json").read_text())["abstention"]["threshold"]
    for words in (
        f"({len(content):,} bytes",
        "10 classes an image is of: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9. Trained on\nmnist:3.0.1; 92.71% of its test images",
        "`uint8 [1, 28, 28, 1]`",
        f"{round(threshold * 256)} of 256 ({threshold:.4f})",
        "CONV_2D (1), FULLY_CONNECTED (1)",
    ):
        assert words in text
    for language in ("c++", "kotlin", "javascript"):
        assert "$" not in snippet(written, language)
    assert "memcpy(interpreter.input(0)->data.uint8, pixels, 784)" in snippet(written, "c++")
    assert "`AddConv2D`, `AddFullyConnected`" in snippet(written, "c++")
    assert "[1, 28, 28, 1]" in snippet(written, "javascript")
    assert "allocateDirect(784)" in snippet(written, "kotlin")


def test_nothing_of_a_template_is_left(written: Path) -> None:
    for path in written.iterdir():
        if path.suffix in (".cc", ".h", ".md"):
            assert not re.search(r"\$\w|\$\{", path.read_text()), path.name


@pytest.fixture
def copied(version: Path, tmp_path: Path) -> Path:
    return shutil.copytree(version, tmp_path / "version")


def test_labels_of_any_letters_are_c_strings(copied: Path, tmp_path: Path) -> None:
    names = ['a "b"', "back\\slash", "Ä", *"defghij"]
    (copied / "labels.txt").write_text("".join(f"{name}\n" for name in names))
    manifest = json.loads((copied / "manifest.json").read_text())
    (copied / "manifest.json").unlink()
    from serving import version_dir

    manifest["files"] = version_dir.file_hashes(copied)
    (copied / "manifest.json").write_text(json.dumps(manifest))
    kit.write(copied, tmp_path / "kit")
    assert r'{"a \"b\"", "back\\slash", "Ä", "d",' in (tmp_path / "kit" / "model_data.cc").read_text()


def test_without_a_measured_arena_there_is_room_for_the_budget(copied: Path, tmp_path: Path) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["device"]["arena_bytes"] = None  # TFLite Micro was absent
    (copied / "manifest.json").write_text(json.dumps(manifest))
    kit.write(copied, tmp_path / "kit")
    assert constant((tmp_path / "kit" / "model_data.h").read_text(), "kArenaBytes") == 65_536


def test_a_directory_that_is_there_is_refused_and_stays(version: Path, tmp_path: Path) -> None:
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "mine.txt").write_text("mine")
    with pytest.raises(KitError, match=r"kit is there already\. Name a directory that is not"):
        kit.write(version, tmp_path / "kit")
    assert [path.name for path in (tmp_path / "kit").iterdir()] == ["mine.txt"]


def change(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(b"other")


def remove(folder: Path) -> None:
    (folder / "golden.npz").unlink()


@pytest.mark.parametrize(("harm", "words"), [(change, "changed: model.tflite"), (remove, "missing: golden.npz")])
def test_of_a_damaged_version_there_is_no_kit(
    copied: Path, tmp_path: Path, harm: Callable[[Path], None], words: str
) -> None:
    harm(copied)
    with pytest.raises(VersionDirError, match=words):
        kit.write(copied, tmp_path / "kits" / "kit")
    assert not list(tmp_path.glob("kits/*"))


def test_a_kit_that_breaks_off_leaves_nothing(version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text = Path.write_text

    def full_disk(path: Path, *rest: object, **options: object) -> int:
        if path.name == "model_data.cc":
            raise OSError(28, "No space left on device")
        return write_text(path, *rest, **options)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(Path, "write_text", full_disk)
        kit.write(version, tmp_path / "kit")
    assert list(tmp_path.iterdir()) == []


def test_a_bare_file_has_no_kit(version: Path, tmp_path: Path) -> None:
    with pytest.raises(VersionDirError):
        kit.write(version / "model.tflite", tmp_path / "kit")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lacking", ["model", "metrics", "dataset"])
def test_of_a_manifest_of_another_kind_there_is_no_kit(copied: Path, tmp_path: Path, lacking: str) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    del manifest[lacking]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(KitError, match=f"lacks '{lacking}': expected a version directory"):
        kit.write(copied, tmp_path / "kit")
    assert not (tmp_path / "kit").exists()
