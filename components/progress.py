"""How a component tells what it is doing: a log record on a logger of its own, which the runner shows live."""

import logging

LOGGER_NAME = "components.progress"
DONE = "\u2713"  # before a part that is done; shown as `ok` where it cannot be

_logger = logging.getLogger(LOGGER_NAME)


def report(text: str) -> None:
    """Reports in a few words where a long step stands, as in `12,000 of 70,000 examples`."""
    _logger.info(text)
