"""What a device does with a version directory: LiteRT and NumPy, nothing else."""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

version, images_file, labels_file = (Path(argument) for argument in sys.argv[1:])
images, labels = np.load(images_file), np.load(labels_file)
interpreter = Interpreter(model_path=str(version / "model.tflite"))
interpreter.allocate_tensors()
pixels, probabilities = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
predicted = []
for image in images:
    interpreter.set_tensor(pixels, image[None])
    interpreter.invoke()
    predicted.append(interpreter.get_tensor(probabilities)[0].argmax())
assert not {"tensorflow", "tfx"} & sys.modules.keys()
print(np.mean(np.array(predicted) == labels))
