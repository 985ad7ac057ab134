"""Fingerprints that make TFX's cache tell the truth.

TFX's cache key knows a component's parameters and inputs, but neither the code behind an executor or a function given
by its name, nor the content behind a path.
"""

import ast
import functools
import hashlib
import importlib.util
import site
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from components.errors import UserError

_OURS = {"components", "serving"}
_STOCK = {"tfx"}  # names of its executors are given too, and it is large


def digest(parts: Iterable[bytes]) -> str:
    """Returns the SHA-256 of some byte strings, in order and each delimited, as 64 hexadecimal digits."""
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.hexdigest()


def of_files(paths: Iterable[Path]) -> str:
    """Returns the digest of the contents of some files, in order; their places do not matter.

    Files may be larger than memory.
    """
    parts = []
    for path in paths:
        with path.open("rb") as file:
            parts.append(hashlib.file_digest(file, "sha256").digest())
    return digest(parts)


def of_code(*names: str) -> str:
    """Returns the digest of what decides what some classes or functions do.

    That is the source of their modules and of every module that these import, directly or not, wherever on the Python
    path it lies; the files in a folder `templates` beside them; the versions of the installed distributions that are
    imported, and of those that these require; and the version of Python. For the standard library and installed
    distributions, the version stands for the source; but not for this project and the top-level packages of the names,
    TFX excepted: their code counts even where they are installed, since it may change without its version.

    Nothing is run: imports are read from the source, those in functions too. A module imported by a name built at run
    time is not seen; `if TYPE_CHECKING: import ...` makes it seen.

    Args:
      names: dotted names of the classes or functions.

    Raises:
      UserError: there is no module of such a name, or it or one that it imports is not Python.
    """
    modules = [_module_of(name) for name in names]
    sources, libraries = _follow(modules)
    templates = (sources[name].parent / "templates" for name in modules if name in sources)
    files = [*sources.values(), *(path for folder in templates for path in sorted(folder.rglob("*")) if path.is_file())]
    versions = [f"python=={sys.version_info.major}.{sys.version_info.minor}", *sorted(_versions(libraries))]
    return digest([of_files(files).encode(), *(text.encode() for text in (*sources, *versions))])


def _module_of(name: str) -> str:
    module = name.rpartition(".")[0]
    spec = _find(module) if module else None
    if spec is None or spec.origin is None:
        raise UserError(f"Cannot find the function {name!r}: expected package.module.function, on the Python path.")
    return module


def _find(module: str) -> ModuleSpec | None:
    """Finds a module as `importlib.util.find_spec` does, but without running the packages that it is in."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a script's `__main__` has none
        return None
    for name in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # By its last name alone: by its full name the packages that it is in would have to be imported.
        spec = PathFinder.find_spec(name, [*spec.submodule_search_locations])
    return spec


def _follow(modules: Sequence[str]) -> tuple[dict[str, Path], set[str]]:
    """Returns the files of modules and of all that they import, by name, and the distributions that these import."""
    sources: dict[str, Path] = {}
    libraries: set[str] = set()
    seen: set[str] = set()
    waiting = [*modules]
    followed = {*_OURS, *(module.partition(".")[0] for module in modules)} - _STOCK
    while waiting:
        module = waiting.pop()
        top, _, _ = module.partition(".")
        if module in seen or top in sys.stdlib_module_names:
            continue
        seen.add(module)
        if top not in followed and (distributions := _distributions_of(top)):
            libraries |= distributions
            continue
        spec = _find(module)
        if spec is None:
            continue
        # To import a.b.c runs a and a.b.
        waiting.append(module.rpartition(".")[0] or module)
        if spec.has_location and spec.origin:
            file = sources[module] = Path(spec.origin)
            if file.suffix == ".py":
                package = module if spec.submodule_search_locations is not None else module.rpartition(".")[0]
                waiting += _imported(file, package)
    return dict(sorted(sources.items())), libraries


def _imported(file: Path, package: str) -> tuple[str, ...]:
    try:
        return _imports(file.read_bytes(), package)
    except (SyntaxError, ValueError) as error:  # ValueError for a NUL byte before Python 3.11.4
        line = getattr(error, "lineno", None)
        place = f"{file}, line {line}" if line else str(file)
        raise UserError(f"Cannot read the code in {place}: expected Python, {getattr(error, 'msg', error)}.") from error


@functools.cache
def _imports(source: bytes, package: str) -> tuple[str, ...]:
    """Returns all names in the import statements of a module in a package that may be names of modules."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # One dot is the package itself, and each further dot one package up.
            parents = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            # `from package import name`: the name may be a module, or something inside the package.
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)


@functools.cache
def _distributions_of(package: str) -> set[str]:
    """Returns the installed distributions that a top-level package is of; none if it is not installed there."""
    names = _packages().get(package)
    spec = _find(package)
    if not names or spec is None:
        return set()
    # One that is installed in editable mode lies elsewhere.
    places = spec.submodule_search_locations or [spec.origin or ""]
    folders = [Path(folder).resolve() for folder in (*site.getsitepackages(), site.getusersitepackages())]
    installed = any(Path(place).resolve().is_relative_to(folder) for place in places for folder in folders)
    return set(names) if installed else set()


def _versions(libraries: Iterable[str]) -> set[str]:
    """Returns `name==version` of distributions and of all installed ones that they require, directly or not."""
    versions: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting: list[tuple[str, str]] = [(canonicalize_name(name), "") for name in libraries]
    while waiting:
        item = waiting.pop()
        if item not in seen:
            seen.add(item)
            version, required = _installed(*item)
            versions |= {f"{item[0]}=={version}"} if version else set()
            waiting += required
    return versions


@functools.cache
def _packages() -> dict[str, list[str]]:
    return dict(packages_distributions())


@functools.cache
def _installed(name: str, extra: str) -> tuple[str | None, list[tuple[str, str]]]:
    """Returns the version of a distribution, None if it is not installed, and what one of its extras requires.

    Args:
      name: of the distribution.
      extra: "" is what it requires in any case.
    """
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None, []
    requirements = [Requirement(text) for text in found.requires or []]
    return found.version, [
        (canonicalize_name(requirement.name), wanted)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        for wanted in ("", *requirement.extras)
    ]
