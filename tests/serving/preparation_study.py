"""Prints what preparation is worth: how many renderings a model reads before it and after it, by condition.

    python -m tests.serving.preparation_study MODEL.tflite [--fonts DIRECTORY] [--hands 10] [--sheet PICTURE.png]

Before: the whole picture is made grey and resized to 28 x 28. After: `serving.digits.prepare`.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from serving.digits import NoInkError, prepare
from tests.serving.renderings import font_paths, render


def naive(grey: np.ndarray) -> np.ndarray:
    """Resizes the whole picture to 28 x 28."""
    return np.asarray(Image.fromarray(grey).resize((28, 28), Image.Resampling.BICUBIC))


def prepared(grey: np.ndarray) -> np.ndarray:
    """Prepares a picture; what has no ink counts as a blank image, which is read wrongly."""
    try:
        return prepare(grey)
    except NoInkError:
        return np.zeros((28, 28), np.uint8)


def main() -> None:
    """Renders, reads and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--fonts", type=Path, help="a directory of .ttf files in place of matplotlib's")
    parser.add_argument("--hands", type=int, default=10, help="how often each digit is drawn with the shaky pen")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="where to save a contact sheet of what is read wrongly")
    options = parser.parse_args()
    fonts = sorted(options.fonts.rglob("*.ttf")) if options.fonts else font_paths()

    interpreter = Interpreter(model_path=str(options.model))
    interpreter.allocate_tensors()
    (pixels,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()

    def read(image: np.ndarray) -> int:
        interpreter.set_tensor(pixels["index"], image[None, :, :, None])
        interpreter.invoke()
        return int(interpreter.get_tensor(scores["index"])[0].argmax())

    right: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    wrong: list[np.ndarray] = []
    for rendering in render(fonts, options.hands, options.seed):
        before, after = naive(rendering.picture), prepared(rendering.picture)
        right[rendering.condition].append((read(before) == rendering.digit, read(after) == rendering.digit))
        if not right[rendering.condition][-1][1]:
            wrong.append(after)
    right["in total"] = [pair for pairs in right.values() for pair in pairs]

    write = sys.stdout.write
    write("| condition | pictures | before | after |\n|---|---|---|---|\n")
    for condition, pairs in right.items():
        before, after = np.mean(pairs, 0)
        write(f"| {condition} | {len(pairs)} | {before:.1%} | {after:.1%} |\n")
    if options.sheet and wrong:
        wrong += [np.zeros((28, 28), np.uint8)] * (-len(wrong) % 30)
        rows = [np.hstack(wrong[start : start + 30]) for start in range(0, len(wrong), 30)]
        Image.fromarray(np.vstack(rows)).resize((30 * 56, len(rows) * 56)).save(options.sheet)


if __name__ == "__main__":
    main()
