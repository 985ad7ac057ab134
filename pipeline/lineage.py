"""What ML Metadata knows of runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.errors import UserError
from components.pusher.executor import DESTINATION_PROPERTY, PUSHED_PROPERTY
from pipeline.graph import metadata_file
from serving import version_dir

_RUN = "pipeline_run"


@dataclass(frozen=True)
class Output:
    """One output of a step.

    Attributes:
      id: of the artifact.
      uri: directory of the artifact.
      properties: its custom properties.
    """

    id: int
    uri: Path
    properties: Mapping[str, str | int | float]


@dataclass(frozen=True)
class Step:
    """What became of one step of a run.

    Attributes:
      cached: whether the result of an earlier run served.
      complete: whether there is a result.
      outputs: by output name; of several artifacts the last.
    """

    cached: bool
    complete: bool
    outputs: Mapping[str, Output]


def open_store(root: Path) -> metadata_store.MetadataStore:
    """Opens the metadata of a pipeline root.

    Raises:
      UserError: it is damaged, or of another version of ML Metadata.
    """
    file = metadata_file(root)
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(file)
    try:
        return metadata_store.MetadataStore(config)
    except (RuntimeError, errors.StatusError) as error:
        raise UserError(
            f"Cannot read the metadata {file}: {error}. Expected the SQLite file of an earlier run. Name another "
            "directory by --pipeline-root, or move this file away: the steps then run anew."
        ) from error


def steps(store: metadata_store.MetadataStore, pipeline: str, run_id: str) -> dict[str, Step]:
    """Returns the steps of a run by node id."""
    context = store.get_context_by_type_and_name(_RUN, run_id)
    if context is None:
        return {}
    result = {}
    for execution in store.get_executions_by_context(context.id):
        prefix = f"{pipeline}."
        names = [context.name for context in store.get_contexts_by_execution(execution.id)]
        node = next(name.removeprefix(prefix) for name in names if name.startswith(prefix))
        state = execution.last_known_state
        result[node] = Step(
            cached=state == mlmd.Execution.CACHED,
            complete=state in (mlmd.Execution.CACHED, mlmd.Execution.COMPLETE),
            outputs=_outputs(store, execution.id),
        )
    return result


def record(store: metadata_store.MetadataStore, run_id: str, facts: Mapping[str, object]) -> None:
    """Keeps facts about a run, as JSON, in the custom properties of its context."""
    context = store.get_context_by_type_and_name(_RUN, run_id)
    if context is None:
        return
    for key, value in facts.items():
        context.custom_properties[key].string_value = json.dumps(value, sort_keys=True)
    store.put_contexts([context])


def facts(store: metadata_store.MetadataStore, run_id: str) -> dict[str, Any]:
    """Returns what `record` kept about a run; nothing if there is no such run."""
    context = store.get_context_by_type_and_name(_RUN, run_id)
    properties = context.custom_properties if context else {}
    return {key: json.loads(value.string_value) for key, value in properties.items()}


def forget_unserved_pushes(store: metadata_store.MetadataStore) -> None:
    """Marks as deleted each push that is not what is served, so that no cached Pusher claims that it is.

    That is a push whose version directory is gone, is not the newest any more, or is not whole.
    """
    gone = [
        artifact
        for artifact in store.get_artifacts_by_type("PushedModel")
        if artifact.state == mlmd.Artifact.LIVE
        and artifact.custom_properties[PUSHED_PROPERTY].int_value
        and not _is_served(Path(artifact.custom_properties[DESTINATION_PROPERTY].string_value))
    ]
    for artifact in gone:
        artifact.state = mlmd.Artifact.DELETED
    store.put_artifacts(gone)


def _is_served(version: Path) -> bool:
    try:
        version_dir.verify(version)
    except version_dir.VersionDirError:
        return False
    return version in version_dir.directories(version.parent)[-1:]


def _outputs(store: metadata_store.MetadataStore, execution_id: int) -> dict[str, Output]:
    events = {
        event.artifact_id: event.path.steps[0].key
        for event in store.get_events_by_execution_ids([execution_id])
        if event.type == mlmd.Event.OUTPUT
    }
    return {
        events[artifact.id]: Output(
            artifact.id,
            Path(artifact.uri),
            {key: getattr(value, value.WhichOneof("value")) for key, value in artifact.custom_properties.items()},
        )
        for artifact in store.get_artifacts_by_id(list(events))
    }
