"""Fingerprints that make TFX's cache tell the truth.

TFX's cache key knows a component's parameters and inputs, but neither the code behind a function given by its name nor
the content behind a path.
"""

import ast
import hashlib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from components.errors import UserError

_ROOT = Path(__file__).parent.parent
_PACKAGES = ("components", "serving")
_LIBRARIES = (
    "tensorflow",
    "keras",
    "tfx",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "tensorflow-datasets",
    "ai-edge-litert",
    "tflite-micro",  # optional
    "tflite-support",
)


def digest(parts: Iterable[bytes]) -> str:
    """Returns the SHA-256 of some byte strings, in order and each delimited, as 64 hexadecimal digits."""
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.hexdigest()


def of_files(paths: Iterable[Path]) -> str:
    """Returns the digest of the contents of some files, in order; their places do not matter."""
    return digest(path.read_bytes() for path in paths)


def of_code(component: str, function: str | None = None) -> str:
    """Returns the digest of what decides what a component's code does.

    That is the Python files and templates of its folder, all modules of this repository that they import, directly or
    not, and the versions of the libraries that do the arithmetic.

    Args:
      component: name of a folder of `components`.
      function: dotted name of a function that the component is told to call; its module counts too.

    Raises:
      UserError: there is no such module.
    """
    folder = _ROOT / "components" / component
    roots = set(folder.rglob("*.py"))
    if function:
        roots.add(_module_file(function))
    files = sorted(_with_imports(roots).union(folder.rglob("*.j2")))
    return digest([of_files(files).encode(), *(f"{name}=={_version(name)}".encode() for name in _LIBRARIES)])


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"


def _module_file(function: str) -> Path:
    module = function.rpartition(".")[0]
    try:
        spec = find_spec(module) if module else None
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise UserError(f"Cannot find the function {function!r}: expected package.module.function, on the Python path.")
    return Path(spec.origin)


def _with_imports(files: set[Path]) -> set[Path]:
    """Returns the files and all modules of this repository that they import, directly or not."""
    known: set[Path] = set()
    while files:
        known |= files
        files = {module for file in files for module in _imported(file)} - known
    return known


def _imported(file: Path) -> Iterable[Path]:
    """Yields the modules of this repository that a file imports."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import name`: the name may be a module, or something inside the package.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            module = _ROOT.joinpath(*name.split(".")).with_suffix(".py")
            if name.split(".")[0] in _PACKAGES and module.is_file():
                yield module
