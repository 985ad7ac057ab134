"""Executor of the Pusher: a version directory is complete or absent."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tfx import types
from tfx.components.pusher import executor
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as specs

from components.errors import UserError
from components.keys import TFMA_TFLITE
from serving import version_dir

PUSHED_PROPERTY = "pushed"
DESTINATION_PROPERTY = "pushed_destination"
_UNFINISHED_PREFIX = ".unfinished-"


class Executor(executor.Executor):
    """TFX's Pusher, whose plain copy can be seen half-done, made atomic and checked against the manifest."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes a blessed release to a new version below the destination's base directory.

        Raises:
          UserError: the serving directory cannot be written to.
          VersionDirError: the release is no longer what the gates judged.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed_model = artifact_utils.get_single_instance(output_dict[specs.PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed_model)
            return
        destination = json_format.Parse(exec_properties[specs.PUSH_DESTINATION_KEY], pusher_pb2.PushDestination())
        blessing = Path(artifact_utils.get_single_uri(input_dict[specs.MODEL_BLESSING_KEY]))
        manifest = json.loads((blessing / version_dir.MANIFEST).read_text(encoding="utf-8"))
        version = push(
            Path(self.GetModelPath(input_dict)),
            manifest,
            Path(destination.filesystem.base_directory),
            documents=[blessing / version_dir.MODEL_CARD],
        )
        self._MarkPushed(pushed_model, pushed_destination=str(version), pushed_version=version.name)


def push(release: Path, manifest: dict[str, Any], model_dir: Path, documents: Sequence[Path] = ()) -> Path:
    """Copies a release beside its destination, checks it, and renames it into place.

    Args:
      release: the directory that was judged.
      manifest: of that release; the version is added to it.
      model_dir: `<serving-dir>/<model>`; made if it is not there.
      documents: files that come with it; the manifest lists them too.

    Returns:
      The new version directory. Its number is the time in seconds since 1970, as TFX's Pusher numbers versions, or one
      more than the latest version if that is no less.

    Raises:
      UserError: the directory cannot be written to, or the disk is full.
      VersionDirError: the release is no longer what the gates judged.
    """
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        for leftover in model_dir.glob(f"{_UNFINISHED_PREFIX}*"):
            shutil.rmtree(leftover)
        version = max([int(time.time()), *(version + 1 for version in version_dir.versions(model_dir))])
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED_PREFIX, dir=model_dir))
        try:
            shutil.copytree(release, unfinished, dirs_exist_ok=True)
            (unfinished / TFMA_TFLITE).rename(unfinished / version_dir.TFLITE)
            for document in documents:
                shutil.copy(document, unfinished)
            content = json.dumps({"model": model_dir.name, "version": version, **manifest}, indent=2)
            (unfinished / version_dir.MANIFEST).write_text(content, encoding="utf-8")
            version_dir.verify(unfinished)
            unfinished.chmod(0o755)  # mkdtemp's 0700 would keep other users' model servers out
            _sync(unfinished)
            return unfinished.rename(model_dir / str(version))
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except OSError as error:
        raise UserError(
            f"Cannot push to {model_dir}: {error}. Expected a serving directory that can be written to with room on "
            "the disk; mend that or pass another --serving-dir, and run again: all steps before are kept."
        ) from error


def _sync(folder: Path) -> None:
    """Has the disk hold every file before the rename does, so that not even a power cut shows half a version."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
