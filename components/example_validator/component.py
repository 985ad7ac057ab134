"""ExampleValidator: no run goes on with data that does not fit its schema."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types import standard_component_specs as specs
from tfx.types.component_spec import ChannelParameter

from components.example_validator.executor import EXAMPLES_KEY, PREVIOUS_STATISTICS_KEY, Executor


class ExampleValidatorSpec(types.ComponentSpec):
    """TFX's ExampleValidatorSpec, and the examples themselves and earlier statistics on top."""

    PARAMETERS = specs.ExampleValidatorSpec.PARAMETERS
    INPUTS = specs.ExampleValidatorSpec.INPUTS | {
        EXAMPLES_KEY: ChannelParameter(type=standard_artifacts.Examples),
        PREVIOUS_STATISTICS_KEY: ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }
    OUTPUTS = specs.ExampleValidatorSpec.OUTPUTS


class ExampleValidator(base_component.BaseComponent):
    """TFX's ExampleValidator, made strict: an anomaly fails the step, and with it the run.

    Besides what TFDV sees in the statistics, it looks for skew between the splits, for drift from the last other data
    that this pipeline saw, and decodes every image.
    """

    SPEC_CLASS = ExampleValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        previous_statistics: types.BaseChannel,
        schema: types.BaseChannel,
    ) -> None:
        """Makes the component.

        Args:
          examples: `Examples` to decode.
          statistics: `ExampleStatistics` of the same splits.
          previous_statistics: `ExampleStatistics` to find drift against; may resolve to none.
          schema: the curated `Schema`.
        """
        super().__init__(
            ExampleValidatorSpec(
                examples=examples,
                statistics=statistics,
                previous_statistics=previous_statistics,
                schema=schema,
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )
