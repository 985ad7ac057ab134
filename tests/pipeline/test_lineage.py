"""What ML Metadata tells of runs and pushes."""

from pathlib import Path

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.errors import UserError
from pipeline import lineage


@pytest.fixture
def store(tmp_path: Path) -> metadata_store.MetadataStore:
    return lineage.open_store(tmp_path)


def push(store: metadata_store.MetadataStore, destination: Path | None) -> int:
    """Records a push to a place, or (None) a model that was not pushed."""
    kind = store.put_artifact_type(mlmd.ArtifactType(name="PushedModel"))
    artifact = mlmd.Artifact(type_id=kind, uri="somewhere", state=mlmd.Artifact.LIVE)
    artifact.custom_properties["pushed"].int_value = int(destination is not None)
    if destination:
        artifact.custom_properties["pushed_destination"].string_value = str(destination)
    (number,) = store.put_artifacts([artifact])
    return number


def version(place: Path, files: str = "{}") -> Path:
    """Makes a version directory of no file but a manifest that lists some."""
    place.mkdir(parents=True)
    (place / "manifest.json").write_text(f'{{"files": {files}}}')
    return place


def kept(store: metadata_store.MetadataStore, places: list[Path]) -> set[Path]:
    """Which of the pushes to some places are not forgotten."""
    pushes = {place: push(store, place) for place in places}
    lineage.forget_unserved_pushes(store)
    states = {artifact.id: artifact.state for artifact in store.get_artifacts()}
    return {place for place, number in pushes.items() if states[number] == mlmd.Artifact.LIVE}


def test_a_push_whose_version_is_gone_is_forgotten(store: metadata_store.MetadataStore, tmp_path: Path) -> None:
    there = version(tmp_path / "mnist" / "1")
    assert kept(store, [there, tmp_path / "mnist" / "2"]) == {there}


def test_a_push_that_a_newer_version_took_the_place_of_is_forgotten(
    store: metadata_store.MetadataStore, tmp_path: Path
) -> None:
    older, newest, other = (version(tmp_path / place) for place in ("mnist/2", "mnist/10", "kmnist/1"))
    (tmp_path / "mnist" / ".unfinished-11").mkdir()
    assert kept(store, [older, newest, other]) == {newest, other}


@pytest.mark.parametrize("files", ['{"model.tflite": {"bytes": 1, "sha256": "0"}}', "[", "null"])
def test_a_push_whose_version_is_damaged_is_forgotten(
    files: str, store: metadata_store.MetadataStore, tmp_path: Path
) -> None:
    assert kept(store, [version(tmp_path / "mnist" / "1", files)]) == set()


def test_a_model_that_was_not_pushed_is_none_to_forget(store: metadata_store.MetadataStore) -> None:
    push(store, None)
    lineage.forget_unserved_pushes(store)
    assert [artifact.state for artifact in store.get_artifacts()] == [mlmd.Artifact.LIVE]


def test_a_store_without_pushes_has_nothing_to_forget(store: metadata_store.MetadataStore) -> None:
    lineage.forget_unserved_pushes(store)
    assert store.get_artifacts() == []


def test_facts_of_a_run_are_kept_with_it(store: metadata_store.MetadataStore) -> None:
    kind = store.put_context_type(mlmd.ContextType(name="pipeline_run"))
    store.put_contexts([mlmd.Context(type_id=kind, name="run-1")])

    lineage.record(store, "run-1", {"config": {"epochs": 3}, "git_revision": None})

    kept = store.get_context_by_type_and_name("pipeline_run", "run-1").custom_properties
    assert kept["config"].string_value == '{"epochs": 3}'
    assert kept["git_revision"].string_value == "null"


def test_a_run_that_never_began_has_no_facts_and_no_steps(store: metadata_store.MetadataStore) -> None:
    lineage.record(store, "run-1", {"config": {}})
    assert lineage.steps(store, "mnist", "run-1") == {}


def test_damaged_metadata_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "metadata.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(UserError, match=r"Cannot read the metadata .*metadata\.sqlite.*--pipeline-root"):
        lineage.open_store(tmp_path)
