"""Version directories of releases that hold no model, for tests of what is done with them: made in milliseconds."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from components.pusher import executor as pusher
from components.release import files_as_pushed
from components.tfds_example_gen.datasets import Dataset
from serving import version_dir

NAMES, SHAPE = ("cat", "dog"), (8, 8, 1)


def dataset(names: Sequence[str] = NAMES, shape: tuple[int, int, int] = SHAPE) -> Dataset:
    return Dataset("pets", "pets:1.0.0", "1.0.0", shape, tuple(names), {"test": "test"}, "f" * 64)


def release(content: str, folder: Path) -> Path:
    """Lays out a model artifact as the TFLiteExporter does."""
    files = {"saved_model.pb": "graph", "variables/variables.index": "index", "tflite": content, "labels.txt": "cat\n"}
    for name, text in files.items():
        path = folder / "Format-Serving" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def push(content: str, model_dir: Path, data: Dataset | None = None) -> Path:
    """Pushes a release with such a content, as the QualityGate and the Pusher do, and returns the version directory."""
    with tempfile.TemporaryDirectory() as folder:
        files = release(content, Path(folder)) / "Format-Serving"
        card = Path(folder) / "documents" / version_dir.MODEL_CARD
        card.parent.mkdir()
        card.write_text(f"# Pushed as number {len(list(model_dir.glob('*')))}\n")
        manifest = {
            "files": files_as_pushed(files) | version_dir.file_hashes(card.parent),
            "dataset": json.loads((data or dataset()).to_json()),
        }
        return pusher.push(files, manifest, model_dir, documents=[card])
