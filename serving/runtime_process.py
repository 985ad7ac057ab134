"""The process that `serving.runtimes` starts: runs one file on one runtime, and writes what came out."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from serving.runtimes import Runtime

_WARM_UP = 10


def litert(content: bytes, reference: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from an image [1, height, width, channels] to the output [1, classes], by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    (input_detail,), (output_detail,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(input_detail["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(output_detail["index"])

    return run


def micro(content: bytes) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[], None]]:
    """Returns the same by TFLite Micro, and a function that prints its memory to standard error."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(content)

    def run(image: np.ndarray) -> np.ndarray:
        interpreter.set_input(image, 0)
        interpreter.invoke()
        return interpreter.get_output(0)

    return run, interpreter.print_allocations


def main(runtime: str, model: str, inputs: str, outputs: str) -> None:
    """Runs the file `model` on the images in `inputs` (.npy), and writes `outputs` (.npz)."""
    content, images = Path(model).read_bytes(), np.load(inputs)
    print_memory: Callable[[], None] | None = None
    if runtime == Runtime.MICRO.name:
        run, print_memory = micro(content)
    else:
        run = litert(content, reference=runtime == Runtime.LITERT_REFERENCE.name)
    for image in images[:_WARM_UP]:
        run(image[None])
    results, latencies = [], []
    for image in images:
        start = time.perf_counter_ns()
        results.append(run(image[None])[0])
        latencies.append((time.perf_counter_ns() - start) / 1000)
    if print_memory:
        print_memory()
    np.savez(outputs, outputs=np.stack(results), latencies_us=np.array(latencies))


if __name__ == "__main__":
    main(*sys.argv[1:])
