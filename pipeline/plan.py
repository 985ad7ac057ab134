"""Finding out what a run would do, without doing it."""

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
    """Returns the ids of the nodes that a run would not find in the cache, and of those that depend on them.

    Args:
      representation: TFX's intermediate representation, its run id filled in.
      metadata_copy: a copy of the metadata; it is changed as a run would change it.
    """
    connection = metadata.sqlite_metadata_connection_config(str(metadata_copy))
    deployment = runner_utils.extract_local_deployment_config(representation)
    anew: list[str] = []
    for node in (wrapper.pipeline_node for wrapper in representation.nodes):
        if any(upstream in anew for upstream in node.upstream_nodes):
            anew.append(node.node_info.id)
            continue
        planning = _PlanningLauncher(
            pipeline_node=node,
            mlmd_connection=metadata.Metadata(connection),
            pipeline_info=representation.pipeline_info,
            pipeline_runtime_spec=representation.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, node.node_info.id),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node.node_info.id),
        )
        try:
            planning.launch()
        except _WouldRunError:
            anew.append(node.node_info.id)
    return anew
