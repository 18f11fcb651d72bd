"""Errors by who can mend them; each is told in one line."""

# Exit codes of RetryableError and PeerError. Platforms that tell such failures apart (Kubeflow's
# `restartPolicy: ExitCode`) do it by codes of 128 and up; these are of no signal.
RETRY = 200
PEER = 201


class UserError(Exception):
    """A mistake in a flag, variable, file or folder; the program ends with code 2.

    The message is one line: which flag, variable or file, what value it has, what
    was expected and what to do. `trainer.cli` prints it without a traceback.
    """


class DataError(UserError):
    """Training or test data that is missing, damaged or of the wrong kind."""


class RetryableError(Exception):
    """A failure that a new try may cure, such as a store that does not answer; code 200."""


class PeerError(RetryableError):
    """Another process of the job is gone; code 201, as that is a consequence and not the cause."""
