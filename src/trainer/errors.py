"""The errors that are the user's to mend, each told in one line."""


class UserError(Exception):
    """A mistake in a flag, variable, file or folder; the program ends with code 2.

    The message is one line: which flag, variable or file, what value it has, what
    was expected and what to do. `cli.main` prints it without a traceback.
    """


class DataError(UserError):
    """Training or test data that is missing, damaged or of the wrong kind."""
