"""The model card: what a release is for, what it can do, and what it cannot.

Source: Mitchell et al., Model Cards for Model Reporting, arXiv:1810.03993.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from components.gate import OVERALL, Gate

_TEMPLATE = Path(__file__).parent / "templates" / "model_card.md.j2"


def render(manifest: Mapping[str, Any], gates: list[Gate], metrics: Mapping[str, Mapping[str, float]]) -> str:
    """Returns the card, in Markdown; every number in it is from the arguments.

    Args:
      manifest: of the release.
      gates: all comparisons.
      metrics: TFMA's of the TFLite file: slice -> metric -> value.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - no HTML
    )
    slices = [(name, values) for name, values in metrics.items() if name != OVERALL]
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        manifest=manifest,
        gates=gates,
        not_run=[gate for gate in gates if gate.passed is None],
        slices=sorted(slices, key=lambda item: item[1]["accuracy"]),
    )
