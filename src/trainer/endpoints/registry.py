"""The places that endpoints are in, each with its own folder.

    TARGETS["sagemaker"].client("mnist", options)

A further place is one folder that offers an `EndpointTarget` (`target.py`), and one line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.config import Registry

if TYPE_CHECKING:
    from trainer.endpoints.target import EndpointTarget

TARGETS: Registry[EndpointTarget] = Registry(
    "trainer.endpoints",
    {
        "sagemaker": "sagemaker.target:TARGET",
        "vertex": "vertex.target:TARGET",
        "docker": "docker.target:TARGET",
    },
)
