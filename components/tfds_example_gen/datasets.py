"""Datasets from TensorFlow Datasets: finding, describing, preparing and fingerprinting a builder, without TFX."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import download_manager

from components import fingerprint
from components.errors import DataUnavailableError, UserError
from components.keys import IMAGE, LABEL
from components.tfds_example_gen import mnist_sample  # noqa: F401 - registers the builder with TFDS
from serving.paths import refusal_of_uri

_NETWORK_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Dataset:
    """What the pipeline needs to know of a dataset; everything comes from TFDS.

    Attributes:
      name: name for people and folders, as in `mnist` or `emnist_letters`.
      builder: what TFDS is asked for, config and version included, as in `emnist/letters:3.1.0`.
      version: TFDS version, as in `3.0.1`.
      image_shape: height, width, channels in pixels; the same for all images.
      class_names: one name a class, in the order of the integer labels.
      splits: split name -> TFDS split expression, as in `{"train": "train[:55000]", ...}`.
      fingerprint: SHA-256 over builder, version, image shape, class names, splits, and the prepared files that these
        read.
    """

    name: str
    builder: str
    version: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    splits: Mapping[str, str]
    fingerprint: str

    def to_json(self) -> str:
        """Returns the dataset as JSON with sorted keys, so that equal datasets give equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Dataset":
        """Returns the dataset that `to_json` wrote."""
        values = json.loads(text)
        values["image_shape"] = tuple(values["image_shape"])
        values["class_names"] = tuple(values["class_names"])
        return cls(**values)


def load_builder(name: str, data_dir: Path | None) -> tfds.core.DatasetBuilder:
    """Returns the TFDS builder of an image-classification dataset.

    Args:
      name: TFDS name, optionally with config and version (`emnist/letters:3.1.0`).
      data_dir: where TFDS keeps prepared datasets; None for TFDS's own default.

    Raises:
      UserError: TFDS has no such dataset, or it has no `image` and `label` features of the expected kinds, or TFDS's
        default for data_dir is a URI.
    """
    if data_dir is None and (refusal := refusal_of_uri(tfds.core.constants.DATA_DIR)):
        raise UserError(f"TFDS_DATA_DIR: {refusal}")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"Unknown dataset {name!r}: expected the name of a builder in TensorFlow Datasets, as in 'mnist' or "
            f"'fashion_mnist' ({reason}). The names are listed by: python -c "
            "'import tensorflow_datasets as tfds; print(tfds.list_builders())'"
        ) from error
    features = (
        dict(builder.info.features.items()) if isinstance(builder.info.features, tfds.features.FeaturesDict) else {}
    )
    wanted = {IMAGE: tfds.features.Image, LABEL: tfds.features.ClassLabel}
    for feature, kind in wanted.items():
        if not isinstance(features.get(feature), kind):
            got = ", ".join(f"{key!r} ({type(value).__name__})" for key, value in features.items()) or "none by name"
            raise UserError(
                f"Dataset {name!r} cannot be used: expected a feature {feature!r} of type {kind.__name__}, got {got}. "
                "Choose an image-classification dataset."
            )
    shape = features[IMAGE].shape
    if None in shape:
        raise UserError(
            f"Dataset {name!r} cannot be used: expected images of one size, got the shape {shape}. "
            "Register a builder whose Image feature states height, width and channels."
        )
    return builder


def describe(builder: tfds.core.DatasetBuilder, splits: Mapping[str, str]) -> Dataset:
    """Returns the description of a prepared dataset, whose files are read once for the fingerprint.

    Raises:
      UserError: a prepared file is missing or cannot be read.
    """
    info = builder.info
    image_shape, class_names = tuple(info.features[IMAGE].shape), tuple(info.features[LABEL].names)
    try:
        # As prepared, since a builder of local files has no downloads; TFDS writes the same files each time, anywhere.
        files = fingerprint.of_files(stored_files(builder, splits.values()))
    except FileNotFoundError as error:
        raise UserError(
            f"The prepared data of {builder.name!r} is damaged: {_one_line(error)} Delete {builder.data_dir} and run "
            "again: that prepares it from its sources."
        ) from error
    except OSError as error:
        raise UserError(
            f"Cannot read the prepared data of {builder.name!r} in {builder.data_dir}: {_one_line(error)} Make it "
            "readable, or pass another --data-dir."
        ) from error
    identity = {
        "builder": info.full_name,
        "image_shape": image_shape,
        "class_names": class_names,
        "splits": dict(splits),
        "files": files,
    }
    return Dataset(
        name="_".join(filter(None, [builder.name, builder.builder_config and builder.builder_config.name])),
        builder=info.full_name.rpartition("/")[0] + f":{info.version}",
        version=str(info.version),
        image_shape=image_shape,
        class_names=class_names,
        splits=dict(splits),
        fingerprint=fingerprint.digest([json.dumps(identity, sort_keys=True).encode()]),
    )


