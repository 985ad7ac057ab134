"""What earlier runs left that a run compares itself with.

TFX's strategies take the latest artifact of all. On a second, unchanged run that is the run's own last result, which
would make every step that compares run again; these strategies leave the run's own artifact out.
"""

from tfx import types
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy


class LatestOtherStrategy(resolver.ResolverStrategy):
    """Resolves `previous` to the latest artifact that is not the one in `current`."""

    def resolve_artifacts(
        self, store: object, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Returns `previous` (none or one) and `current`."""
        del store
        others = _without_current(input_dict["previous"], input_dict["current"])
        return {"previous": sorted(others, key=lambda artifact: artifact.id)[-1:], "current": input_dict["current"]}


class LatestOtherBlessedModelStrategy(latest_blessed_model_strategy.LatestBlessedModelStrategy):
    """Resolves `model` and `model_blessing` as TFX's strategy does, as if the model in `current` were not there."""

    def resolve_artifacts(
        self, store: object, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Returns `model` and `model_blessing` (none or one each) and `current`."""
        current = input_dict["current"]
        models = {
            "model": _without_current(input_dict["model"], current),
            "model_blessing": input_dict["model_blessing"],
        }
        return super().resolve_artifacts(store, models) | {"current": current}


def _without_current(artifacts: list[types.Artifact], current: list[types.Artifact]) -> list[types.Artifact]:
    ids = {artifact.id for artifact in current}
    return [artifact for artifact in artifacts if artifact.id not in ids]
