"""The backends, by what `--to` calls them."""

from __future__ import annotations

from trainer.backends.backend import Backend
from trainer.config import Registry

BACKENDS: Registry[Backend] = Registry(
    "trainer.backends",
    {
        "compose": "compose.backend:BACKEND",
        "docker": "docker.backend:BACKEND",
        "kubernetes": "kubernetes.backend:BACKEND",
        "sagemaker": "sagemaker.backend:BACKEND",
        "vertex": "vertex.backend:BACKEND",
    },
)
