"""List of what a deployment has made so far, with the way to take down each part."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from trainer.config import RetryableError, UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class MadeThing:
    """A resource that was made.

    Attributes:
        what: The resource for people: `endpoint mnist`.
        remove: Takes it down.
        undone: The line that says so.
    """

    what: str
    remove: Callable[[], None]
    undone: str


class Ledger:
    """The resources that a deployment has made.

    Args:
        undeploy: The command that takes down all of them.
        keep: True to leave them where a later step fails.
    """

    def __init__(self, *, undeploy: str, keep: bool) -> None:
        self._undeploy, self._keep = undeploy, keep
        self._made: list[MadeThing] = []

    def add(self, what: str, remove: Callable[[], None]) -> None:
        """Note a resource, at once when it has been made."""
        logger.info("made %s", what)
        self._made.append(MadeThing(what=what, remove=remove, undone=f"took down {what}"))

    def set_aside(self, what: str, restore: Callable[[], None]) -> None:
        """Note a resource that gives way to the new one, and comes back if that fails."""
        self._made.append(MadeThing(what=what, remove=restore, undone=f"started {what} again"))

    def undo(self) -> None:
        """Take down what was made, the newest first, or say that it stays."""
        if not self._made:
            return
        if self._keep:
            names = ", ".join(thing.what for thing in self._made)
            logger.warning("made and kept: %s; take down: %s", names, self._undeploy)
            return
        for thing in reversed(self._made):
            try:
                thing.remove()
            except (UserError, RetryableError) as error:
                text = "still there: %s (%s); take it down: %s"
                logger.error(text, thing.what, error, self._undeploy)
            else:
                logger.warning("%s", thing.undone)
        self._made.clear()
