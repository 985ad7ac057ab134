"""Errors with a message for the user: what was expected, what was got, and what to do."""


class UserError(Exception):
    """Something that the user can mend; the command line shows its message without a traceback."""


class DataUnavailableError(UserError):
    """The data can be had neither from the network nor from the manual directory."""


class AnomaliesError(UserError):
    """The data does not fit its schema."""


class StepFailedError(Exception):
    """A step failed for a reason that the full log tells."""
