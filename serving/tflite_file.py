"""What a `.tflite` file declares about itself: tensors, operators, parameters - read from its flatbuffer, not run."""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

_TYPE_NAMES = {value: name.lower() for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_OPERATOR_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_FILE_IDENTIFIER = b"TFL3"
_LARGEST_FILE = 256 << 20
_FLOAT_TYPES = {"float16", "bfloat16", "float32", "float64"}


class TFLiteFileError(ValueError):
    """The bytes are not a TFLite model, or not one that may ship."""


@dataclass(frozen=True)
class Tensor:
    """An input or output: name, shape (-1 where dynamic), type as in `uint8`, quantisation (None if there is none)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class TFLiteFile:
    """The declarations of one `.tflite` file.

    Attributes:
      bytes: size of the file in bytes.
      inputs: input tensors, in order.
      outputs: output tensors, in order.
      operators: how often each built-in operator occurs, by its schema name (`CONV_2D`).
      custom_operators: how often each custom operator occurs; a TensorFlow operator run by Flex is called `Flex...`.
      float_tensors: names of the tensors that hold floats: none in a full-integer model.
      parameters: number of weights, that is elements of constant tensors that convolutions and dense layers take.
    """

    bytes: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: dict[str, int]
    custom_operators: dict[str, int]
    float_tensors: tuple[str, ...]
    parameters: int


def read(path: Path) -> bytes:
    """Reads a model from a file of at most 256 MiB.

    Raises:
      TFLiteFileError: there is no such file, it cannot be read, or it is too large.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise TFLiteFileError(f"Expected a model of at most {_LARGEST_FILE:,} bytes, got {size:,} in {path}.")
        return path.read_bytes()
    except OSError as error:
        raise TFLiteFileError(
            f"Cannot read the model {path}: {error.strerror}. Pass a version directory or a .tflite file."
        ) from error


def describe(content: bytes) -> TFLiteFile:
    """Reads the declarations of a model.

    Args:
      content: the bytes of a `.tflite` file.

    Raises:
      TFLiteFileError: the bytes are not a TFLite flatbuffer.

    Source: the schema `tensorflow/compiler/mlir/lite/schema/schema.fbs`.
    """
    if content[4:8] != _FILE_IDENTIFIER:
        raise TFLiteFileError(
            f"Not a TFLite model: expected the identifier {_FILE_IDENTIFIER.decode()} at byte 4, got "
            f"{content[4:8]!r} in a file of {len(content)} bytes."
        )
    try:
        return _describe(schema.ModelT.InitFromPackedBuf(content, 0), len(content))
    except Exception as error:  # a damaged flatbuffer fails anywhere: struct.error, IndexError, TypeError, ...
        raise TFLiteFileError(f"Not a readable TFLite model of {len(content)} bytes: damaged or cut off.") from error


def full_integer_problems(file: TFLiteFile, image_shape: tuple[int, int, int], classes: int) -> list[str]:
    """Returns in which ways a file falls short of what a device is promised; none if it does not.

    The promise: one input uint8 [1, height, width, channels] of raw pixels (scale 1, zero point 0), one output uint8
    [1, classes], built-in operators and integer tensors alone.

    Args:
      file: what the file declares.
      image_shape: height, width and channels of the input that is expected.
      classes: number of output probabilities that are expected.
    """
    problems = []
    if file.custom_operators:
        problems.append(f"expected built-in operators alone, got {', '.join(file.custom_operators)}")
    if file.float_tensors:
        problems.append(f"expected integer tensors alone, got floats in {', '.join(file.float_tensors[:3])}")
    for kind, tensors, shape in (
        ("input", file.inputs, (1, *image_shape)),
        ("output", file.outputs, (1, classes)),
    ):
        if len(tensors) != 1:
            problems.append(f"expected one {kind}, got {len(tensors)}")
            continue
        tensor = tensors[0]
        if (tensor.dtype, tensor.shape) != ("uint8", shape):
            problems.append(f"expected {kind} uint8 {list(shape)}, got {tensor.dtype} {list(tensor.shape)}")
    if len(file.inputs) == 1 and (file.inputs[0].scale, file.inputs[0].zero_point) != (1.0, 0):
        problems.append(
            "expected raw pixels as input (scale 1, zero point 0), got "
            f"scale {file.inputs[0].scale}, zero point {file.inputs[0].zero_point}"
        )
    return problems


def _describe(model: schema.ModelT, size: int) -> TFLiteFile:
    operators: Counter[str] = Counter()
    custom: Counter[str] = Counter()
    floats: list[str] = []
    weights: set[tuple[int, int]] = set()
    parameters = 0
    for graph_index, graph in enumerate(model.subgraphs):
        floats += [_name(tensor) for tensor in graph.tensors if _TYPE_NAMES[tensor.type] in _FLOAT_TYPES]
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            if code.customCode:
                custom[code.customCode.decode()] += 1
            else:
                # Files written before operator 127 existed carry the code in the deprecated field alone.
                operators[_OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]] += 1
            for index in operator.inputs:
                tensor = graph.tensors[index]
                constant = index >= 0 and model.buffers[tensor.buffer].data is not None
                if constant and _is_weight(tensor) and (graph_index, index) not in weights:
                    weights.add((graph_index, index))
                    parameters += prod(int(size) for size in tensor.shape)
    main = model.subgraphs[0]
    return TFLiteFile(
        bytes=size,
        inputs=tuple(_tensor(main.tensors[index]) for index in main.inputs),
        outputs=tuple(_tensor(main.tensors[index]) for index in main.outputs),
        operators=dict(sorted(operators.items())),
        custom_operators=dict(sorted(custom.items())),
        float_tensors=tuple(floats),
        parameters=parameters,
    )


def _is_weight(tensor: schema.TensorT) -> bool:
    """Tells weights from the int32 vectors that steer an operator (axes, shapes, paddings): those have no scale."""
    quantised = tensor.quantization is not None and tensor.quantization.scale is not None
    return quantised or _TYPE_NAMES[tensor.type] in _FLOAT_TYPES


def _name(tensor: schema.TensorT) -> str:
    return tensor.name.decode() if isinstance(tensor.name, bytes) else tensor.name


def _tensor(tensor: schema.TensorT) -> Tensor:
    quantization = tensor.quantization
    scales = [] if quantization is None or quantization.scale is None else quantization.scale
    signature = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return Tensor(
        name=_name(tensor),
        shape=tuple(int(size) for size in signature),
        dtype=_TYPE_NAMES[tensor.type],
        scale=float(scales[0]) if len(scales) else None,
        zero_point=int(quantization.zeroPoint[0]) if len(scales) else None,
    )
