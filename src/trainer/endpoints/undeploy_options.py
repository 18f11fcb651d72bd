"""The options of `trainer undeploy`."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import flag_of, option, options_of
from trainer.endpoints.endpoint_address import EndpointAddress

RUN = "what to do with it"


# fmt: off
@dataclass(frozen=True, kw_only=True)
class UndeployOptions(EndpointAddress):
    """Settings of taking an endpoint down."""

    delete_data: bool = option(False, "delete the models that were uploaded for it, too", RUN)
    dry_run: bool = option(False, "say what would be taken down, and take down nothing", RUN)
    # fmt: on

    def __post_init__(self) -> None:
        for name, limits in options_of(UndeployOptions).items():
            limits.check(flag_of(name), getattr(self, name))
        # Nothing is connected to before it is known.
        self.place()
