"""Metadata inside the TFLite file, in the standard form that other tools show and use.

Source: TensorFlow Lite's metadata schema, see `serving.metadata_schema`; its `MetadataPopulator` packs it into a file.
"""

import io
import json
import zipfile
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from components.tfds_example_gen.datasets import Dataset
from serving.metadata_schema import (
    BUFFER_NAME,
    AssociatedFile,
    AssociatedFileType,
    ColorSpaceType,
    Content,
    ContentProperties,
    Fields,
    ImageProperties,
    ModelMetadata,
    NormalizationOptions,
    ProcessUnit,
    ProcessUnitOptions,
    ScoreThresholdingOptions,
    Stats,
    SubGraphMetadata,
    TensorMetadata,
    pack,
)
from serving.tflite_metadata import LABELS_FILE, LINEAGE_FILE

_AUTHOR = "mnist-pipeline"
_LICENSE = "Apache-2.0"
_PARSER_VERSION = "1.0.0"  # the first version of the schema to have all fields used here
_GREY_CHANNELS = 1
_MODEL_IDENTIFIER = b"TFL3"


def add(content: bytes, dataset: Dataset, threshold: float, version: str, lineage: dict[str, Any]) -> bytes:
    """Packs metadata into a file; nothing else of it changes.

    Args:
      content: bytes of a `.tflite` file as the converter makes it, of one input, uint8 pixels, and one output, uint8
        probabilities.
      dataset: what the model was trained on.
      threshold: probability below which an answer should not be believed.
      version: of the model.
      lineage: what the file was made from.
    """
    packed = _with_buffer(content, pack(_describe(dataset, threshold, version)))
    files = {
        LABELS_FILE: "".join(f"{name}\n" for name in dataset.class_names).encode(),
        LINEAGE_FILE: json.dumps(lineage, sort_keys=True).encode(),
    }
    return _with_archive(packed, files)


def _describe(dataset: Dataset, threshold: float, version: str) -> Fields:
    height, width, channels = dataset.image_shape
    grey = channels == _GREY_CHANNELS
    image = {
        TensorMetadata.NAME: "image",
        TensorMetadata.DESCRIPTION: (
            f"Raw pixels of one {'grey' if grey else 'RGB'} image of {height} x {width}, 0 to 255, as in "
            f"{dataset.name}. Normalisation is inside the model."
        ),
        TensorMetadata.CONTENT: {
            Content.PROPERTIES_TYPE: ContentProperties.IMAGE_PROPERTIES,
            Content.PROPERTIES: {ImageProperties.COLOR_SPACE: ColorSpaceType.GRAYSCALE if grey else ColorSpaceType.RGB},
        },
        # Raw pixels go in: nothing is subtracted from them, and they are divided by one.
        TensorMetadata.PROCESS_UNITS: [
            {
                ProcessUnit.OPTIONS_TYPE: ProcessUnitOptions.NORMALIZATION_OPTIONS,
                ProcessUnit.OPTIONS: {NormalizationOptions.MEAN: [0.0], NormalizationOptions.STD: [1.0]},
            }
        ],
        TensorMetadata.STATS: {Stats.MIN: [0.0], Stats.MAX: [255.0]},
    }
    probability = {
        TensorMetadata.NAME: "probability",
        TensorMetadata.DESCRIPTION: f"Probability of each of the {len(dataset.class_names)} classes, in 256ths.",
        TensorMetadata.CONTENT: {
            Content.PROPERTIES_TYPE: ContentProperties.FEATURE_PROPERTIES,
            Content.PROPERTIES: {},
        },
        TensorMetadata.PROCESS_UNITS: [
            {
                ProcessUnit.OPTIONS_TYPE: ProcessUnitOptions.SCORE_THRESHOLDING_OPTIONS,
                ProcessUnit.OPTIONS: {ScoreThresholdingOptions.GLOBAL_SCORE_THRESHOLD: float(threshold)},
            }
        ],
        TensorMetadata.STATS: {Stats.MIN: [0.0], Stats.MAX: [1.0]},
        TensorMetadata.ASSOCIATED_FILES: [
            {
                AssociatedFile.NAME: LABELS_FILE,
                AssociatedFile.DESCRIPTION: "Class names, one a line.",
                AssociatedFile.TYPE: AssociatedFileType.TENSOR_AXIS_LABELS,
            }
        ],
    }
    return {
        ModelMetadata.NAME: f"{dataset.name} classifier",
        ModelMetadata.DESCRIPTION: (
            f"Tells which of {len(dataset.class_names)} classes an image is of. Full-integer, trained on "
            f"{dataset.builder}."
        ),
        ModelMetadata.VERSION: version,
        ModelMetadata.SUBGRAPH_METADATA: [
            {
                SubGraphMetadata.INPUT_TENSOR_METADATA: [image],
                SubGraphMetadata.OUTPUT_TENSOR_METADATA: [probability],
            }
        ],
        ModelMetadata.AUTHOR: _AUTHOR,
        ModelMetadata.LICENSE: _LICENSE,
        ModelMetadata.ASSOCIATED_FILES: [
            {
                AssociatedFile.NAME: LINEAGE_FILE,
                AssociatedFile.DESCRIPTION: "What the model was made from.",
                AssociatedFile.TYPE: AssociatedFileType.DESCRIPTIONS,
            }
        ],
        ModelMetadata.MIN_PARSER_VERSION: _PARSER_VERSION,
    }


def _with_buffer(content: bytes, metadata: bytes) -> bytes:
    """Adds metadata to a model as one more buffer, and to its list of metadata the name and number of that buffer."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(metadata, np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = BUFFER_NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), _MODEL_IDENTIFIER)
    return bytes(builder.Output())


def _with_archive(content: bytes, files: dict[str, bytes]) -> bytes:
    """Puts a ZIP archive behind a model, without the time of day: equal models are equal files."""
    # Appended, so that offsets count from the start of the file: Android's reader of metadata takes them as they are.
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()
