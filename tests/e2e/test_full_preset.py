"""The full preset on the real data."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serving import version_dir
from tests.e2e.conftest import NO_NETWORK, Workplace

needs_mnist = pytest.mark.skipif(
    "MNIST_MANUAL_DIR" not in os.environ,
    reason="not run: MNIST_MANUAL_DIR names no directory with MNIST's original files",
)


def original(name: str, header: int) -> np.ndarray:
    """Reads one of MNIST's own files (format: http://yann.lecun.com/exdb/mnist)."""
    content = gzip.decompress((Path(os.environ["MNIST_MANUAL_DIR"]) / f"{name}.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=header)


@needs_mnist
@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_full_preset_keeps_its_promise(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    first = place.run(MNIST_MANUAL_DIR=os.environ["MNIST_MANUAL_DIR"], **NO_NETWORK)
    assert first.returncode == 0, first.stdout + first.stderr
    summary = place.summary()
    assert summary["split_counts"] == {"train": 55_000, "eval": 5_000, "test": 10_000}
    assert summary["metrics"]["tflite"]["accuracy"] >= 0.994
    (version,) = place.versions("mnist")
    version_dir.verify(version)

    np.save(tmp_path / "images.npy", original("t10k-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1))
    np.save(tmp_path / "labels.npy", original("t10k-labels-idx1-ubyte", 8))
    script = [sys.executable, Path(__file__).with_name("classify.py"), version]
    result = subprocess.run(
        [*script, tmp_path / "images.npy", tmp_path / "labels.npy"], capture_output=True, text=True, check=True
    )
    assert float(result.stdout) == summary["metrics"]["tflite"]["accuracy"]

    second = place.run(MNIST_MANUAL_DIR=os.environ["MNIST_MANUAL_DIR"], **NO_NETWORK)
    assert second.returncode == 0, second.stdout + second.stderr
    assert all(node["cached"] for node in place.summary()["nodes"])
    assert place.versions("mnist") == [version]
