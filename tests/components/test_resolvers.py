"""What a run compares itself with is never its own result."""

import pytest
from tfx import types
from tfx.components.evaluator import constants
from tfx.types import standard_artifacts

from components.resolvers import LatestOtherBlessedModelStrategy, LatestOtherStrategy


def statistics(number: int) -> types.Artifact:
    artifact = standard_artifacts.ExampleStatistics()
    artifact.id = number
    return artifact


def model(number: int) -> types.Artifact:
    artifact = standard_artifacts.Model()
    artifact.id = number
    return artifact


def blessing(number: int, of: int, blessed: bool = True) -> types.Artifact:
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = number
    artifact.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(blessed))
    artifact.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, of)
    return artifact


def ids(resolved: dict[str, list[types.Artifact]]) -> dict[str, list[int]]:
    return {key: [artifact.id for artifact in artifacts] for key, artifacts in resolved.items()}


@pytest.mark.parametrize(
    ("known", "current", "previous"),
    [
        ([], 1, []),
        ([1], 1, []),  # the second run of unchanged data has but its own statistics
        ([1, 2], 2, [1]),
        ([1, 2, 3], 2, [3]),  # data that came back: the latest other is a later one
        ([3, 1, 2], 4, [3]),  # in whatever order the store tells them
    ],
)
def test_the_latest_other_statistics_are_found(known: list[int], current: int, previous: list[int]) -> None:
    inputs = {"previous": [statistics(number) for number in known], "current": [statistics(current)]}
    resolved = LatestOtherStrategy().resolve_artifacts(None, inputs)
    assert ids(resolved) == {"previous": previous, "current": [current]}


@pytest.mark.parametrize(
    ("models", "blessings", "current", "found"),
    [
        ([], [], 1, []),
        ([1], [blessing(10, of=1)], 1, []),  # its own blessing does not count
        ([1, 2], [blessing(10, of=1)], 2, [1]),
        ([1, 2], [blessing(10, of=1), blessing(11, of=2)], 2, [1]),
        ([1, 2, 3], [blessing(10, of=1), blessing(11, of=2, blessed=False)], 3, [1]),  # the latest was refused
        ([1, 2, 3], [blessing(10, of=1), blessing(11, of=2)], 3, [2]),
    ],
)
def test_the_latest_other_blessed_model_is_found(
    models: list[int], blessings: list[types.Artifact], current: int, found: list[int]
) -> None:
    inputs = {
        "model": [model(number) for number in models],
        "model_blessing": blessings,
        "current": [model(current)],
    }
    resolved = ids(LatestOtherBlessedModelStrategy().resolve_artifacts(None, inputs))
    assert resolved["model"] == found
    assert resolved["current"] == [current]
