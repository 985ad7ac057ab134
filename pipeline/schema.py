"""Inferring a schema for a new dataset."""

import tempfile
from pathlib import Path

import tensorflow_data_validation as tfdv
from apache_beam.options.pipeline_options import PipelineOptions
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.keys import IMAGE, LABEL, TRAIN
from components.tfds_example_gen import datasets
from pipeline.graph import BEAM_ARGS

_LARGEST_SHIFT = 0.05


def infer(dataset: str, split: str, manual_dir: Path | None, data_dir: Path | None) -> str:
    """Returns a schema in protobuf text form.

    TFDV infers types, presence and shapes from the data; the label's domain comes from the dataset's class names.

    Args:
      dataset: TFDS name.
      split: TFDS split expression; all stored files that it touches are read whole.
      manual_dir: see `datasets.prepare`.
      data_dir: see `datasets.load_builder`.

    Raises:
      UserError: see `components.tfds_example_gen.datasets`.
    """
    builder = datasets.load_builder(dataset, data_dir)
    datasets.prepare(builder, manual_dir)
    datasets.count_splits(builder, {TRAIN: split})
    files = [str(path) for path in datasets.stored_files(builder, [split])]
    with tempfile.TemporaryDirectory() as folder:
        statistics = tfdv.generate_statistics_from_tfrecord(
            ",".join(files), str(Path(folder) / "statistics"), pipeline_options=PipelineOptions(BEAM_ARGS)
        )
    schema = tfdv.infer_schema(statistics)
    complete(schema, len(builder.info.features[LABEL].names))
    header = f"# Inferred from {builder.info.full_name}, split {split}. Look it over before it is used.\n"
    return header + text_format.MessageToString(schema)


def complete(schema: schema_pb2.Schema, classes: int) -> None:
    """Adds to an inferred schema what the dataset's declarations say and the data alone does not."""
    for feature in schema.feature:
        if feature.name == IMAGE:
            feature.ClearField("domain_info")
            feature.image_domain.minimum_supported_image_fraction = 1.0
        if feature.name == LABEL:
            feature.ClearField("domain_info")
            feature.int_domain.CopyFrom(schema_pb2.IntDomain(name=LABEL, min=0, max=classes - 1, is_categorical=True))
            feature.skew_comparator.infinity_norm.threshold = _LARGEST_SHIFT
            feature.drift_comparator.infinity_norm.threshold = _LARGEST_SHIFT
