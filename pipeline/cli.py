"""The command line, `mnist-pipeline`."""

import json
import os
import sys
import webbrowser
from dataclasses import asdict
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from components.errors import AnomaliesError, StepFailedError, UserError
from pipeline import ending, runner, workspace
from pipeline.config import Preset, RunConfig, preset_values
from pipeline.console import only_ours
from serving.paths import refusal_of_uri


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USER_ERROR = 2
    REFUSED = 3
    ANOMALIES = 4
    INTERRUPTED = 130


app = typer.Typer(
    help="From a TensorFlow dataset to a blessed, pushed SavedModel and full-integer TFLite file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _local(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    """Returns the path that an option was given.

    Raises:
      UserError: it is a URI.
    """
    if path and (refusal := refusal_of_uri(path)):
        raise UserError(f"{parameter.opts[0]}: {refusal}")
    return path


PresetOption = Annotated[
    Preset, typer.Option(help="full: all data, 99.4 % or more. fast: 3 epochs. sample: 5,000 digits.")
]
DatasetOption = Annotated[str | None, typer.Option(help="TFDS name; default: mnist, or the sample if it can't be had.")]
ManualDirOption = Annotated[
    Path | None,
    typer.Option(callback=_local, envvar="MNIST_MANUAL_DIR", help="Directory with the dataset's original files."),
]
DataDirOption = Annotated[Path | None, typer.Option(callback=_local, help="Where TFDS keeps prepared datasets.")]
PipelineRootOption = Annotated[
    Path, typer.Option(callback=_local, help="Where artifacts, metadata, reports and logs are kept.")
]
ServingDirOption = Annotated[
    Path | None,
    typer.Option(callback=_local, help="Where versions are pushed to; default: serving_models in the pipeline root."),
]
SchemaOption = Annotated[
    Path | None, typer.Option("--schema", callback=_local, help="Curated schema; default: the dataset's own.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any other setting, as in training.epochs=5; null means none. May be repeated.",
    ),
]

DEFAULT_ROOT = Path("pipeline_root")


@app.command()
def run(
    preset: PresetOption = Preset.FULL,
    dataset: DatasetOption = None,
    manual_dir: ManualDirOption = None,
    data_dir: DataDirOption = None,
    pipeline_root: PipelineRootOption = DEFAULT_ROOT,
    serving_dir: ServingDirOption = None,
    schema: SchemaOption = None,
    bless_anyway: Annotated[str | None, typer.Option(metavar="REASON", help="Push whatever the gates say.")] = None,
    settings: SetOption = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show every step and every comparison at the end.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print summary.json; progress goes to standard error.")
    ] = False,
) -> None:
    """Run the pipeline: train, convert, judge, and push if every gate passes.

    Ends with 0 if the model was blessed, 3 if it was refused, 4 if the data does not fit its schema, 2 for a usage or
    environment error, 1 if a step failed.
    """
    options = {
        "dataset": dataset,
        "manual_dir": manual_dir,
        "data_dir": data_dir,
        "pipeline_root": pipeline_root,
        "serving_dir": serving_dir,
        "schema_file": schema,
        "bless_anyway": bless_anyway,
    }
    config, fallback = _with_fallback(preset, options, settings)
    run_id = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    with workspace.occupied(config.pipeline_root):
        log = workspace.log_file(config.pipeline_root, run_id)
        try:
            with only_ours(log, stream=2 if as_json else 1) as console:
                result = runner.run(config, console, log, run_id, fallback)
                if verbose:
                    ending.show_everything(console, result)
                if not as_json:
                    from pipeline.summary import previous

                    root = config.pipeline_root
                    ending.show(console, result, log, _root_option(root), previous(root, result))
        except KeyboardInterrupt:
            print("Interrupted. Nothing was half-pushed; run again to go on from this step.", file=sys.stderr)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except (UserError, StepFailedError):
            raise
        except Exception as error:
            raise runner.explained(error, "The run", log) from error
    if as_json:
        print(result.model_dump_json(indent=2))
    if not result.blessed:
        raise typer.Exit(ExitCode.REFUSED)


def _root_option(root: Path) -> str | None:
    """Returns the pipeline root as it has to be given to other commands; None if it is their default."""
    return None if root == DEFAULT_ROOT.absolute() else str(root)


def make_config(preset: Preset, options: dict[str, Any], settings: list[str] | None) -> RunConfig:
    """Returns the configuration that preset, options (None: not given) and `KEY=VALUE` settings make, the last winning.

    Raises:
      UserError: a key is unknown or a value invalid; all that is wrong is named.
    """
    values = json.loads(json.dumps(preset_values(preset)))
    values |= {key: value for key, value in options.items() if value is not None}
    values.setdefault("splits", dict(RunConfig.model_fields["splits"].default))  # so that one of them may be set
    for setting in settings or []:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"Cannot read --set {setting}: expected KEY=VALUE, as in training.epochs=5.")
        *groups, name = key.split(".")
        group = values
        for part in groups:
            group = group.setdefault(part, {})
            if not isinstance(group, dict):
                raise UserError(f"Cannot set {key}: {part} is a single value. Set {part} itself.")
        group[name] = None if text == "null" else text
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}, got {problem['input']!r}"
            for problem in error.errors()
            if problem["type"] != "default_factory_not_called"  # follows from another one
        ]
        raise UserError("Invalid configuration:\n  " + "\n  ".join(problems)) from error


def _with_fallback(
    preset: Preset, options: dict[str, Any], settings: list[str] | None
) -> tuple[RunConfig, RunConfig | None]:
    """Returns the configuration, and the one to go on with if its dataset cannot be had (None: a dataset was named)."""
    config = make_config(preset, options, settings)
    named = options["dataset"] or any(setting.partition("=")[0] == "dataset" for setting in settings or [])
    return config, None if named or preset is Preset.SAMPLE else make_config(Preset.SAMPLE, options, settings)


@app.command()
def status(
    preset: PresetOption = Preset.FULL,
    dataset: DatasetOption = None,
    manual_dir: ManualDirOption = None,
    data_dir: DataDirOption = None,
    pipeline_root: PipelineRootOption = DEFAULT_ROOT,
    serving_dir: ServingDirOption = None,
    schema: SchemaOption = None,
    settings: SetOption = None,
) -> None:
    """Show the last runs, what is served, and which steps a run with the same options would re-run."""
    options = {
        "dataset": dataset,
        "manual_dir": manual_dir,
        "data_dir": data_dir,
        "pipeline_root": pipeline_root,
        "serving_dir": serving_dir,
        "schema_file": schema,
    }
    config, fallback = _with_fallback(preset, options, settings)
    with only_ours(Path(os.devnull)) as console:
        from pipeline import status as view

        view.show(config, fallback, console)


@app.command()
def schema(
    output: Annotated[Path, typer.Option(callback=_local, help="File to write; it must not be there yet.")],
    dataset: Annotated[str, typer.Option(help="TFDS name.")],
    split: Annotated[str, typer.Option(help="TFDS split expression to infer from: training data.")] = "train",
    manual_dir: ManualDirOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Infer a schema from a dataset's training data, to be looked over and then passed by --schema."""
    if output.exists():
        raise UserError(f"{output} is there already, and a curated schema is not overwritten. Name another file.")
    with only_ours(Path(os.devnull)):
        from pipeline.schema import infer

        text = infer(dataset, split, manual_dir, data_dir)
    try:
        output.write_text(text)
    except OSError as error:
        raise UserError(f"Cannot write {output}: {error}.") from error
    print(f"Wrote {output}. Look it over, then: mnist-pipeline run --dataset {dataset} --schema {output}")


@app.command()
def export_variants(
    output: Annotated[
        Path, typer.Option(callback=_local, help="Directory to copy the files to; it must not be there yet.")
    ],
    pipeline_root: PipelineRootOption = DEFAULT_ROOT,
) -> None:
    """Copy the float32, float16, dynamic-range and int8 TFLite files of the last run, for comparison."""
    with only_ours(Path(os.devnull)) as console:
        from pipeline.variants import export

        for line in export(pipeline_root.expanduser().absolute(), output):
            console.print(line, soft_wrap=True)


RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, as in the names below reports/, or latest.")]


@app.command()
def report(
    run: RunArgument = "latest",
    open_page: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    pipeline_root: PipelineRootOption = DEFAULT_ROOT,
) -> None:
    """Show where the report of a run lies, and open it if asked to."""
    with only_ours(Path(os.devnull)):
        from pipeline.report import page

        path = page(pipeline_root.expanduser().absolute(), run)
    print(path)
    if open_page and not webbrowser.open(path.as_uri()):
        raise UserError(f"No browser could be started. Open {path} by hand.")


@app.command()
def compare(
    first: RunArgument,
    second: RunArgument = "latest",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    pipeline_root: PipelineRootOption = DEFAULT_ROOT,
) -> None:
    """Show what differs between two runs: metrics, slices, settings, times, and the images answered differently."""
    with only_ours(Path(os.devnull)) as console:
        from pipeline import compare as comparison

        found = comparison.compare(pipeline_root.expanduser().absolute(), first, second)
        if as_json:
            console.print_json(json.dumps(asdict(found)))
        else:
            comparison.show(console, found)


def main() -> None:
    """Runs the command line and turns errors into messages and exit codes."""
    try:
        app()
    except Exception as error:
        text = str(error) if isinstance(error, UserError | StepFailedError) else runner.in_a_line(error)
        # As it is: the text may hold brackets, which are no markup.
        print(f"Error: {text}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        # No clean-up at exit: HDF5 crashes the process when it closes a file that a full disk cut off.
        os._exit(_exit_code(error))


def _exit_code(error: Exception) -> ExitCode:
    if isinstance(error, AnomaliesError):
        return ExitCode.ANOMALIES
    return ExitCode.USER_ERROR if isinstance(error, UserError) else ExitCode.FAILED
