"""What a run compares itself with is never its own result."""

import shutil
from pathlib import Path

import pytest
from ml_metadata.metadata_store import metadata_store
from tfx import types
from tfx.dsl.components.common.importer import Importer
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.baseline import possible
from components.release import files_as_pushed, release_digest
from components.resolvers import LatestOtherStrategy, ServedModelStrategy, import_releases
from serving import version_dir
from tests import versions


def statistics(number: int) -> types.Artifact:
    artifact = standard_artifacts.ExampleStatistics()
    artifact.id = number
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


# The served model, in a real ML Metadata.


class Place:
    """A pipeline root with its metadata, and a serving directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))
        self.store = metadata_store.MetadataStore(self.connection)
        self.model_dir = folder / "serving" / "pets"

    def export(self, content: str) -> types.Artifact:
        """Registers a release as TFX does for the TFLiteExporter."""
        artifact = standard_artifacts.Model()
        artifact.uri = str(versions.release(content, self.folder / "exporter" / str(len(self.models()))))
        files = files_as_pushed(Path(artifact.uri) / "Format-Serving")
        artifact.set_string_custom_property("release_digest", release_digest(files))
        with metadata.Metadata(self.connection) as handle:
            handle.publish_artifacts([artifact])
        return artifact

    def models(self) -> list:
        return self.store.get_artifacts_by_type("Model")

    def prepare(self) -> None:
        """What a run does before its first step."""
        known = version_dir.directories(self.model_dir)
        import_releases(self.store, possible(known, versions.NAMES, versions.SHAPE), self.folder / "imported")

    def resolve(self, current: types.Artifact) -> list[types.Artifact]:
        paths = [str(path) for path in version_dir.directories(self.model_dir)]
        strategy = ServedModelStrategy(paths, versions.dataset().to_json())
        resolved = strategy.resolve_artifacts(self.store, {"model": [], "current": [current]})
        assert resolved["current"] == [current]
        return resolved["model"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_served_release_is_found_as_the_artifact_it_was_pushed_from(place: Place) -> None:
    one, other = place.export("A"), place.export("B")
    assert place.resolve(one) == []
    versions.push("A", place.model_dir)
    place.prepare()
    assert place.resolve(one) == []
    assert [model.id for model in place.resolve(other)] == [one.id]
    assert len(place.models()) == 2


def test_versions_of_one_release_are_one_artifact_so_that_evaluations_of_it_stay_valid(place: Place) -> None:
    one, other = place.export("A"), place.export("B")
    found = []
    for content in "ABA":
        versions.push(content, place.model_dir)
        place.prepare()
        found.append([model.id for model in place.resolve(other)])
        place.export("A")  # the same release, exported once more
    assert found == [[one.id]] * 3
    assert [model.id for model in place.resolve(one)] == [other.id]


def test_a_version_pushed_from_elsewhere_is_imported_once_and_found(place: Place) -> None:
    version = versions.push("from elsewhere", place.model_dir)
    current = place.export("A")
    for _ in range(2):
        place.prepare()
        (found,) = place.resolve(current)
    assert len(place.models()) == 2
    release = Path(path_utils.serving_model_path(found.uri, path_utils.is_old_model_artifact(found)))
    assert (release / "tflite").read_text() == "from elsewhere"
    assert files_as_pushed(release) == {
        name: facts for name, facts in version_dir.verify(version)["files"].items() if name != "model_card.md"
    }
    assert {path.name for path in (place.folder / "imported").iterdir()} == {Path(found.uri).name}


def test_a_release_whose_files_are_gone_is_imported_from_where_it_is_served(place: Place) -> None:
    one, other = place.export("A"), place.export("B")
    versions.push("A", place.model_dir)
    shutil.rmtree(one.uri)
    place.prepare()
    (found,) = place.resolve(other)
    assert found.id not in (one.id, other.id)
    assert Path(found.uri, "Format-Serving", "tflite").read_text() == "A"


def test_a_damaged_version_is_not_imported(place: Place) -> None:
    (versions.push("A", place.model_dir) / "model.tflite").write_text("bits")
    place.prepare()
    assert place.models() == []
    assert place.resolve(place.export("B")) == []


@pytest.mark.parametrize("pushed", ["", "A", "AB"])
def test_under_a_runner_the_served_model_is_resolved(place: Place, pushed: str) -> None:
    current = place.export("B")
    for content in pushed:
        versions.push(content, place.model_dir)
    place.prepare()
    importer = Importer(
        source_uri=current.uri,
        artifact_type=standard_artifacts.Model,
        custom_properties={"release_digest": current.get_string_custom_property("release_digest")},
    ).with_id("Current")
    resolver = Resolver(
        strategy_class=ServedModelStrategy,
        config={
            "versions": [str(path) for path in version_dir.directories(place.model_dir)],
            "dataset": versions.dataset().to_json(),
        },
        model=types.Channel(type=standard_artifacts.Model),
        current=importer.outputs["result"],
    ).with_id("ServedModel")
    LocalDagRunner().run(
        pipeline.Pipeline(
            pipeline_name="pets",
            pipeline_root=str(place.folder / "root"),
            components=[importer, resolver],
            metadata_connection_config=place.connection,
        )
    )
    (execution,) = (item for item in place.store.get_executions() if "Resolver" in item.type)
    events = place.store.get_events_by_execution_ids([execution.id])
    found = place.store.get_artifacts_by_id(
        [event.artifact_id for event in events if event.path.steps[0].key == "model"]
    )
    assert [Path(model.uri, "Format-Serving", "tflite").read_text() for model in found] == (["A"] if pushed else [])
