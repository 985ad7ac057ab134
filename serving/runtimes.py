"""Running a `.tflite` file on the runtimes that devices have, each in a process of its own.

A file that crashes its runtime, or keeps it busy for ever, ends that process and no other.
"""

import importlib.util
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    # It is started by its name; fingerprints of code follow imports.
    from serving import runtime_process  # noqa: F401

_MODULE = "serving.runtime_process"
_IMPORT_PATH = Path(__file__).parent.parent
_TIMEOUT_SECONDS = 300.0


class Runtime(StrEnum):
    """What runs the file: LiteRT with XNNPACK's kernels, LiteRT with its reference kernels, TFLite Micro."""

    LITERT = "LiteRT"
    LITERT_REFERENCE = "LiteRT reference"
    MICRO = "TFLite Micro"

    @property
    def installed(self) -> bool:
        """Whether the Python package of the runtime is there."""
        package = "tflite_micro" if self is Runtime.MICRO else "ai_edge_litert"
        return importlib.util.find_spec(package) is not None


class RuntimeFailedError(RuntimeError):
    """A runtime could not load or run a file."""


@dataclass(frozen=True)
class Execution:
    """What came of running a file on images one by one, on one thread.

    Attributes:
      outputs: [N, classes] of the file's output type, not dequantised.
      latencies_us: float64 [N], microseconds from the input being set to the output being there.
      arena_bytes: memory that the runtime took for tensors and its own structures; None where it does not tell.
    """

    outputs: np.ndarray
    latencies_us: np.ndarray
    arena_bytes: int | None


def execute(runtime: Runtime, model: Path, images: np.ndarray, timeout: float = _TIMEOUT_SECONDS) -> Execution:
    """Runs a file on images, one by one, on one thread of a new process.

    Args:
      runtime: what to run it on.
      model: a `.tflite` file of one input and one output.
      images: [N, height, width, channels], of the input's type.
      timeout: seconds after which the process is ended.

    Raises:
      RuntimeFailedError: the runtime refuses the file, fails, crashes, or takes too long; its own words are in it, the
        names of operators that it lacks among them.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs.npy", Path(folder) / "outputs.npz"
        np.save(inputs, images)
        try:
            process = subprocess.run(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", _MODULE, runtime.name, str(model.absolute()), str(inputs), str(outputs)],
                cwd=_IMPORT_PATH,
                capture_output=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeFailedError(f"{runtime} did not finish {len(images)} images in {timeout:g} s.") from error
        said = process.stderr.decode(errors="replace")
        if process.returncode:
            raise RuntimeFailedError(f"{runtime} could not run the file: {_reason(process.returncode, said)}")
        try:
            with np.load(outputs) as results:
                return Execution(results["outputs"], results["latencies_us"], _arena_bytes(said))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:  # it ended as if all were well
            raise RuntimeFailedError(f"{runtime} could not run the file: it left no answers.") from error


def _reason(code: int, said: str) -> str:
    if code < 0:
        return f"it ended with {signal.Signals(-code).name}."
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    missing = re.findall(r"Didn't find op for builtin opcode '(\w+)'", said)
    if missing:
        return f"unsupported operators: {', '.join(sorted(set(missing)))}."
    return lines[-1] if lines else f"exit code {code}."


def _arena_bytes(said: str) -> int | None:
    """Finds TFLite Micro's own account of its memory, which it can only print."""
    found = re.search(r"Arena allocation total (\d+) bytes", said)
    return int(found.group(1)) if found else None