def stored_files(builder: tfds.core.DatasetBuilder, expressions: Iterable[str]) -> list[Path]:
    """Returns the files of a prepared dataset that some split expressions read, each once, in the order of names."""
    return sorted(
        {
            Path(instruction.filename)
            for expression in expressions
            for instruction in builder.info.splits[expression].file_instructions
        }
    )


def prepare(builder: tfds.core.DatasetBuilder, manual_dir: Path | None) -> None:
    """Has TFDS download (or take from the manual directory) and prepare a dataset, unless that was done before.

    TFDS checks the SHA-256 of every source file, and prepares beside and then renames, so that a killed process leaves
    nothing half-prepared.

    Args:
      builder: from `load_builder`.
      manual_dir: a directory with the source files under their original names, to do without a network.

    Raises:
      DataUnavailableError: the sources are neither in the manual directory nor to be had from the network.
      UserError: a source file is corrupt, or there is no room or right to write the prepared data.
    """
    if builder.is_prepared():
        return
    missing = missing_sources(builder, manual_dir)
    if missing:
        _check_network(builder.name, *missing[0])
    tfds.disable_progress_bar()
    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    try:
        builder.download_and_prepare(download_config=config)
    except download_manager.NonMatchingChecksumError as error:
        raise UserError(
            f"A source file of {builder.name!r} is corrupt or cut off: {_one_line(error).partition(' To debug')[0]}. "
            "Fetch the original file again and put it in the manual directory."
        ) from error
    except requests.exceptions.RequestException as error:
        raise DataUnavailableError(
            _unavailable(builder.name, missing[0][1] if missing else "sources", error)
        ) from error
    except (OSError, EOFError) as error:
        raise UserError(
            f"Cannot prepare {builder.name!r} in {builder.data_dir}: {_one_line(error)} Expected readable source files "
            "and a directory that can be written to with room on the disk. Mend that, or pass another --data-dir."
        ) from error


def missing_sources(builder: tfds.core.DatasetBuilder, manual_dir: Path | None) -> list[tuple[str, str]]:
    """Returns URL and file name of each source file that the manual directory does not hold.

    Raises:
      UserError: the manual directory is not a directory.
    """
    if manual_dir is not None and not manual_dir.is_dir():
        raise UserError(
            f"The manual directory {manual_dir} is not a directory. Pass the one that holds the source files."
        )
    return [
        (url, info.filename)
        for url, info in (builder.url_infos or {}).items()
        if manual_dir is None or not (manual_dir / info.filename).is_file()
    ]


def count_splits(builder: tfds.core.DatasetBuilder, splits: Mapping[str, str]) -> dict[str, int]:
    """Returns the number of examples of each split expression of a prepared dataset.

    Raises:
      UserError: TFDS does not understand an expression, or a split is empty.
    """
    counts = {}
    for name, expression in splits.items():
        try:
            counts[name] = builder.info.splits[expression].num_examples
        except (KeyError, ValueError, AssertionError) as error:
            raise UserError(
                f"Cannot make split {name!r} of {builder.name!r} from {expression!r}: {_one_line(error)} "
                f"Expected a TFDS split expression over {', '.join(builder.info.splits)}."
            ) from error
        if not counts[name]:
            raise UserError(
                f"Split {name!r} = {expression!r} of {builder.name!r} is empty. The dataset holds "
                + ", ".join(f"{split.num_examples:,} in {key!r}" for key, split in builder.info.splits.items())
            )
    return counts


def _check_network(dataset: str, url: str, filename: str) -> None:
    """Asks once before TFDS does, which tries for more than three minutes when there is no network."""
    try:
        requests.head(url, timeout=_NETWORK_TIMEOUT_SECONDS)
    except requests.exceptions.RequestException as error:
        raise DataUnavailableError(_unavailable(dataset, filename, error)) from error


def _unavailable(dataset: str, filename: str, error: Exception) -> str:
    return (
        f"Cannot get dataset {dataset!r}: {filename} is not in the manual directory, and the network does not "
        f"answer ({type(error).__name__}). Connect to the network, or put the original files into a directory and "
        "name it by --manual-dir or MNIST_MANUAL_DIR."
    )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if text.endswith(".") else f"{text}."
