"""Executor of TFDSExampleGen."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tensorflow_datasets as tfds
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components import progress, records
from components.keys import SPLITS
from components.tfds_example_gen import datasets

_EXAMPLES_PER_SHARD = 10_000


@dataclass(frozen=True)
class Shard:
    """One file to write: Beam's unit of parallel work.

    Attributes:
      sources: which records of which TFDS files go in, in order, as TFDS's `FileInstruction`s.
      path: the gzipped TFRecord file to write.
      progress: where the copying stands once this shard and those before it are written.
    """

    sources: tuple[Any, ...]
    path: str
    progress: str


class Executor(base_beam_executor.BaseBeamExecutor):
    """Copies the serialised tf.Examples of each split, bytes untouched and in TFDS's order, shard by shard."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `examples` artifact from a prepared TFDS dataset."""
        self._log_startup(input_dict, output_dict, exec_properties)
        dataset = datasets.Dataset.from_json(exec_properties["dataset"])
        data_dir = exec_properties.get("data_dir")
        builder = datasets.load_builder(dataset.builder, Path(data_dir) if data_dir else None)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        examples.split_names = artifact_utils.encode_split_names(list(dataset.splits))
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")
        for key, value in {
            "dataset": dataset.name,
            "version": dataset.version,
            "class_names": json.dumps(dataset.class_names),
            "image_shape": json.dumps(dataset.image_shape),
        }.items():
            examples.set_string_custom_property(key, value)

        folders = {split: artifact_utils.get_split_uri([examples], split) for split in dataset.splits}
        for folder in folders.values():
            Path(folder).mkdir(parents=True)
        shards = list(plan_shards(builder, dataset, folders))
        with self._make_beam_pipeline() as pipeline:
            # Without a reshuffle the shards stay in order, and the progress counts up.
            _ = pipeline | "Shards" >> beam.Create(shards, reshuffle=False) | "Write" >> beam.Map(write_shard)


def plan_shards(
    builder: tfds.core.DatasetBuilder, dataset: datasets.Dataset, folders: dict[str, str]
) -> Iterator[Shard]:
    """Cuts every split into shards of about equal size, each split into the folder given for it."""
    counts = datasets.count_splits(builder, dataset.splits)
    done = ""
    for split in sorted(counts, key=SPLITS.index):
        expression = dataset.splits[split]
        number, end = -(-counts[split] // _EXAMPLES_PER_SHARD), 0
        for index, piece in enumerate(tfds.even_splits(expression, number)):
            info = builder.info.splits[piece]
            end += info.num_examples
            whole = end == counts[split]
            stands = f"{progress.DONE} {split} {end:,}" if whole else f"{split} {end:,} of {counts[split]:,}"
            path = f"{folders[split]}/data_tfrecord-{index:05d}-of-{number:05d}.gz"
            yield Shard(tuple(info.file_instructions), path, done + stands)
        done += f"{stands}  "


def write_shard(shard: Shard) -> None:
    """Writes one shard."""
    with tf.io.TFRecordWriter(shard.path, options="GZIP") as writer:
        for source in shard.sources:
            stored = records.read([source.filename], compression="").skip(source.skip)
            for record in stored.take(source.take).as_numpy_iterator():
                writer.write(record)
    progress.report(shard.progress)
