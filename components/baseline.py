"""What a run's model is compared with: the model that is served now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.release import release_digest
from serving import version_dir


@dataclass(frozen=True)
class Baseline:
    """The version that a model is compared with, or why there is none.

    Attributes:
      version: its number; None if there is no baseline.
      path: its directory; None if there is no baseline.
      reason: why there is none, as a clause; None if there is one.
      metrics: its accuracy on the run's test split by file, where it was measured.
    """

    version: str | None = None
    path: str | None = None
    reason: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


def choose(versions: Sequence[Path], current: str, class_names: Sequence[str], image_shape: Sequence[int]) -> Baseline:
    """Chooses the newest version but those of the current release itself, if its model can be compared on this data.

    No older version takes the place of one that does not fit: it is not what is served.

    Args:
      versions: version directories, oldest first.
      current: digest of the release that is judged. Its own versions are left out, so that an unchanged run finds what
        it found before the release was pushed.
      class_names: of the data, in the order of the labels.
      image_shape: of the data: height, width, channels.
    """
    for version in reversed(versions):
        try:
            manifest = version_dir.read_manifest(version)
            if release_digest(manifest["files"]) == current:
                continue
            version_dir.verify(version)
        except version_dir.NoManifestError:
            return Baseline(reason=f"the served version {version} was not made by this pipeline: it has no manifest")
        except (version_dir.VersionDirError, OSError) as error:
            return Baseline(reason=f"the served version is unusable: {str(error).removesuffix('.')}")
        if unfit := _unfit(manifest, class_names, image_shape):
            return Baseline(reason=f"the served version {version} {unfit}")
        return Baseline(version=version.name, path=str(version))
    return Baseline(reason="no other model is served" if versions else "no model is served yet")


def choices(versions: Sequence[Path], class_names: Sequence[str], image_shape: Sequence[int]) -> dict[str, Baseline]:
    """Returns what `choose` chooses, by digest of the current release; under "" for all but the newest served."""
    digests = ("", _digest(versions[-1]) if versions else "")
    return {current: choose(versions, current, class_names, image_shape) for current in digests}


def possible(versions: Sequence[Path], class_names: Sequence[str], image_shape: Sequence[int]) -> list[Path]:
    """Returns what `choose` may choose while the current release is not known: the newest, and the newest but it."""
    return [Path(found.path) for found in choices(versions, class_names, image_shape).values() if found.path]


def _digest(version: Path) -> str:
    try:
        return release_digest(version_dir.read_manifest(version)["files"])
    except version_dir.VersionDirError:
        return ""


def _unfit(manifest: Mapping[str, Any], class_names: Sequence[str], image_shape: Sequence[int]) -> str | None:
    """Returns why a model cannot be compared on this data; None if it can."""
    try:
        names, shape = list(manifest["dataset"]["class_names"]), list(manifest["dataset"]["image_shape"])
    except (KeyError, TypeError):
        return "was not made by this pipeline: its manifest names no classes and no image shape"
    if len(names) != len(class_names):
        return f"has {len(names)} classes, not {len(class_names)}"
    if names != list(class_names):
        return "has other classes, or the same in another order"
    if shape != list(image_shape):
        return f"takes images of another shape: {' x '.join(map(str, shape))}, not {' x '.join(map(str, image_shape))}"
    return None
