"""What a `.tflite` file declares is read from its bytes, and bytes that are no model are refused."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.tflite_file import TFLiteFileError, describe


def tensor(
    name: str,
    shape: list[int],
    dtype: int,
    buffer: int = 0,
    scale: float | None = None,
    zero_point: int = 0,
    signature: list[int] | None = None,
) -> schema.TensorT:
    result = schema.TensorT()
    result.name, result.shape, result.type, result.buffer = name, shape, dtype, buffer
    result.shapeSignature = signature
    if scale is not None:
        result.quantization = schema.QuantizationParametersT()
        result.quantization.scale, result.quantization.zeroPoint = [scale], [zero_point]
    return result


def operator(code: int, inputs: list[int], outputs: list[int]) -> schema.OperatorT:
    result = schema.OperatorT()
    result.opcodeIndex, result.inputs, result.outputs = code, inputs, outputs
    return result


def code(builtin: int, custom: bytes | None = None, deprecated: int | None = None) -> schema.OperatorCodeT:
    result = schema.OperatorCodeT()
    result.builtinCode, result.customCode = builtin, custom
    result.deprecatedBuiltinCode = min(builtin, 127) if deprecated is None else deprecated
    return result


def constant(size: int) -> schema.BufferT:
    result = schema.BufferT()
    result.data = np.zeros(size, np.uint8)
    return result


def build(tensors: list[schema.TensorT], operators: list[schema.OperatorT], codes: list[schema.OperatorCodeT]) -> bytes:
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = tensors, operators
    graph.inputs, graph.outputs = [0], [len(tensors) - 1]
    model = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], codes
    model.buffers = [schema.BufferT(), constant(12), constant(3), constant(4)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


TYPE, OPERATOR = schema.TensorType, schema.BuiltinOperator


@pytest.fixture(scope="module")
def dense() -> bytes:
    """Pixels [1, 4] through a dense layer of 3, and a reshape that is steered by a constant vector."""
    return build(
        tensors=[
            tensor("pixels", [1, 4], TYPE.UINT8, scale=1.0),
            tensor("weights", [3, 4], TYPE.INT8, buffer=1, scale=0.5),
            tensor("bias", [3], TYPE.INT32, buffer=2, scale=0.5),
            tensor("logits", [1, 3], TYPE.INT8, scale=0.25, zero_point=-7),
            tensor("new shape", [2], TYPE.INT32, buffer=3),
            tensor("probabilities", [1, 3], TYPE.UINT8, scale=1 / 256, signature=[-1, 3]),
        ],
        operators=[operator(0, [0, 1, 2], [3]), operator(1, [3, 4], [5])],
        codes=[code(OPERATOR.FULLY_CONNECTED), code(OPERATOR.RESHAPE)],
    )


def test_inputs_and_outputs_are_told_with_type_shape_and_quantisation(dense: bytes) -> None:
    file = describe(dense)
    (pixels,), (probabilities,) = file.inputs, file.outputs
    assert (pixels.name, pixels.dtype, pixels.shape) == ("pixels", "uint8", (1, 4))
    assert (pixels.scale, pixels.zero_point) == (1.0, 0)
    assert (probabilities.name, probabilities.dtype, probabilities.scale) == ("probabilities", "uint8", 1 / 256)


def test_a_dimension_that_is_free_is_told_as_minus_1(dense: bytes) -> None:
    assert describe(dense).outputs[0].shape == (-1, 3)


def test_the_size_is_that_of_the_file(dense: bytes) -> None:
    assert describe(dense).bytes == len(dense)


def test_weights_are_counted_and_the_vectors_that_steer_operators_are_not(dense: bytes) -> None:
    assert describe(dense).parameters == 3 * 4 + 3


def test_an_integer_file_has_no_float_tensors(dense: bytes) -> None:
    assert describe(dense).float_tensors == ()


def test_operators_are_counted_by_name(dense: bytes) -> None:
    assert describe(dense).operators == {"FULLY_CONNECTED": 1, "RESHAPE": 1}
    assert describe(dense).custom_operators == {}


def floats(*codes: schema.OperatorCodeT) -> bytes:
    """A chain of operators on floats, of which each has the same constant for its second input."""
    count = len(codes)
    inner = [tensor(f"t{index}", [1, 3], TYPE.FLOAT32) for index in range(count + 1)]
    weights = tensor("weights", [3], TYPE.FLOAT16, buffer=1)
    operators = [operator(index, [index, count], [index + 1]) for index in range(count)]
    tensors = [*inner[:-1], weights, inner[-1]]
    operators[-1].outputs = [count + 1]
    return build(tensors, operators, list(codes))


def test_floats_of_every_width_are_named() -> None:
    assert describe(floats(code(OPERATOR.ADD))).float_tensors == ("t0", "weights", "t1")


def test_a_tensor_without_quantisation_has_no_scale() -> None:
    (only,) = describe(floats(code(OPERATOR.ADD))).inputs
    assert (only.scale, only.zero_point) == (None, None)


def test_weights_that_several_operators_share_count_once() -> None:
    assert describe(floats(code(OPERATOR.ADD), code(OPERATOR.MUL))).parameters == 3


def test_weights_that_are_dequantised_first_count_too() -> None:
    content = build(
        tensors=[
            tensor("x", [1, 3], TYPE.FLOAT32),
            tensor("half", [3], TYPE.FLOAT16, buffer=1),
            tensor("full", [3], TYPE.FLOAT32),
            tensor("y", [1, 3], TYPE.FLOAT32),
        ],
        operators=[operator(0, [1], [2]), operator(1, [0, 2], [3])],
        codes=[code(OPERATOR.DEQUANTIZE), code(OPERATOR.ADD)],
    )
    assert describe(content).parameters == 3


def test_an_input_that_is_left_out_is_no_weight() -> None:
    content = build(
        tensors=[
            tensor("x", [1, 4], TYPE.INT8, scale=1.0),
            tensor("weights", [3, 4], TYPE.INT8, buffer=1, scale=0.5),
            tensor("y", [3], TYPE.INT8, buffer=2, scale=1.0),
        ],
        operators=[operator(0, [0, 1, -1], [2])],  # no bias
        codes=[code(OPERATOR.FULLY_CONNECTED)],
    )
    assert describe(content).parameters == 12


def test_custom_and_flex_operators_are_counted_apart() -> None:
    file = describe(floats(code(OPERATOR.CUSTOM, b"FlexTan"), code(OPERATOR.CUSTOM, b"Mine"), code(OPERATOR.ADD)))
    assert file.custom_operators == {"FlexTan": 1, "Mine": 1}
    assert file.operators == {"ADD": 1}


@pytest.mark.parametrize(
    ("builtin", "deprecated", "name"),
    [
        (0, OPERATOR.SOFTMAX, "SOFTMAX"),  # an old file, which has the old field alone
        (OPERATOR.GELU, 127, "GELU"),  # too large for the old field
    ],
)
def test_operators_of_old_and_new_files_are_known(builtin: int, deprecated: int, name: str) -> None:
    assert describe(floats(code(builtin, deprecated=deprecated))).operators == {name: 1}


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x89PNG\r\n\x1a\n", b"\0" * 100])
def test_bytes_without_the_identifier_are_no_model(content: bytes) -> None:
    with pytest.raises(TFLiteFileError, match=f"expected the identifier TFL3.*{len(content)} bytes"):
        describe(content)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_file_that_is_cut_off_is_read_or_refused_and_nothing_else(dense: bytes, data: st.DataObject) -> None:
    content = dense[: data.draw(st.integers(8, len(dense) - 1))]
    try:
        describe(content)
    except TFLiteFileError as error:
        assert "damaged or cut off" in str(error)
