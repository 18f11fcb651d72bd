"""The flags of a compose file."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.backends.docker.options import DockerOptions
from trainer.config import option

COMPOSE = "hosts"


# fmt: off
@dataclass(frozen=True, kw_only=True)
class ComposeOptions(DockerOptions):
    """The flags of containers that are hosts of one job."""

    addresses: tuple[str, ...] = option(
        (), "machines of the hosts, one for each, chief first: print one file for all of them, "
        "of which each starts its own service (default: all hosts are on this machine)", COMPOSE,
        metavar="ADDRESS", many=True,
    )
    port: int = option(
        2222, "port of TensorFlow's server on each host", COMPOSE, low=1, high=65535,
    )
# fmt: on
