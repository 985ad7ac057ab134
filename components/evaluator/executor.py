"""Executor of Evaluator."""

from typing import Any

from tfx import types
from tfx.components.evaluator import executor

from components.evaluator.litert import custom_extractors

_EXTRACTORS = f"{custom_extractors.__module__}.{custom_extractors.__qualname__}"


class Executor(executor.Executor):
    """TFX's executor, with LiteRT to run TFLite models."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `evaluation` artifact: metrics by slice, plots, the EvalConfig."""
        super().Do(input_dict, output_dict, {**exec_properties, "custom_extractors": _EXTRACTORS})
