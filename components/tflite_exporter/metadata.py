"""Metadata inside the TFLite file, in the standard form that other tools show and use.

Source: TensorFlow Lite's metadata schema, `tensorflow_lite_support/metadata/metadata_schema.fbs`.
"""

import io
import json
import zipfile
from typing import Any

import flatbuffers

# Not by `tflite_support`, which also loads the library's tasks; these need a protobuf of long ago.
from tensorflow_lite_support.metadata import metadata_schema_py_generated as schema
from tensorflow_lite_support.metadata.python import metadata

from components.tfds_example_gen.datasets import Dataset
from serving.tflite_metadata import LABELS_FILE, LINEAGE_FILE

_AUTHOR = "mnist-pipeline"
_LICENSE = "Apache-2.0"
_GREY_CHANNELS = 1


def add(content: bytes, dataset: Dataset, threshold: float, version: str, lineage: dict[str, Any]) -> bytes:
    """Packs metadata into a file; nothing else of it changes.

    Args:
      content: bytes of a `.tflite` file of one input, uint8 pixels, and one output, uint8 probabilities.
      dataset: what the model was trained on.
      threshold: probability below which an answer should not be believed.
      version: of the model.
      lineage: what the file was made from.
    """
    populator = metadata.MetadataPopulator.with_model_buffer(bytearray(content))
    populator.load_metadata_buffer(_packed(_describe(dataset, threshold, version)))
    files = {
        LABELS_FILE: "".join(f"{name}\n" for name in dataset.class_names).encode(),
        LINEAGE_FILE: json.dumps(lineage, sort_keys=True).encode(),
    }
    populator.load_associated_file_buffers(files)
    populator.populate()
    return _with_archive(bytes(populator.get_model_buffer()), files)


def _describe(dataset: Dataset, threshold: float, version: str) -> schema.ModelMetadataT:
    height, width, channels = dataset.image_shape
    pixels = schema.ImagePropertiesT()
    grey = channels == _GREY_CHANNELS
    pixels.colorSpace = schema.ColorSpaceType.GRAYSCALE if grey else schema.ColorSpaceType.RGB
    image = schema.TensorMetadataT()
    image.name = "image"
    image.description = (
        f"Raw pixels of one {'grey' if grey else 'RGB'} image of {height} x {width}, 0 to 255, as in {dataset.name}. "
        "Normalisation is inside the model."
    )
    image.content = _content(schema.ContentProperties.ImageProperties, pixels)
    # Raw pixels go in: nothing is taken away from them, and they are divided by one.
    image.processUnits = [
        _unit(schema.ProcessUnitOptions.NormalizationOptions, schema.NormalizationOptionsT(), mean=[0.0], std=[1.0])
    ]
    image.stats = _stats(0.0, 255.0)

    probability = schema.TensorMetadataT()
    probability.name = "probability"
    probability.description = f"Probability of each of the {len(dataset.class_names)} classes, in 256ths."
    probability.content = _content(schema.ContentProperties.FeatureProperties, schema.FeaturePropertiesT())
    probability.processUnits = [
        _unit(
            schema.ProcessUnitOptions.ScoreThresholdingOptions,
            schema.ScoreThresholdingOptionsT(),
            globalScoreThreshold=threshold,
        )
    ]
    probability.stats = _stats(0.0, 1.0)
    probability.associatedFiles = [
        _file(LABELS_FILE, "Class names, one a line.", schema.AssociatedFileType.TENSOR_AXIS_LABELS)
    ]

    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata = [image]
    graph.outputTensorMetadata = [probability]
    model = schema.ModelMetadataT()
    model.name = f"{dataset.name} classifier"
    model.description = (
        f"Tells which of {len(dataset.class_names)} classes an image is of. Full-integer, trained on {dataset.builder}."
    )
    model.version = version
    model.author = _AUTHOR
    model.license = _LICENSE
    model.subgraphMetadata = [graph]
    model.associatedFiles = [
        _file(LINEAGE_FILE, "What the model was made from.", schema.AssociatedFileType.DESCRIPTIONS)
    ]
    return model


def _content(kind: int, properties: Any) -> schema.ContentT:
    content = schema.ContentT()
    content.contentPropertiesType, content.contentProperties = kind, properties
    return content


def _unit(kind: int, options: Any, **values: Any) -> schema.ProcessUnitT:
    for name, value in values.items():
        setattr(options, name, value)
    unit = schema.ProcessUnitT()
    unit.optionsType, unit.options = kind, options
    return unit


def _stats(least: float, most: float) -> schema.StatsT:
    stats = schema.StatsT()
    stats.min, stats.max = [least], [most]
    return stats


def _file(name: str, description: str, kind: int) -> schema.AssociatedFileT:
    file = schema.AssociatedFileT()
    file.name, file.description, file.type = name, description, kind
    return file


def _packed(model: schema.ModelMetadataT) -> bytes:
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), metadata.MetadataPopulator.METADATA_FILE_IDENTIFIER)
    return bytes(builder.Output())


def _with_archive(content: bytes, files: dict[str, bytes]) -> bytes:
    """Replaces the archive behind a model: the populator puts the time of day in it, and equal models would differ."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = min(item.header_offset for item in archive.infolist())
    # Appended, so that offsets count from the start of the file: Android's reader of metadata takes them as they are.
    buffer = io.BytesIO(content[:start])
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()
