"""The locked environment needs nothing of a system but glibc."""

import re
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

PACKAGES = Path(sysconfig.get_path("platlib"))
# Plug-ins that a library loads only where their vendor's runtime is installed.
OPTIONAL = {
    "ai_edge_litert/vendors/qualcomm/*": "LiteRT on Qualcomm's neural processors, with their QNN runtime",
    "ai_edge_litert/vendors/intel_openvino/*": "LiteRT on Intel's neural processors, with their OpenVINO runtime",
}


def unresolved(file: Path) -> set[str]:
    """The libraries, and the versions of glibc, that the loader does not find for a shared object."""
    result = subprocess.run(["ldd", file], capture_output=True, text=True, check=False)
    return set(re.findall(r"(\S+) => not found", result.stdout)) | set(
        re.findall(r"version `(\S+)' not found", result.stdout + result.stderr)
    )


def package(file: Path) -> str:
    """The package that a file of an environment is of; `<name>.libs` holds the libraries of `<name>`."""
    return file.relative_to(PACKAGES).parts[0].removesuffix(".libs")


def test_every_shared_object_finds_its_libraries() -> None:
    files = [path for path in PACKAGES.rglob("*.so*") if path.is_file()]
    assert len(files) > 100
    # A wheel's own libraries find each other through the extension that loads them first.
    own = {(package(path), path.name) for path in files}
    with ThreadPoolExecutor() as pool:
        found = zip(files, pool.map(unresolved, files), strict=True)
        lacking = {
            file.relative_to(PACKAGES).as_posix(): names
            for file, libraries in found
            if (names := sorted(name for name in libraries if (package(file), name) not in own))
        }
    assert {file: libraries for file, libraries in lacking.items() if not optional(file)} == {}
    assert {pattern for pattern in OPTIONAL if any(fnmatch(file, pattern) for file in lacking)} == set(OPTIONAL)


def optional(file: str) -> bool:
    return any(fnmatch(file, pattern) for pattern in OPTIONAL)
