"""The metadata inside a `.tflite` file: what it is, its labels, how to prepare its input, when to doubt its output.

It is a flatbuffer in one of the model's buffers (`serving.metadata_schema`), and the files that belong to the model
are a ZIP archive behind it.
"""

import io
import zipfile
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from serving.metadata_schema import (
    BUFFER_NAME,
    ModelMetadata,
    NormalizationOptions,
    ProcessUnit,
    ProcessUnitOptions,
    Reader,
    ScoreThresholdingOptions,
    SubGraphMetadata,
    TensorMetadata,
)

LABELS_FILE = "labels.txt"
LINEAGE_FILE = "lineage.json"

_LARGEST = 1 << 20  # bytes of metadata, and of each file behind it


@dataclass(frozen=True)
class Metadata:
    """The metadata of one file; what it does not state is None or empty.

    Attributes:
      name: of the model.
      description: what it does.
      version: of the model.
      author: who made it.
      license: what may be done with it.
      labels: class names in the order of the outputs.
      mean: what is taken from a pixel, a channel each, before it goes in.
      std: what it is then divided by.
      score_threshold: probability below which the answer should not be believed.
      lineage: JSON of what the file was made from.
    """

    name: str | None
    description: str | None
    version: str | None
    author: str | None
    license: str | None
    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    score_threshold: float | None
    lineage: str | None


def read(content: bytes) -> Metadata | None:
    """Returns the metadata of a `.tflite` file; None if there is none, or none that can be read.

    Args:
      content: the bytes of the file.
    """
    try:
        model = schema.Model.GetRootAs(content, 0)
        entries = map(model.Metadata, range(model.MetadataLength()))
        index = next(entry.Buffer() for entry in entries if entry.Name() == BUFFER_NAME)
        data = model.Buffers(index).DataAsNumpy()
        return _read(Reader.root(data.tobytes()), _associated_files(content)) if len(data) <= _LARGEST else None
    except Exception:  # a damaged flatbuffer fails anywhere: struct.error, IndexError, TypeError, StopIteration, ...
        return None


def _read(root: Reader, files: dict[str, str]) -> Metadata:
    graph = next(root.tables(ModelMetadata.SUBGRAPH_METADATA))
    image = next(graph.tables(SubGraphMetadata.INPUT_TENSOR_METADATA))
    probability = next(graph.tables(SubGraphMetadata.OUTPUT_TENSOR_METADATA))
    normalization = _process_unit(image, ProcessUnitOptions.NORMALIZATION_OPTIONS)
    thresholding = _process_unit(probability, ProcessUnitOptions.SCORE_THRESHOLDING_OPTIONS)
    return Metadata(
        name=root.text(ModelMetadata.NAME),
        description=root.text(ModelMetadata.DESCRIPTION),
        version=root.text(ModelMetadata.VERSION),
        author=root.text(ModelMetadata.AUTHOR),
        license=root.text(ModelMetadata.LICENSE),
        labels=tuple(files.get(LABELS_FILE, "").splitlines()),
        mean=normalization.numbers(NormalizationOptions.MEAN) if normalization else (),
        std=normalization.numbers(NormalizationOptions.STD) if normalization else (),
        score_threshold=thresholding.number(ScoreThresholdingOptions.GLOBAL_SCORE_THRESHOLD) if thresholding else None,
        lineage=files.get(LINEAGE_FILE),
    )


def _process_unit(tensor: Reader, kind: int) -> Reader | None:
    """Returns the options of the first process unit of a kind, None if there is none."""
    units = (unit.union(ProcessUnit.OPTIONS_TYPE) for unit in tensor.tables(TensorMetadata.PROCESS_UNITS))
    return next((options for found, options in units if found == kind), None)


def _associated_files(content: bytes) -> dict[str, str]:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # By name, so that an archive that lists a file ten thousand times has it read once.
        wanted = {item.filename: item for item in archive.infolist() if item.filename in (LABELS_FILE, LINEAGE_FILE)}
        return {name: archive.read(item).decode("utf-8") for name, item in wanted.items() if item.file_size <= _LARGEST}
