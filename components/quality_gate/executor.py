"""Executor of QualityGate."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import provenance
from components.gate import OVERALL, Gate
from components.keys import ABSTENTION, DEVICE, GATES, ROBUSTNESS, SCHEMA
from components.quality_gate import model_card
from components.quality_gate.config import Thresholds
from components.quality_gate.gates import Evaluation, accuracy_gates, read_evaluation, robustness_gate
from components.release import files_as_pushed
from components.tfds_example_gen.datasets import Dataset
from serving import version_dir

SAVED_MODEL = "saved_model"
TFLITE = "tflite"
BLESS_ANYWAY_PROPERTY = "bless_anyway"


class Executor(base_executor.BaseExecutor):
    """Reads the evaluations, decides, and writes reasons and manifest."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `blessing` artifact."""
        self._log_startup(input_dict, output_dict, exec_properties)
        model = artifact_utils.get_single_instance(input_dict["model"])
        dataset = Dataset.from_json(exec_properties["dataset"])
        thresholds = Thresholds.model_validate_json(exec_properties["thresholds"])
        evaluations = {
            file: read_evaluation(artifact_utils.get_single_uri(input_dict[f"{file}_evaluation"]))
            for file in (SAVED_MODEL, TFLITE)
        }
        device = _read(input_dict["device_validation"], DEVICE)
        gates = [
            gate
            for file, evaluation in evaluations.items()
            for gate in accuracy_gates(file, evaluation, dataset.class_names, thresholds)
        ]
        gates += [Gate(**gate) for gate in device["gates"]]
        robustness = _read(input_dict["robustness"], ROBUSTNESS)
        if thresholds.robustness is not None:
            gates.append(robustness_gate(robustness, thresholds.robustness))
        override = exec_properties.get("bless_anyway")
        passed = not any(gate.refused for gate in gates)
        blessed = passed or bool(override)

        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        folder = Path(blessing.uri)
        folder.mkdir(parents=True, exist_ok=True)
        verdict = {"blessed": blessed, "passed": passed, "bless_anyway": override}
        outcome = verdict | {
            "gates": [asdict(gate) for gate in gates],
            "baseline_metrics": {
                file: evaluation.baseline[OVERALL] for file, evaluation in evaluations.items() if evaluation.baseline
            },
        }
        (folder / GATES).write_text(json.dumps(outcome, indent=2))
        manifest = build_manifest(
            release=Path(path_utils.serving_model_path(model.uri)),
            dataset=dataset,
            schema=Path(artifact_utils.get_single_uri(input_dict["schema"])) / SCHEMA,
            evaluations=evaluations,
            device=device["measurements"],
            robustness=robustness,
            abstention=json.loads((Path(model.uri) / ABSTENTION).read_text()),
            config=json.loads(exec_properties["config"]),
            verdict=verdict,
            lineage={f"{key}_artifact": artifacts[0].id for key, artifacts in sorted(input_dict.items())},
        )
        card = model_card.render(manifest, gates, evaluations[TFLITE].metrics).encode()
        (folder / version_dir.MODEL_CARD).write_bytes(card)
        manifest["files"][version_dir.MODEL_CARD] = {"bytes": len(card), "sha256": hashlib.sha256(card).hexdigest()}
        (folder / version_dir.MANIFEST).write_text(json.dumps(manifest, indent=2))

        file_name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
        (folder / file_name).touch()
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(blessed))
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
        if override:
            blessing.set_string_custom_property(BLESS_ANYWAY_PROPERTY, override)


def build_manifest(
    release: Path,
    dataset: Dataset,
    schema: Path,
    evaluations: dict[str, Evaluation],
    device: dict[str, Any],
    robustness: dict[str, Any],
    abstention: dict[str, Any],
    config: dict[str, Any],
    verdict: dict[str, Any],
    lineage: dict[str, int],
) -> dict[str, Any]:
    """Returns the manifest of a release: what it is, how good it is, and how to make it again.

    Args:
      release: directory of the files that were judged.
      dataset: what it was made from.
      schema: the curated schema that the data was checked against.
      evaluations: by file.
      device: what the DeviceValidator measured.
      robustness: what the RobustnessEvaluator measured.
      abstention: the probability below which an answer should not be believed, and how it was chosen.
      config: the settings it was made with.
      verdict: of the gates.
      lineage: ids of artifacts in ML Metadata.
    """
    return {
        "format": 1,
        "dataset": json.loads(dataset.to_json()),
        "schema_sha256": version_dir.sha256(schema),
        "files": files_as_pushed(release),
        "metrics": {file: evaluation.metrics[OVERALL] for file, evaluation in evaluations.items()},
        "device": device,
        "robustness": robustness["model"],
        "abstention": abstention,
        "verdict": verdict,
        "lineage": lineage,
        "config": config,
        "git_revision": provenance.git_revision(),
        "packages": provenance.package_versions(),
    }


def _read(artifacts: list[types.Artifact], name: str) -> dict[str, Any]:
    return json.loads((Path(artifact_utils.get_single_uri(artifacts)) / name).read_text(encoding="utf-8"))
