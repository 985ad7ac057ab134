"""The device kit: what a developer of firmware or an app needs of a model, made from its version directory."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from serving import tflite_file, tflite_metadata, version_dir

_TEMPLATES = Path(__file__).parent / "templates"
_VECTORS = 10
_COLUMNS = 20
_DEFAULT_ARENA = 64 * 1024
_ARENA_STEP = 1024

# Methods of MicroMutableOpResolver whose names do not follow from the operator's.
_METHODS = {
    "BATCH_MATMUL": "AddBatchMatMul",
    "CUMSUM": "AddCumSum",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}


class KitError(ValueError):
    """The kit cannot be made."""


def write(model: Path, output: Path) -> list[Path]:
    """Writes the kit of a version directory; complete or not at all.

    Args:
      model: version directory.
      output: directory to make.

    Returns:
      The files.

    Raises:
      KitError: the output is there already, or the version directory lacks something.
      VersionDirError: the version directory is not what its manifest states.
    """
    if output.exists():
        raise KitError(f"{output} is there already. Name a directory that is not.")
    version_dir.verify(model)
    try:
        values = _values(model)
    except (KeyError, FileNotFoundError) as error:
        raise KitError(
            f"{model} lacks {error}: expected a version directory as the pipeline pushes them. Push the model again."
        ) from error
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=output.parent))
    try:
        for name in (version_dir.TFLITE, version_dir.LABELS):
            shutil.copyfile(model / name, unfinished / name)
        for template in sorted(_TEMPLATES.glob("*.in")):
            text = Template(template.read_text(encoding="utf-8")).substitute(values)
            (unfinished / template.stem).write_text(text, encoding="utf-8")
        unfinished.chmod(0o755)
        unfinished.rename(output)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return sorted(output.iterdir())


def _values(model: Path) -> dict[str, Any]:
    """Returns what the templates show of a version directory."""
    manifest = version_dir.read_manifest(model)
    content = tflite_file.read(model / version_dir.TFLITE)
    file, metadata = tflite_file.describe(content), tflite_metadata.read(content)
    labels = version_dir.read_labels(model / version_dir.LABELS)
    with np.load(model / version_dir.GOLDEN, allow_pickle=False) as golden:
        chosen = _one_of_each(golden["labels"])
        images, outputs = golden["images"][chosen], golden["tflite_output"][chosen]
    methods = [resolver_method(operator) for operator in file.operators]
    threshold = metadata.score_threshold if metadata and metadata.score_threshold is not None else 0.0
    height, width, channels = file.inputs[0].shape[1:]
    return {
        "name": f"{manifest['model']} {manifest['version']}",
        "sha256": manifest["files"][version_dir.TFLITE]["sha256"],
        "height": height,
        "width": width,
        "channels": channels,
        "image_bytes": height * width * channels,
        "classes": len(labels),
        "bytes": f"{len(content):,}",
        "operators": ", ".join(f"{name} ({count})" for name, count in file.operators.items()),
        "labels": ", ".join(f'"{_escaped(label)}"' for label in labels),
        "label_list": ", ".join(labels),
        "threshold": f"{threshold:.4f}",
        "threshold_256ths": round(threshold * 256),
        "accuracy": f"{manifest['metrics']['tflite']['accuracy']:.2%}",
        "dataset": manifest["dataset"]["builder"],
        "arena": _arena(manifest),
        "resolver_size": len(methods),
        "resolver_calls": "\n".join(
            f"  if (resolver->{method}() != kTfLiteOk) return kTfLiteError;" for method in methods
        ),
        "resolver_list": ", ".join(f"`{method}`" for method in methods),
        "data": _numbers(content),
        "vectors": len(images),
        "images": _rows(images.reshape(len(images), -1)),
        "outputs": _rows(outputs),
        "model_file": version_dir.TFLITE,
    }


def resolver_method(operator: str) -> str:
    """Returns the method of TFLite Micro's op resolver that adds an operator: `CONV_2D` -> `AddConv2D`."""
    words = (word if word[0].isdigit() else word.capitalize() for word in operator.split("_"))
    return _METHODS.get(operator, "Add" + "".join(words))


def _one_of_each(labels: np.ndarray) -> np.ndarray:
    """Returns the index of the first example of each class, for ten classes at most."""
    return np.unique(labels, return_index=True)[1][:_VECTORS]


def _arena(manifest: dict) -> int:
    """Returns bytes for the arena: what a 64-bit host took, which is more than a 32-bit device takes, rounded up."""
    measured = manifest.get("device", {}).get("arena_bytes")
    return -(-measured // _ARENA_STEP) * _ARENA_STEP if measured else _DEFAULT_ARENA


def _numbers(values: Iterable[int]) -> str:
    numbers = [f"{value}," for value in values]
    return "\n".join("    " + "".join(numbers[start : start + _COLUMNS]) for start in range(0, len(numbers), _COLUMNS))


def _rows(values: np.ndarray) -> str:
    return "\n".join("    {\n" + _numbers(row.tolist()) + "\n    }," for row in values)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
