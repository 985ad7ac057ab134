"""Executor of ExampleValidator."""

import json
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx import types
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as specs
from tfx.utils import io_utils

from components import progress
from components.artifacts import split_files
from components.errors import AnomaliesError
from components.example_validator import images
from components.keys import TRAIN

EXAMPLES_KEY = "examples"
PREVIOUS_STATISTICS_KEY = "previous_statistics"


class Executor(base_executor.BaseExecutor):
    """Validates every split and raises if anything is wrong with one."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `anomalies` artifact with an (empty) `Anomalies` proto a split.

        Raises:
          AnomaliesError: names the split, the feature and the anomaly, for all anomalies of all splits.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
        shape = tuple(json.loads(examples.get_string_custom_property("image_shape")))
        schema = io_utils.SchemaReader().read(
            io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict[specs.SCHEMA_KEY]))
        )
        statistics = _load_statistics(input_dict[specs.STATISTICS_KEY])
        previous = _load_statistics(input_dict.get(PREVIOUS_STATISTICS_KEY, []))
        anomalies_artifact = artifact_utils.get_single_instance(output_dict[specs.ANOMALIES_KEY])
        anomalies_artifact.split_names = artifact_utils.encode_split_names(list(statistics))

        images_decoded = 0
        found: dict[str, anomalies_pb2.Anomalies] = {}
        for split, split_statistics in statistics.items():
            progress.report(split)
            anomalies = tfdv.validate_statistics(
                split_statistics,
                schema,
                previous_statistics=previous.get(split),
                # Skew is told from the training data, so the other splits stand where TFDV expects serving data.
                serving_statistics=None if split == TRAIN else statistics.get(TRAIN),
            )
            check = images.check_images(split_files([examples], split), shape)
            images_decoded += check.images
            if check.bad:
                anomalies.anomaly_info["images"].CopyFrom(images.anomaly(check))
            folder = artifact_utils.get_split_uri([anomalies_artifact], split)
            io_utils.write_bytes_file(f"{folder}/{DEFAULT_FILE_NAME}", anomalies.SerializeToString())
            found[split] = anomalies
        if lines := describe(found):
            raise AnomaliesError(
                "The data does not fit its schema:\n  "
                + "\n  ".join(lines)
                + "\nMend the data, or (if the data is right) the schema; nothing was trained or pushed."
            )
        progress.report(f"no anomalies, {images_decoded:,} images decode")


def describe(anomalies: dict[str, anomalies_pb2.Anomalies]) -> list[str]:
    """Returns a line for each anomaly: split, feature, and what is wrong with it."""
    lines = []
    for split, found in anomalies.items():
        for name, info in sorted(found.anomaly_info.items()):
            feature = ".".join(info.path.step) or name
            lines.append(f"split {split!r}, feature {feature!r}: {info.short_description}. {info.description}")
        if found.HasField("dataset_anomaly_info"):
            lines.append(f"split {split!r}: {found.dataset_anomaly_info.description}")
    return lines


def _load_statistics(
    artifacts: list[types.Artifact],
) -> dict[str, statistics_pb2.DatasetFeatureStatisticsList]:
    """Returns the statistics of each split; of none, if there is no artifact."""
    return {
        split: stats_artifact_utils.load_statistics(artifact, split).proto()
        for artifact in artifacts
        for split in artifact_utils.decode_split_names(artifact.split_names)
    }
