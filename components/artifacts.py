"""Finding one's way inside TFX artifacts."""

from pathlib import Path

from tfx import types
from tfx.types import artifact_utils


def split_files(examples: list[types.Artifact], split: str) -> list[str]:
    """Returns the paths of the files of a split, in order.

    Args:
      examples: a list of one `Examples` artifact.
      split: as in `train`.
    """
    return sorted(str(path) for path in Path(artifact_utils.get_split_uri(examples, split)).iterdir())
