"""A file runs on each runtime in a process of its own, whose end is never ours."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from serving import runtimes
from serving.runtimes import Execution, Runtime, RuntimeFailedError, execute


@pytest.fixture(scope="module")
def golden(version: Path) -> dict[str, np.ndarray]:
    with np.load(version / "golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def executions(version: Path, golden: dict[str, np.ndarray]) -> dict[Runtime, Execution]:
    return {runtime: execute(runtime, version / "model.tflite", golden["images"]) for runtime in Runtime}


@pytest.mark.parametrize("runtime", Runtime)
def test_every_runtime_gives_an_answer_an_image_in_order(
    executions: dict[Runtime, Execution], golden: dict[str, np.ndarray], runtime: Runtime
) -> None:
    found = executions[runtime].outputs
    assert (found.dtype, found.shape) == (np.uint8, golden["tflite_output"].shape)
    if runtime is Runtime.LITERT:
        np.testing.assert_array_equal(found, golden["tflite_output"])
    else:
        assert np.abs(found.astype(int) - golden["tflite_output"]).max() <= 10
        clear = np.ptp(np.sort(golden["tflite_output"].astype(int))[:, -2:], axis=1) > 25
        assert clear.mean() > 0.8
        np.testing.assert_array_equal(found[clear].argmax(axis=1), golden["tflite_output"][clear].argmax(axis=1))


def test_litert_and_its_reference_kernels_are_not_the_same_code(executions: dict[Runtime, Execution]) -> None:
    fast, slow = (np.median(executions[runtime].latencies_us) for runtime in (Runtime.LITERT, Runtime.LITERT_REFERENCE))
    assert slow > 2 * fast


@pytest.mark.parametrize("runtime", Runtime)
def test_every_image_has_a_latency(
    executions: dict[Runtime, Execution], golden: dict[str, np.ndarray], runtime: Runtime
) -> None:
    latencies = executions[runtime].latencies_us
    assert latencies.shape == (len(golden["images"]),)
    assert (latencies > 0.5).all()  # not even an empty function call is faster
    assert np.median(latencies) < 100_000


def test_tflite_micro_alone_tells_its_arena(executions: dict[Runtime, Execution]) -> None:
    arenas = {runtime: execution.arena_bytes for runtime, execution in executions.items()}
    micro = arenas.pop(Runtime.MICRO)
    # It holds at least the input and the first layer's output: 28 x 28, and 14 x 14 x 12.
    assert 28 * 28 + 14 * 14 * 12 < micro < 20_000
    assert set(arenas.values()) == {None}


def test_a_relative_path_is_the_callers(
    version: Path, golden: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(version)
    assert len(execute(Runtime.LITERT, Path("model.tflite"), golden["images"][:2]).outputs) == 2


def test_a_file_that_is_no_model_fails_in_the_runtimes_words(tmp_path: Path, golden: dict[str, np.ndarray]) -> None:
    (tmp_path / "model.tflite").write_text("404: Not Found")
    with pytest.raises(RuntimeFailedError, match="LiteRT could not run the file: ValueError: The model is not a valid"):
        execute(Runtime.LITERT, tmp_path / "model.tflite", golden["images"])


def test_images_of_another_size_fail_in_the_runtimes_words(version: Path) -> None:
    with pytest.raises(RuntimeFailedError, match=r"LiteRT could not run the file: ValueError: .*[Dd]imension"):
        execute(Runtime.LITERT, version / "model.tflite", np.zeros((2, 14, 14, 1), np.uint8))


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Has the process run some other code."""

    def set_code(code: str) -> None:
        (tmp_path / "other.py").write_text(f"import ctypes, os, signal, sys, time\n{code}")
        monkeypatch.setattr(runtimes, "_IMPORT_PATH", tmp_path)
        monkeypatch.setattr(runtimes, "_MODULE", "other")

    return set_code


NO_OPERATOR = "Didn't find op for builtin opcode '{}'"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ctypes.string_at(0)", "TFLite Micro could not run the file: it ended with SIGSEGV."),
        ("os.abort()", "TFLite Micro could not run the file: it ended with SIGABRT."),
        ("os.kill(os.getpid(), signal.SIGKILL)", "TFLite Micro could not run the file: it ended with SIGKILL."),
        ("sys.exit(5)", "TFLite Micro could not run the file: exit code 5."),
        ("sys.exit('first\\nlast words\\n \\n')", "TFLite Micro could not run the file: last words"),
        ("sys.stderr.buffer.write(bytes([255])); sys.exit(1)", "TFLite Micro could not run the file: \ufffd"),
        (
            f'''sys.exit("{NO_OPERATOR.format("TILE")}\\n{NO_OPERATOR.format("GELU")}\\n{NO_OPERATOR.format("TILE")}\\nx")''',
            "TFLite Micro could not run the file: unsupported operators: GELU, TILE.",
        ),
        ("sys.exit(0)", "TFLite Micro could not run the file: it left no answers."),
    ],
)
def test_a_process_that_fails_is_told_by_its_own_words_or_its_end(
    process, tmp_path: Path, code: str, words: str
) -> None:
    process(code)
    with pytest.raises(RuntimeFailedError) as caught:
        execute(Runtime.MICRO, tmp_path / "model.tflite", np.zeros((1, 2, 2, 1), np.uint8))
    assert str(caught.value) == words


def test_a_process_that_hangs_is_ended(process, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    process(f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    started = time.monotonic()
    with pytest.raises(RuntimeFailedError, match=r"LiteRT did not finish 3 images in 1 s\."):
        execute(Runtime.LITERT, tmp_path / "model.tflite", np.zeros((3, 2, 2, 1), np.uint8), timeout=1)
    assert time.monotonic() - started < 10
    if pid_file.exists():  # it may have been ended before it could write that
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid_file.read_text()), 0)
