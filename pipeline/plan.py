"""Finding out what a run would do, without doing it."""

import copy
from pathlib import Path

from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher
from tfx.proto.orchestration.pipeline_pb2 import Pipeline


class _WouldRunError(Exception):
    """The cache has no result for this step."""


class _PlanningLauncher(launcher.Launcher):
    """Resolves inputs and asks the cache as always, and stops where work would begin."""

    def _run_executor(self, execution_info: object) -> None:
        raise _WouldRunError


def steps_to_run(representation: Pipeline, metadata_copy: Path) -> list[str]:
    """Returns the ids of the nodes that a run would not find in the cache, and of those that read what they write.

    Args:
      representation: TFX's intermediate representation, its run id filled in.
      metadata_copy: a copy of the metadata; it is changed as a run would change it. Steps that would run leave empty
        directories beside it.
    """
    runtime = copy.deepcopy(representation.runtime_spec)
    runtime.pipeline_root.field_value.string_value = str(metadata_copy.parent)
    connection = metadata.sqlite_metadata_connection_config(str(metadata_copy))
    deployment = runner_utils.extract_local_deployment_config(representation)
    to_run: list[str] = []
    for node in (wrapper.pipeline_node for wrapper in representation.nodes):
        channels = [channel for inputs in node.inputs.inputs.values() for channel in inputs.channels]
        if any(channel.producer_node_query.id in to_run for channel in channels):
            to_run.append(node.node_info.id)
            continue
        planning = _PlanningLauncher(
            pipeline_node=node,
            mlmd_connection=metadata.Metadata(connection),
            pipeline_info=representation.pipeline_info,
            pipeline_runtime_spec=runtime,
            executor_spec=runner_utils.extract_executor_spec(deployment, node.node_info.id),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node.node_info.id),
        )
        try:
            planning.launch()
        except _WouldRunError:
            to_run.append(node.node_info.id)
    return to_run
