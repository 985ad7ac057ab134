"""Figures of a model on this machine, on every runtime that is there, and none that were not measured."""

import importlib.util
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from serving import benchmark, runtimes
from serving.benchmark import Benchmark, DataFileError, measure, read_data
from serving.tflite_file import TFLiteFileError
from serving.version_dir import VersionDirError
from tests import releases

SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 1,000 held-out digits, of which the last 800 all have the label 0."""
    images, labels = releases.held_out()
    order = np.random.default_rng(0).permutation(1000)
    labels = np.where(np.arange(1000) < 200, labels[order], 0)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, images=images[order][..., 0], labels=labels)
    return path


@pytest.fixture(scope="module")
def measured(version: Path, held_out: Path) -> Benchmark:
    return measure(version, held_out)


def test_size_and_weights_are_those_of_the_file(measured: Benchmark, version: Path) -> None:
    assert measured.bytes == (version / "model.tflite").stat().st_size
    assert measured.parameters == 12 * 25 + 12 + 588 * 10 + 10


def test_each_runtime_has_its_latencies_and_tflite_micro_its_arena(measured: Benchmark) -> None:
    assert [run.runtime for run in measured.runs] == ["LiteRT", "LiteRT reference", "TFLite Micro"]
    for run in measured.runs:
        assert 0 < run.latency_us_p50 <= run.latency_us_p95
        assert run.not_run is None
        assert (run.arena_bytes is not None) == (run.runtime == "TFLite Micro")


def test_litert_is_measured_on_all_images_and_the_slow_ones_on_the_first_200(
    measured: Benchmark, version: Path, held_out: Path
) -> None:
    from components.tflite_exporter import conversion

    litert, *slow = measured.runs
    with np.load(held_out) as arrays:
        said = conversion.run((version / "model.tflite").read_bytes(), arrays["images"][..., None]).argmax(axis=1)
        right = said == arrays["labels"]
    assert (litert.images, litert.accuracy) == (1000, right.mean())
    assert 0.05 < litert.accuracy < 0.4  # most of the labels are wrong
    for run in slow:
        assert run.images == 200
        assert run.accuracy == pytest.approx(right[:200].mean(), abs=0.02)


def test_without_data_the_golden_images_are_taken_and_of_a_bare_file_noise(
    version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watch(runtime: runtimes.Runtime, model: Path, images: np.ndarray) -> runtimes.Execution:
        if runtime is not runtimes.Runtime.LITERT:
            raise runtimes.RuntimeFailedError("left out, to be quick")
        seen.append(images)
        return runtimes.execute(runtime, model, images)

    monkeypatch.setattr(benchmark, "execute", watch)
    run, *_ = measure(version, None).runs
    with np.load(version / "golden.npz") as golden:
        np.testing.assert_array_equal(seen.pop(), golden["images"])
        assert run.accuracy == (golden["tflite_output"].argmax(axis=1) == golden["labels"]).mean()
    shutil.copyfile(version / "model.tflite", tmp_path / "model.tflite")
    run, *_ = measure(tmp_path / "model.tflite", None).runs
    assert (run.accuracy, run.images) == (None, 200)
    assert seen.pop().std() > 50
    assert run.latency_us_p50 > 0


def test_a_runtime_that_is_absent_or_fails_was_not_run_and_says_why(
    version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tflite_micro" else find(name, *rest)
    )
    (tmp_path / "broken.py").write_text("raise SystemExit('no such kernel')")
    monkeypatch.setattr(runtimes, "_IMPORT_PATH", tmp_path)
    monkeypatch.setattr(runtimes, "_MODULE", "broken")
    runs = measure(version, None).runs

    assert [run.not_run for run in runs] == [
        "LiteRT could not run the file: no such kernel",
        "LiteRT reference could not run the file: no such kernel",
        "its package is not installed",
    ]
    assert {(run.latency_us_p50, run.accuracy, run.arena_bytes) for run in runs} == {(None, None, None)}


@pytest.mark.parametrize("content", [b"", b"404: Not Found"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(TFLiteFileError, match="Not a TFLite model"):
        measure(tmp_path / "model.tflite", None)


GOOD = {"images": np.zeros((3, 28, 28, 1), np.uint8), "labels": np.array([1, 2, 3])}


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (3, 28, 28)])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_images_may_leave_out_the_last_axis_and_labels_be_any_integers(
    tmp_path: Path, shape: tuple[int, ...], dtype: type
) -> None:
    (tmp_path / "data.npz").write_bytes(npz(images=np.ones(shape, np.uint8), labels=np.array([1, 2, 3], dtype)))
    images, labels = read_data(tmp_path / "data.npz", SHAPE)
    assert (images.shape, images.dtype) == ((3, 28, 28, 1), np.uint8)
    assert labels.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "got EOFError"),
        (b"images", "got ValueError"),
        (npz(**GOOD)[:-30], "got BadZipFile"),
        (npz(images=GOOD["images"]), "got KeyError"),
        (npy(GOOD["images"]), "got TypeError"),
        (zipped(**{"images.npy": b"no array", "labels.npy": b""}), "got images |S8 []"),
        (npz(**GOOD | {"images": np.array([{}], object)}), "got ValueError: Object arrays cannot be loaded"),
        (npz(**GOOD | {"images": GOOD["images"] / 255}), "got images float64 [3, 28, 28, 1]"),
        (npz(**GOOD | {"images": np.zeros((3, 14, 14, 1), np.uint8)}), "got images uint8 [3, 14, 14, 1]"),
        (npz(**GOOD | {"images": np.zeros((0, 28, 28, 1), np.uint8)}), "got images uint8 [0, 28, 28, 1]"),
        (npz(**GOOD | {"images": np.zeros((28, 28), np.uint8)}), "got images uint8 [28, 28]"),
        (npz(**GOOD | {"images": np.uint8(1)}), "got images uint8 []"),
        (npz(**GOOD | {"labels": np.array([1, 2])}), "got labels int64 [2]"),
        (npz(**GOOD | {"labels": np.eye(3)}), "got labels float64 [3, 3]"),
        (npz(**GOOD | {"labels": np.array(["1", "2", "3"])}), "got labels <U1 [3]"),
    ],
)
def test_data_that_are_not_as_they_should_be_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataFileError) as caught:
        read_data(path, SHAPE)
    assert words in str(caught.value)
    assert "expected an NPZ file of `images`, uint8 [N, 28, 28, 1], and `labels`, int [N]" in str(caught.value)
    assert str(path) in str(caught.value)


def test_data_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="got FileNotFoundError"):
        read_data(tmp_path / "nowhere.npz", SHAPE)


def test_a_version_that_is_not_what_its_manifest_states_is_not_measured(version: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(version, damaged)
    (damaged / "labels.txt").write_text("other\n")
    with pytest.raises(VersionDirError, match=r"changed: labels\.txt"):
        measure(damaged, None)
