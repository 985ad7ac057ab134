"""The base install: what a device developer gets by `pip install .`."""

import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from tests.e2e.conftest import Workplace

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]

# Reads a version directory in an environment that has the base install alone.
SCRIPT = """
import importlib.util, sys
from pathlib import Path
from serving import tflite_file, version_dir

version = Path(sys.argv[1])
version_dir.verify(version)
print(tflite_file.describe((version / version_dir.TFLITE).read_bytes()).inputs[0].dtype)
print([name for name in ("tensorflow", "tfx", "apache_beam") if importlib.util.find_spec(name)])
"""


def test_the_base_install_reads_a_version_directory_without_tensorflow(workplace: Workplace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    kept = shutil.ignore_patterns(".*", "pipeline_root", "__pycache__", "*.egg-info", "build")
    shutil.copytree(REPOSITORY, source, ignore=kept)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "build", str(source)], check=True)
    # What Beam ships to workers is a source distribution: it must hold what setup.py reads.
    subprocess.run([python, "-m", "build", "--sdist", "--outdir", tmp_path / "dist", source], check=True)
    (archive,) = (tmp_path / "dist").iterdir()
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", archive], check=True)
    result = subprocess.run(
        [python, "-c", SCRIPT, workplace.versions()[-1]], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == ["uint8", "[]"]
