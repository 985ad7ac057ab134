"""The version directory: what a push leaves behind, and how to tell that it is whole.

A version directory is `<serving-dir>/<model>/<integer version>/`. TensorFlow Serving loads it as it is; a device takes
`model.tflite` and `labels.txt` out of it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

SAVED_MODEL = "saved_model.pb"
TFLITE = "model.tflite"
LABELS = "labels.txt"
GOLDEN = "golden.npz"
MANIFEST = "manifest.json"
MODEL_CARD = "model_card.md"


class VersionDirError(ValueError):
    """A version directory is incomplete, or holds other bytes than those that were judged."""


class NoManifestError(VersionDirError):
    """A directory has no manifest: this pipeline did not make it."""


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hashes(directory: Path) -> dict[str, dict[str, Any]]:
    """Returns `{relative path: {"bytes": size, "sha256": digest}}` for every file below a directory, sorted."""
    return {
        path.relative_to(directory).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def read_labels(path: Path) -> list[str]:
    """Returns the class names of a `labels.txt`, one a line, in the order of the model's outputs."""
    return path.read_text(encoding="utf-8").splitlines()


def read_manifest(directory: Path) -> dict[str, Any]:
    """Returns the manifest of a version directory.

    Raises:
      NoManifestError: there is no file `manifest.json`.
      VersionDirError: it cannot be read.
    """
    path = directory / MANIFEST
    try:
        if not path.is_file():  # reading a pipe would wait for its writer
            raise FileNotFoundError
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
            raise ValueError("it lists no files")
        return manifest
    except FileNotFoundError as error:
        raise NoManifestError(
            f"{directory} is not a version directory: expected a file {MANIFEST} in it. "
            "Pass <serving-dir>/<model>/<version>."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise VersionDirError(f"Cannot read {path}: {error}. Push the model again.") from error


def verify(directory: Path) -> dict[str, Any]:
    """Checks every file of a version directory against its manifest, and returns the manifest.

    Raises:
      VersionDirError: a file is missing, was added, cannot be read, or differs from the bytes that the gates judged.
    """
    manifest = read_manifest(directory)
    expected = manifest["files"]
    try:
        found = file_hashes(directory)
    except OSError as error:
        raise VersionDirError(f"Cannot read {directory}: {error}. Push the model again.") from error
    found.pop(MANIFEST, None)
    wrong = {
        "missing": sorted(expected.keys() - found.keys()),
        "not in the manifest": sorted(found.keys() - expected.keys()),
        "changed": sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name]),
    }
    if any(wrong.values()):
        what = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in wrong.items() if names)
        raise VersionDirError(f"{directory} is not what its manifest states ({what}). Push the model again.")
    return manifest


def manifest_beside(file: Path, content: bytes) -> dict[str, Any] | None:
    """Returns the manifest that lies beside a file taken out of a version directory; None if there is none.

    Args:
      file: path of the file.
      content: its bytes, which are held against the manifest.

    Raises:
      VersionDirError: the manifest states other bytes, or cannot be read.
    """
    try:
        manifest = read_manifest(file.parent)
    except NoManifestError:
        return None
    expected = manifest["files"].get(file.name)
    if expected and expected["sha256"] != hashlib.sha256(content).hexdigest():
        raise VersionDirError(f"{file} is not what {file.parent / MANIFEST} states. Copy both from the same version.")
    return manifest if expected else None


def directories(model_dir: Path) -> list[Path]:
    """Returns the versions below `<serving-dir>/<model>`, oldest first; as TensorFlow Serving, only integers count."""
    if not model_dir.is_dir():
        return []
    found = [path for path in model_dir.iterdir() if path.is_dir() and path.name.isdecimal()]
    return sorted(found, key=lambda path: int(path.name))


def versions(model_dir: Path) -> list[int]:
    """Returns the numbers of `directories`."""
    return [int(path.name) for path in directories(model_dir)]
