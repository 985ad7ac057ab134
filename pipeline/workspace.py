"""The pipeline root: whose it is, who uses it now, and what lies where."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from components.errors import UserError

_MARKER = ".pipeline_root.json"
_FORMAT = 1
_LOCK = ".lock"


@contextmanager
def occupied(root: Path) -> Iterator[None]:
    """Holds a pipeline root for one run, making it if it is not there.

    Raises:
      UserError: the root cannot be written to, belongs to something else or another version, or is in use.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not is_marked(root):
            unfinished = root / f"{_MARKER}.unfinished"  # a full disk leaves no half-written marker
            unfinished.write_text(json.dumps({"format": _FORMAT}))
            unfinished.replace(root / _MARKER)
        lock = FileLock(root / _LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"Another run is using {root}. Wait for it to end, or name another directory by --pipeline-root."
        ) from error
    except OSError as error:
        raise UserError(
            f"Cannot use {root} as pipeline root: {error}. Expected a directory that can be written to with room on "
            "the disk. Fix that, or name another one by --pipeline-root."
        ) from error
    with lock:
        yield


def is_marked(root: Path) -> bool:
    """Returns whether an earlier run made this pipeline root; False for a directory that is empty or does not exist.

    Hidden files do not count, and neither does an unreadable marker if nothing else is there.

    Raises:
      UserError: the directory belongs to something else or to another version.
      OSError: it cannot be read.
    """
    marker = root / _MARKER
    if not root.exists():
        return False
    try:
        found = json.loads(marker.read_bytes())["format"]
    except FileNotFoundError:
        found = None
    except (ValueError, KeyError, TypeError):
        found = "unreadable"
    if found == _FORMAT:
        return True
    if not isinstance(found, int) and all(path.name.startswith(".") for path in root.iterdir()):
        return False
    if found is None:
        raise UserError(
            f"{root} is not a pipeline root: expected an empty directory, or one that an earlier run made, and got "
            "other files. Name another one by --pipeline-root."
        )
    if not isinstance(found, int):
        raise UserError(
            f"{root} has an unreadable marker {marker.name}. Delete that file if this is a pipeline root, or name "
            "another directory with --pipeline-root."
        )
    raise UserError(
        f"{root} was made by another version of this program: expected format {_FORMAT} in {marker.name}, got "
        f"{found}. Name another directory by --pipeline-root; nothing in this one was touched."
    )


def check_writable(serving_dir: Path) -> None:
    """Finds out before training that a push at the end would fail.

    Raises:
      UserError: the serving directory, or the nearest parent that exists, cannot be written to.
    """
    place = serving_dir
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UserError(
            f"Cannot push to {serving_dir}: expected a directory that can be written to, got {place}, which "
            f"{'cannot be' if place.is_dir() else 'is a file'}. Fix that, or name another one by --serving-dir."
        )


def log_file(root: Path, run_id: str) -> Path:
    """Returns where the full log of a run goes."""
    return root / "logs" / f"{run_id}.log"


def report_dir(root: Path, run_id: str) -> Path:
    """Returns where the reports of a run go."""
    return root / "reports" / run_id


def point_latest(root: Path, run_id: str) -> None:
    """Makes `reports/latest` point to a run, at once and never half."""
    latest = root / "reports" / "latest"
    beside = latest.with_name(f".latest-{run_id}")
    beside.symlink_to(run_id)
    beside.replace(latest)
