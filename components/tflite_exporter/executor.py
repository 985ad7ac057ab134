"""Executor of TFLiteExporter."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import images, progress, provenance
from components.artifacts import split_files
from components.keys import (
    ABSTENTION,
    EVAL,
    NETWORK,
    PROBABILITIES,
    RELEASE_DIGEST,
    SERVE_EXAMPLES,
    SERVE_IMAGES,
    TEST,
    TFMA_TFLITE,
    TRAIN,
    VARIANTS,
)
from components.release import files_as_pushed, release_digest
from components.tfds_example_gen.datasets import Dataset
from components.tflite_exporter import abstention, conversion, metadata, sampling
from components.transform.preprocessing import affine, normalization_table
from serving import version_dir
from serving.tflite_file import describe

_CALIBRATION_PER_CLASS = 50
_GOLDEN_PER_CLASS = 10


class Executor(base_executor.BaseExecutor):
    """Converts, checks, and lays out the release."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the artifacts `model` and `variants`.

        Raises:
          TFLiteFileError: the converter's result is not fully integer, or its input and output are not as promised.
          ValueError: the two ways into the SavedModel disagree.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        dataset = Dataset.from_json(exec_properties["dataset"])
        seed = exec_properties["seed"]
        trained_uri = artifact_utils.get_single_uri(input_dict["trained_model"])
        network = keras.models.load_model(Path(trained_uri) / NETWORK, compile=False)
        transform_uri = artifact_utils.get_single_uri(input_dict["transform_graph"])
        transform = tft.TFTransformOutput(transform_uri).transform_features_layer()
        scale, offset = affine(normalization_table(transform, dataset.image_shape))
        model = conversion.with_pixels_in(network, scale, offset, dataset.image_shape)

        progress.report("drawing calibration images")
        calibration = sampling.draw(
            split_files(input_dict["examples"], TRAIN), dataset.image_shape, _CALIBRATION_PER_CLASS, seed
        )
        progress.report(f"{conversion.FULL_INTEGER}, calibrated on {len(calibration.labels)} images of {TRAIN}")
        content = conversion.to_full_integer(model, calibration.images)
        progress.report(f"choosing on {EVAL} when to abstain")
        held_out, _ = images.load(split_files(input_dict["examples"], EVAL), dataset.image_shape)
        doubt = abstention.choose(conversion.run(content, held_out), exec_properties["abstention_rate"])
        content = metadata.add(
            content,
            dataset,
            doubt.threshold,
            version=provenance.git_revision() or "unversioned",
            lineage={
                "dataset": json.loads(dataset.to_json()),
                "artifacts": {key: artifacts[0].id for key, artifacts in sorted(input_dict.items())},
            },
        )
        conversion.check_full_integer(content, dataset.image_shape, len(dataset.class_names))

        exported = artifact_utils.get_single_instance(output_dict["model"])
        release = Path(path_utils.serving_model_dir(exported.uri))
        shutil.copytree(path_utils.serving_model_path(trained_uri), release)
        (Path(exported.uri) / ABSTENTION).write_text(json.dumps(asdict(doubt), indent=2), encoding="utf-8")
        (release / TFMA_TFLITE).write_bytes(content)
        (release / version_dir.LABELS).write_text(
            "".join(f"{name}\n" for name in dataset.class_names), encoding="utf-8"
        )
        golden = sampling.draw(split_files(input_dict["examples"], TEST), dataset.image_shape, _GOLDEN_PER_CLASS, seed)
        probabilities, output = saved_model_probabilities(release, golden), conversion.run(content, golden.images)
        # Golden examples tell a broken runtime; an image so near the border that int8 crosses it would not.
        clear = probabilities.argmax(axis=1) == output.argmax(axis=1)
        np.savez_compressed(
            release / version_dir.GOLDEN,
            images=golden.images[clear],
            labels=golden.labels[clear],
            tflite_output=output[clear],
            saved_model_probabilities=probabilities[clear],
        )
        exported.set_string_custom_property(RELEASE_DIGEST, release_digest(files_as_pushed(release)))

        variants_dir = Path(artifact_utils.get_single_uri(output_dict["variants"]))
        variants = {conversion.FULL_INTEGER: content}
        for variant in conversion.VARIANTS:
            progress.report(f"{variant}, for comparison")
            variants[variant] = conversion.to_variant(model, variant)
        write_variants(variants, calibration, seed, variants_dir)
        progress.report(f"{len(content):,} bytes, integer operators only")


def saved_model_probabilities(path: Path, sample: sampling.Sample) -> np.ndarray:
    """Runs both ways into a SavedModel and returns their common result.

    Args:
      path: of the SavedModel.
      sample: examples to run.

    Returns:
      float32 [N, classes].

    Raises:
      ValueError: the results differ in any bit.
    """
    signatures = tf.saved_model.load(str(path)).signatures
    from_examples = signatures[SERVE_EXAMPLES](examples=tf.constant(sample.records))[PROBABILITIES].numpy()
    from_pixels = signatures[SERVE_IMAGES](images=tf.constant(sample.images))[PROBABILITIES].numpy()
    if not np.array_equal(from_examples, from_pixels):
        raise ValueError(
            f"Expected {SERVE_EXAMPLES} and {SERVE_IMAGES} to agree bit for bit; they differ by up to "
            f"{np.abs(from_examples - from_pixels).max()}."
        )
    return from_pixels


def write_variants(variants: dict[str, bytes], calibration: sampling.Sample, seed: int, folder: Path) -> None:
    """Writes `<variant>.tflite` files, and `variants.json` with their sizes and hashes and the calibration set."""
    folder.mkdir(parents=True, exist_ok=True)
    for variant, content in variants.items():
        (folder / f"{variant}.tflite").write_bytes(content)
    hashes = version_dir.file_hashes(folder)
    summary = {
        "variants": {
            variant: hashes[f"{variant}.tflite"] | {"parameters": describe(content).parameters}
            for variant, content in variants.items()
        },
        "calibration": {"split": TRAIN, "seed": seed, "indices": calibration.indices.tolist()},
    }
    (folder / VARIANTS).write_text(json.dumps(summary, indent=2))
