"""The command line of the base install, `python -m serving`."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from serving import benchmark, kit, tflite_file, tflite_metadata, version_dir
from serving.classifier import ImageClassifier
from serving.paths import refusal_of_uri
from serving.predict import Finding, predict

_DEFAULT_SERVING_DIR = Path("pipeline_root/serving_models")
_SHADES = " .:-=+*#%@"
_USER_ERROR = 2


class CommandError(ValueError):
    """Something that the user can mend."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; ends with 0, or 2 after an error message."""
    options = _parser().parse_args(arguments)
    try:
        status = options.command(options)
        sys.stdout.flush()
        sys.exit(status)
    except BrokenPipeError:  # as in `... inspect MODEL | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ValueError as error:  # the errors of this package are all of this kind
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(_USER_ERROR)
    except OSError as error:
        print(f"Error: {error}. Name a place that can be read or written.", file=sys.stderr)
        sys.exit(_USER_ERROR)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving", description="Classify images by a pushed model.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function: Any, text: str) -> argparse.ArgumentParser:
        name = function.__name__.removeprefix("_")
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=function)
        return added

    classify = command(_predict, "Tell what is in pictures.")
    classify.add_argument("images", nargs="+", metavar="IMAGE", help="Picture: PNG, JPEG, WEBP, GIF, BMP, TIFF, PPM.")
    classify.add_argument(
        "--model", type=_local_path, help="Version directory or .tflite file; default: the newest pushed."
    )
    classify.add_argument("--whole", action="store_true", help="Take each picture for one digit.")
    classify.add_argument("--brief", action="store_true", help="Do not draw what the model saw.")
    classify.add_argument("--json", action="store_true", help="Print JSON.")

    measure = command(_benchmark, "Measure latency, size, memory and accuracy of a model on this machine.")
    measure.add_argument("model", type=_local_path, help="Version directory or .tflite file.")
    measure.add_argument(
        "--data", type=_local_path, help="NPZ file of `images` and `labels`; default: the golden images."
    )
    measure.add_argument("--json", action="store_true", help="Print JSON.")

    look = command(_inspect, "Show input, output, operators, metadata and manifest of a model.")
    look.add_argument("model", type=_local_path, help="Version directory or .tflite file.")
    look.add_argument("--json", action="store_true", help="Print JSON.")

    package = command(_kit, "Write what a device developer needs: C sources with test vectors, labels, and a README.")
    package.add_argument("model", type=_local_path, help="Version directory.")
    package.add_argument(
        "--output", type=_local_path, required=True, help="Directory to write; it must not be there yet."
    )
    return parser


def _local_path(text: str) -> Path:
    if refusal := refusal_of_uri(text):
        raise argparse.ArgumentTypeError(refusal)
    return Path(text)


def _predict(options: argparse.Namespace) -> int:
    path = options.model or newest_version(_DEFAULT_SERVING_DIR)
    with _quiet():
        classifier = ImageClassifier(path)
    results: list[dict[str, Any]] = []
    width = max(len(image) for image in options.images)
    failed = False
    for image in options.images:
        try:
            findings = predict(classifier, image, whole=options.whole)
        except ValueError as error:
            print(f"Error: {error}", file=sys.stderr)
            results.append({"image": image, "error": str(error)})
            failed = True
            continue
        if options.json:
            results.append({"image": image, "findings": [_as_json(finding) for finding in findings]})
            continue
        print(f"{image:<{width}}  {_in_words(findings)}")
        if findings and not options.brief:
            print(_drawn(findings))
    if options.json:
        print(json.dumps(results, indent=2))
    return _USER_ERROR if failed else 0


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps LiteRT's greeting, which it has no setting for, from standard error; what goes wrong is raised."""
    saved = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def newest_version(serving_dir: Path) -> Path:
    """Returns the version directory that was pushed last below a serving directory.

    Raises:
      CommandError: there is none.
    """
    found = [version for model in serving_dir.glob("*") for version in version_dir.directories(model)[-1:]]
    if not found:
        raise CommandError(
            f"Expected a pushed model in {serving_dir}, found none. Pass --model with a version directory or a .tflite "
            "file, or push one by `make run`."
        )
    return max(found, key=lambda version: int(version.name))


def _in_words(findings: list[Finding]) -> str:
    if not findings:
        return "nothing found"
    text = "".join(finding.label if finding.label is not None else "?" for finding in findings)
    each = ", ".join(
        f"{finding.probability:.1%}" if finding.label is not None else f"none, at best {finding.candidate}"
        for finding in findings
    )
    return f"{text}  ({each})"


def _as_json(finding: Finding) -> dict[str, Any]:
    return asdict(finding) | {"seen": finding.seen.tolist()}


def _drawn(findings: list[Finding]) -> str:
    """Draws what the model saw, side by side, two rows of pixels a line of text."""
    seen = [finding.seen.mean(axis=-1) for finding in findings]
    rows = [
        np.concatenate(
            [(image[0::2][: len(image) // 2] + image[1::2]) / 2 for image in seen[start : start + 4]], axis=1
        )
        for start in range(0, len(seen), 4)
    ]
    shades = np.array(list(_SHADES))
    lines = ["".join(shades[(line * len(_SHADES) / 256).astype(int)]).rstrip() for block in rows for line in block]
    return "\n".join(f"    {line}" for line in lines if line)


def _benchmark(options: argparse.Namespace) -> int:
    result = benchmark.measure(options.model, options.data)
    if options.json:
        print(json.dumps(asdict(result), indent=2))
        return 0
    print(f"{'file':<22}{result.bytes:,} bytes, {result.parameters:,} parameters")
    for run in result.runs:
        if run.not_run:
            print(f"{run.runtime:<22}not run: {run.not_run}")
            continue
        arena = f", arena {run.arena_bytes:,} bytes" if run.arena_bytes else ""
        accuracy = f", accuracy {run.accuracy:.2%} on {run.images:,} images" if run.accuracy is not None else ""
        print(
            f"{run.runtime:<22}{run.latency_us_p50:,.0f} µs an image (median; 95 %: {run.latency_us_p95:,.0f} µs)"
            f"{arena}{accuracy}"
        )
    return 0


def _inspect(options: argparse.Namespace) -> int:
    manifest = version_dir.verify(options.model) if options.model.is_dir() else None
    path = options.model / version_dir.TFLITE if manifest else options.model
    content = tflite_file.read(path)
    facts = {"file": asdict(tflite_file.describe(content))}
    metadata = tflite_metadata.read(content)
    facts["metadata"] = asdict(metadata) if metadata else {}
    manifest = manifest or version_dir.manifest_beside(path, content)
    if manifest:
        # The versions of some 200 packages are for the record, not for the eye.
        facts["manifest"] = {key: value for key, value in manifest.items() if key != "packages"}
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        print("\n".join(_outline(facts)))
    return 0


def _outline(facts: dict[str, Any], indent: str = "") -> list[str]:
    """Writes nested facts as indented lines."""
    lines = []
    for key, value in facts.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_outline(value, indent + "  ")]
        elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            lines += [f"{indent}{key}:", *(f"{indent}  {_in_line(item)}" for item in value)]
        elif value not in (None, [], (), {}):
            lines.append(f"{indent}{key}: {_in_line(value)}")
    return lines


def _in_line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_in_line(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(str(item) for item in value)
    return str(value)


def _kit(options: argparse.Namespace) -> int:
    for path in kit.write(options.model, options.output):
        print(path)
    return 0
