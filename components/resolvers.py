"""What a run compares itself with: the data of an earlier run, and the model that is served.

TFX's strategies take the latest artifact of all. On a second, unchanged run that is the run's own last result, which
would make every step that compares run again; these strategies leave the run's own artifact out.
"""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import tfx
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.dsl.components.common import resolver
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components import baseline
from components.keys import RELEASE_DIGEST, TFMA_TFLITE
from components.release import release_digest
from components.tfds_example_gen.datasets import Dataset
from serving import version_dir


class LatestOtherStrategy(resolver.ResolverStrategy):
    """Resolves `previous` to the latest artifact that is not the one in `current`."""

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Returns `previous` (none or one) and `current`."""
        del store
        current = input_dict["current"]
        ids = {artifact.id for artifact in current}
        others = [artifact for artifact in input_dict["previous"] if artifact.id not in ids]
        return {"previous": sorted(others, key=lambda artifact: artifact.id)[-1:], "current": current}


class ServedModelStrategy(resolver.ResolverStrategy):
    """Resolves `model` to the release that is served, as `baseline.choose` chooses it.

    Versions of one release resolve to one artifact, so that what was compared with it once stays valid.
    """

    def __init__(self, versions: list[str], dataset: str) -> None:
        """Makes the strategy.

        Args:
          versions: directories of the versions that are served as the run begins, oldest first.
          dataset: JSON of the `Dataset` that the run is on.
        """
        self._versions = [Path(version) for version in versions]
        self._dataset = Dataset.from_json(dataset)

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Returns `model` (none or one) and `current`, the release that is to be judged."""
        (current,) = input_dict["current"]
        chosen = baseline.choose(
            self._versions,
            current.get_string_custom_property(RELEASE_DIGEST),
            self._dataset.class_names,
            self._dataset.image_shape,
        )
        found = find_release(store, Path(chosen.path)) if chosen.path else None
        return {"model": [found] if found else [], "current": [current]}


def find_release(store: MetadataStore, version: Path) -> types.Artifact | None:
    """Returns the first artifact of the release that a version holds; None if there is none whose files are there."""
    digest = release_digest(version_dir.read_manifest(version)["files"])
    found = [
        model
        for model in store.get_artifacts_by_type(standard_artifacts.Model.TYPE_NAME)
        if model.custom_properties[RELEASE_DIGEST].string_value == digest
        and model.state == mlmd.Artifact.LIVE
        and Path(model.uri).is_dir()
    ]
    if not found:
        return None
    first = min(found, key=lambda model: model.id)
    return artifact_utils.deserialize_artifact(store.get_artifact_types_by_id([first.type_id])[0], first)


def import_releases(store: MetadataStore, versions: Iterable[Path], folder: Path) -> None:
    """Makes artifacts of the versions that ML Metadata does not know: those of another pipeline root, or of lost files.

    Args:
      store: to register the artifacts in.
      versions: version directories that are what their manifests state.
      folder: to copy the releases to, each to `<folder>/<digest>`; made if it does not exist.
    """
    for version in versions:
        if find_release(store, version):
            continue
        digest = release_digest(version_dir.read_manifest(version)["files"])
        model = standard_artifacts.Model()
        model.uri = str(folder / digest)
        if not Path(model.uri).exists():
            _copy_release(version, Path(model.uri))
        model.set_string_custom_property(RELEASE_DIGEST, digest)
        # Without it TFX takes an artifact for one of the layout before version 0.29.
        model.set_string_custom_property(artifact_utils.ARTIFACT_TFX_VERSION_CUSTOM_PROPERTY_KEY, tfx.__version__)
        model.type_id = store.put_artifact_type(model.artifact_type)
        model.mlmd_artifact.state = mlmd.Artifact.LIVE
        store.put_artifacts([model.mlmd_artifact])


def _copy_release(version: Path, target: Path) -> None:
    """Copies a version to where it is not yet, in the layout of the TFLiteExporter's model; whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as folder:
        model = Path(folder) / target.name
        files = Path(path_utils.serving_model_dir(str(model)))
        shutil.copytree(version, files, ignore=shutil.ignore_patterns(version_dir.MANIFEST, version_dir.MODEL_CARD))
        (files / version_dir.TFLITE).rename(files / TFMA_TFLITE)
        model.rename(target)
