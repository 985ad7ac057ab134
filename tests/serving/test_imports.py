"""What runs on a device needs what the base install brings, and nothing of the pipeline."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FILES = sorted((REPOSITORY / "serving").rglob("*.py"))
BASE_INSTALL = {"ai_edge_litert", "numpy", "PIL", "cc3d", "flatbuffers"}
OPTIONAL = {"tflite_micro"}


def modules(file: Path) -> set[str]:
    """The modules that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module if node.level == 0 else "serving")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(REPOSITORY).as_posix())
def test_a_file_of_serving_imports_the_base_install_and_itself_alone(file: Path) -> None:
    packages = {module.partition(".")[0] for module in modules(file)}
    assert packages - sys.stdlib_module_names <= BASE_INSTALL | OPTIONAL | {"serving"}


def test_all_files_were_looked_at() -> None:
    assert {"classifier", "cli", "kit", "runtime_process", "predict"} <= {file.stem for file in FILES}


def loaded(code: str, *arguments: str) -> set[str]:
    """The packages, without the standard library's, that a process has loaded after running some code."""
    script = (
        f"import sys; before = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    packages = {name.partition(".")[0] for name in result.stderr.splitlines()[-1].split()}
    return packages - sys.stdlib_module_names


def heavy(packages: set[str]) -> set[str]:
    """Those packages that neither the base install nor, of their own accord, its libraries bring."""
    # Pillow takes defusedxml if it is there; Cython's modules belong to what is compiled with it.
    return {
        name
        for name in packages - BASE_INSTALL - {"serving", "defusedxml", "cython_runtime"}
        if not name.startswith("_cython_")
    }


def test_no_module_of_serving_loads_more_than_the_base_install() -> None:
    names = [".".join(file.relative_to(REPOSITORY).with_suffix("").parts) for file in FILES if file.stem != "__main__"]
    assert heavy(loaded(f"import {', '.join(names)}")) == set()


def test_a_prediction_loads_no_more_than_the_base_install(version: Path) -> None:
    code = """
import numpy
from serving import ImageClassifier
from serving.predict import predict
classifier = ImageClassifier(sys.argv[1])
classifier.classify(numpy.zeros((2, 28, 28), numpy.uint8), abstain=True)
from io import BytesIO
from PIL import Image
file = BytesIO()
Image.new("L", (60, 60), 255).save(file, "PNG")
predict(classifier, file.getvalue())
"""
    packages = loaded(code, str(version))
    assert heavy(packages) == set()
    assert "ai_edge_litert" in packages


def test_a_version_directory_is_read_without_litert() -> None:
    assert loaded("from serving import version_dir; version_dir.versions") == {"serving"}


def test_the_package_knows_its_public_names_and_no_others() -> None:
    import serving
    from serving.classifier import Classification, ImageClassifier

    assert (serving.ImageClassifier, serving.Classification) == (ImageClassifier, Classification)
    with pytest.raises(AttributeError, match="has no attribute 'DigitClassifier'"):
        _ = serving.DigitClassifier
