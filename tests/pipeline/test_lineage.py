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


def test_only_pushes_whose_version_is_gone_are_forgotten(store: metadata_store.MetadataStore, tmp_path: Path) -> None:
    (tmp_path / "mnist" / "1").mkdir(parents=True)
    there, gone, never = (push(store, place) for place in (tmp_path / "mnist" / "1", tmp_path / "mnist" / "2", None))

    lineage.forget_missing_pushes(store)

    states = {artifact.id: artifact.state for artifact in store.get_artifacts()}
    assert states == {there: mlmd.Artifact.LIVE, gone: mlmd.Artifact.DELETED, never: mlmd.Artifact.LIVE}


def test_a_push_that_a_newer_version_took_the_place_of_is_forgotten(
    store: metadata_store.MetadataStore, tmp_path: Path
) -> None:
    for place in ("mnist/1", "mnist/2", "mnist/10", "mnist/.unfinished-11", "kmnist/1"):
        (tmp_path / place).mkdir(parents=True)
    pushes = {place: push(store, tmp_path / place) for place in ("mnist/1", "mnist/2", "mnist/10", "kmnist/1")}

    lineage.forget_missing_pushes(store)

    states = {artifact.id: artifact.state for artifact in store.get_artifacts()}
    kept = {place for place, number in pushes.items() if states[number] == mlmd.Artifact.LIVE}
    assert kept == {"mnist/10", "kmnist/1"}


def test_a_store_without_pushes_has_nothing_to_forget(store: metadata_store.MetadataStore) -> None:
    lineage.forget_missing_pushes(store)
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
