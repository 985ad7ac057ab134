"""Executor of Evaluator."""

import tempfile
from typing import Any

from tfx import types
from tfx.components.evaluator import executor
from tfx.types import standard_artifacts
from tfx.types import standard_component_specs as specs

from components.evaluator.litert import custom_extractors

_EXTRACTORS = f"{custom_extractors.__module__}.{custom_extractors.__qualname__}"


class Executor(executor.Executor):
    """Runs TFX's executor and keeps the evaluation alone."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `evaluation` artifact: metrics by slice, plots, validation result, the EvalConfig."""
        with tempfile.TemporaryDirectory() as folder:
            unused_blessing = standard_artifacts.ModelBlessing()
            unused_blessing.uri = folder
            super().Do(
                input_dict,
                {**output_dict, specs.BLESSING_KEY: [unused_blessing]},
                {**exec_properties, "custom_extractors": _EXTRACTORS},
            )
