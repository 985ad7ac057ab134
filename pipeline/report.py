"""The page of a run: what the RunReport drew, and the run's own verdict, push, steps and lineage."""

import json
import shlex
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from components.errors import UserError
from components.keys import REPORT, SCHEMA
from pipeline import lineage, runner
from pipeline.config import DECIDING, RunConfig
from pipeline.ending import nearest_gates, pushed, tally
from pipeline.lineage import Step
from pipeline.summary import Summary, find, read_json, write_whole
from pipeline.workspace import report_dir
from serving import version_dir

FILE = "index.html"

_SECTIONS = {
    "gates": "Gates",
    "data": "Data",
    "training": "Training",
    "evaluation": "Evaluation",
    "robustness": "Robustness",
    "device": "Device",
    "lineage": "Lineage",
}


def write(summary: Summary, steps: Mapping[str, Step], facts: Mapping[str, Any], folder: Path) -> Path:
    """Writes `index.html`, which needs no other file and no network; beside it pictures, model card and schema.

    Args:
      summary: of the run.
      steps: its steps, from ML Metadata.
      facts: what ML Metadata records of the run: config, data fingerprint, schema, packages, git revision.
      folder: that exists.

    Returns:
      The path of the page.
    """
    content = steps["RunReport"].outputs["report"].uri
    blessing = steps["QualityGate"].outputs["blessing"].uri
    for picture in (*content.glob("*.png"), *content.glob("*.svg")):
        shutil.copyfile(picture, folder / picture.name)
    shutil.copyfile(blessing / version_dir.MODEL_CARD, folder / version_dir.MODEL_CARD)
    shutil.copyfile(steps["ImportSchemaGen"].outputs["schema"].uri / SCHEMA, folder / SCHEMA)
    page = render(
        summary,
        content=read_json(content / REPORT),
        figures={picture.stem: picture.read_text(encoding="utf-8") for picture in sorted(content.glob("*.svg"))},
        manifest=read_json(blessing / version_dir.MANIFEST),
        artifacts={
            node: {key: output.id for key, output in sorted(step.outputs.items())} for node, step in steps.items()
        },
        evaluations=[str(steps[node].outputs["evaluation"].uri) for node in ("SavedModelEvaluator", "TFLiteEvaluator")],
        facts=facts,
        schema=folder / SCHEMA,
    )
    write_whole(folder / FILE, page)
    return folder / FILE


def page(root: Path, run: str) -> Path:
    """Returns the page of a run; one that is missing is made again from the run's artifacts.

    Args:
      root: pipeline root.
      run: id of the run, or `latest`.

    Raises:
      UserError: there is no such run, or its artifacts are gone too or of another version of this program.
    """
    summary = find(root, run)
    folder = report_dir(root, summary.run_id)
    if (folder / FILE).exists():
        return folder / FILE
    store = lineage.open_store(root)
    try:
        return write(
            summary, lineage.steps(store, summary.dataset, summary.run_id), lineage.facts(store, summary.run_id), folder
        )
    except (KeyError, OSError, ValueError, jinja2.UndefinedError) as error:
        raise UserError(
            f"Cannot make the report of run {summary.run_id}: its artifacts in {root} are gone, damaged or of another "
            f"version of this program ({type(error).__name__}: {error}). Run the pipeline again."
        ) from error


def render(
    summary: Summary,
    content: Mapping[str, Any],
    figures: Mapping[str, str],
    manifest: Mapping[str, Any],
    artifacts: Mapping[str, Mapping[str, int]],
    evaluations: list[str],
    facts: Mapping[str, Any],
    schema: Path,
) -> str:
    """Returns the page.

    Args:
      summary: of the run.
      content: the RunReport's `report.json`.
      figures: SVG elements by name.
      manifest: of the release.
      artifacts: ids of outputs in ML Metadata, by step and output.
      evaluations: directories that `tfma.load_eval_result` reads.
      facts: see `write`.
      schema: the curated schema of the run, beside the page.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((files("pipeline") / "templates" / "report.html.j2").read_text(encoding="utf-8"))
    return template.render(
        summary=summary,
        headline=headline(summary),
        pushed=pushed_sentence(summary),
        sections=_SECTIONS.items(),
        shown_gates=nearest_gates(summary),
        content=content,
        figures=figures,
        manifest=manifest,
        config=facts["config"],
        artifacts=artifacts,
        evaluations=evaluations,
        facts=facts,
        command=command(facts["config"], facts["git_revision"], schema),
        schema=schema.name,
        model_card=version_dir.MODEL_CARD,
    )


def headline(summary: Summary) -> str:
    """Returns the verdict's reason in one sentence."""
    failed = summary.failed_gates
    if not failed:
        return f"{tally(summary)}."
    reason = failed[0].reason
    others = f" ({len(failed) - 1} more of {len(summary.gates)} comparisons refuse it)" if len(failed) > 1 else ""
    if summary.blessed:
        return f"in spite of its gates, because: {summary.bless_anyway}. {reason}{others}."
    return f"{reason}{others}."


def pushed_sentence(summary: Summary) -> str:
    """Returns what was pushed, and where."""
    return f"Pushed: {pushed(summary)}."


def command(config: Mapping[str, Any], git_revision: str | None, schema: Path) -> str:
    """Returns the shell commands that make the run again: everything that decides its result, and where its data lies.

    Args:
      config: all settings of the run, as JSON holds them.
      git_revision: of its code; None if that is not known.
      schema: the curated schema that it used, named by the command unless the program has it built in.
    """
    built_in = runner.built_in_schema(config["dataset"])
    options = {
        "--dataset": config["dataset"],  # named even if it is the default, which without data would give the sample
        "--schema": None if built_in.is_file() and built_in.read_bytes() == schema.read_bytes() else str(schema),
        "--manual-dir": config["manual_dir"],
        "--data-dir": config["data_dir"],
        "--bless-anyway": config["bless_anyway"],
    }
    words = [word for option, value in options.items() if value is not None for word in (option, value)]
    defaults = flat(json.loads(RunConfig().recorded()))
    for key, value in flat({key: config[key] for key in sorted(DECIDING - {"dataset"})}).items():
        if value != defaults.get(key):
            words += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    lines = [f"git checkout {git_revision.removesuffix('-dirty')}"] if git_revision else []
    if git_revision and git_revision.endswith("-dirty"):
        lines[0] += "  # and the changes that were not committed then"
    lines.append(shlex.join(["mnist-pipeline", "run", *words]))
    return "\n".join(lines)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested settings by their dotted names, as `--set` takes them."""
    named: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            named |= flat(value, f"{prefix}{key}.")
        else:
            named[f"{prefix}{key}"] = value
    return named
