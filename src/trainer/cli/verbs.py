"""The verbs of `trainer`, each a module of this package.

    VERBS["data create"].run(args)      # imports trainer.cli.data_create

A new verb is one new module that offers what `Verb` lists, and one line in `VERBS`. The module is
imported for every `trainer --help`: what needs NumPy or TensorFlow is imported inside its `run`.
"""

from __future__ import annotations

import argparse
from typing import Protocol

from trainer.config import Parser, Registry


class Verb(Protocol):
    """Interface of a verb's module.

    Attributes:
        HELP: Its line in the list of commands.
        EXAMPLES: The end of its `--help`: each command under a comment that says what it does. The
            first two lines stand in `trainer --help`, too.

    A module may also offer `add_named_flags(parser, argv)`, called for its own command line alone,
    which adds the flags of what other arguments name; and `PASSES_ON = True`, if it passes on the
    arguments after `--`.
    """

    HELP: str
    EXAMPLES: str

    def add_flags(self, parser: Parser) -> None:
        """Add the verb's flags; `--debug` is added for all of them."""

    def run(self, args: argparse.Namespace) -> int | None:
        """Run the verb.

        Args:
            args: The parsed flags; besides, `argv` is the whole command line, and `streams` the
                guarded standard streams, if there are any.

        Returns:
            The exit code, None for 0.
        """


# By the words that call them: `trainer data create`.
VERBS: Registry[Verb] = Registry(
    "trainer.cli",
    {
        "train": "train",
        "doctor": "doctor",
        "sweep": "sweep",
        "report": "report",
        "submit": "submit",
        "migrate": "migrate",
        "jobs list": "jobs_list",
        "jobs logs": "jobs_logs",
        "jobs stop": "jobs_stop",
        "jobs fetch": "jobs_fetch",
        "config show": "config_show",
        "serve": "serve",
        "package": "package",
        "export": "export",
        "deploy": "deploy",
        "predict": "predict",
        "undeploy": "undeploy",
        "image-uri": "image_uri",
        "data create": "data_create",
        "data inspect": "data_inspect",
        "data mnist": "data_mnist",
        "data split": "data_split",
        "data sync": "data_sync",
    },
)
# The help line of each first word that has verbs of its own below it.
GROUPS = {
    "config": "settings that a team shares",
    "data": "get, look at and convert data",
    "jobs": "list, follow, stop and fetch jobs that were submitted",
}
