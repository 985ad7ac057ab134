"""A release: the files that are judged together and, if blessed, pushed as a version directory."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.keys import TFMA_TFLITE
from serving import version_dir


def files_as_pushed(release: Path) -> dict[str, dict[str, Any]]:
    """Returns `version_dir.file_hashes` of a release, under the names that its files get when they are pushed."""
    hashes = version_dir.file_hashes(release)
    hashes[version_dir.TFLITE] = hashes.pop(TFMA_TFLITE)
    return dict(sorted(hashes.items()))


def release_digest(files: Mapping[str, Any]) -> str:
    """Returns what identifies a release by its content, as 64 hexadecimal digits.

    Args:
      files: of a release, or of a version's manifest. The model card there does not count: it is about the judgement.
    """
    judged = {name: facts for name, facts in files.items() if name != version_dir.MODEL_CARD}
    return hashlib.sha256(json.dumps(judged, sort_keys=True).encode()).hexdigest()
