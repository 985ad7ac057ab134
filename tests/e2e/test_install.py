"""The base install: what a device developer gets by `pip install .`."""

import json
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.conftest import Workplace
from tests.serving import renderings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
LARGEST = 200 << 20  # of LiteRT, NumPy, Pillow and little else

# Reads a version directory in an environment that has the base install alone.
SCRIPT = """
import importlib.util, sys
from pathlib import Path
from serving import tflite_file, version_dir

version = Path(sys.argv[1])
version_dir.verify(version)
print(tflite_file.describe((version / version_dir.TFLITE).read_bytes()).inputs[0].dtype)
print([name for name in ("tensorflow", "tfx", "apache_beam", "pydantic") if importlib.util.find_spec(name)])
"""

# Seconds of computing, which other processes of this machine do not lengthen as they do those of a clock.
FIRST_PREDICTION = """
import sys, time
import numpy
from serving import ImageClassifier
ImageClassifier(sys.argv[1]).classify(numpy.zeros((28, 28), numpy.uint8))
print(time.process_time())
"""


def installed_bytes(environment: Path) -> int:
    (packages,) = environment.glob("lib/python*/site-packages")
    return sum(path.stat().st_size for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc")


@dataclass(frozen=True)
class Base:
    """An environment with the base install: its Python, and the bytes that the install added to it."""

    python: Path
    bytes: int


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Installed from a source distribution of the repository."""
    folder = tmp_path_factory.mktemp("install")
    kept = shutil.ignore_patterns(".*", "pipeline_root", "__pycache__", "*.egg-info", "build")
    shutil.copytree(REPOSITORY, folder / "source", ignore=kept)
    venv.create(folder / "venv", with_pip=True)
    python, empty = folder / "venv" / "bin" / "python", installed_bytes(folder / "venv")
    subprocess.run([python, "-m", "pip", "install", "--quiet", folder / "source"], check=True)
    size = installed_bytes(folder / "venv") - empty
    # What Beam ships to workers is a source distribution: it must hold what setup.py reads, and serving its templates.
    subprocess.run([python, "-m", "pip", "install", "--quiet", "build"], check=True)
    subprocess.run(
        [python, "-m", "build", "--sdist", "--outdir", folder / "dist", folder / "source"],
        check=True,
        capture_output=True,
    )
    (archive,) = (folder / "dist").iterdir()
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", archive], check=True)
    return Base(python, size)


def run(base: Base, *arguments: object, folder: Path) -> str:
    """Runs the base install away from the repository, and returns what it printed."""
    command = [base.python, *map(str, arguments)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_base_install_is_small(base: Base, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\nThe base install takes {base.bytes / 2**20:.1f} MiB.\n")
    assert base.bytes < LARGEST


def test_the_base_install_reads_a_version_directory_without_tensorflow(
    base: Base, workplace: Workplace, tmp_path: Path
) -> None:
    assert run(base, "-c", SCRIPT, workplace.versions()[0], folder=tmp_path).splitlines() == ["uint8", "[]"]


def test_the_base_install_reads_ten_digits_that_are_not_from_mnist(
    base: Base, workplace: Workplace, tmp_path: Path
) -> None:
    (font,) = [path for path in renderings.font_paths() if path.stem == "DejaVuSans"]
    for digit in range(10):
        picture = renderings.on_paper(renderings.place(renderings.typed(digit, font), 240, 70, 60))
        Image.fromarray(picture).save(tmp_path / f"{digit}.png")
    paths = [f"{digit}.png" for digit in range(10)]
    predict = ("-m", "serving", "predict", "--model", workplace.versions()[0])
    table = run(base, *predict, "--brief", *paths, folder=tmp_path)
    assert [line.split()[0] for line in table.splitlines()] == paths
    found = json.loads(run(base, *predict, "--json", *paths, folder=tmp_path))
    right = sum([finding["candidate"] for finding in picture["findings"]] == [picture["image"][0]] for picture in found)
    assert right >= 7


def test_the_base_install_makes_a_device_kit_and_measures(base: Base, workplace: Workplace, tmp_path: Path) -> None:
    version = workplace.versions()[0]
    written = run(base, "-m", "serving", "kit", version, "--output", tmp_path / "kit", folder=tmp_path)
    assert len(written.splitlines()) == 9
    figures = json.loads(run(base, "-m", "serving", "benchmark", "--json", version, folder=tmp_path))
    litert, _, micro = figures["runs"]
    assert litert["accuracy"] > 0.9
    assert micro["not_run"] == "its package is not installed"


def test_import_and_first_prediction_take_less_than_a_second(base: Base, workplace: Workplace, tmp_path: Path) -> None:
    version = workplace.versions()[0]
    seconds = min(float(run(base, "-c", FIRST_PREDICTION, version, folder=tmp_path)) for _ in range(3))
    assert seconds < 1
