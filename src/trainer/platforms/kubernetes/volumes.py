"""The volumes of a job's pods, which hold data and results."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import UserError
from trainer.platforms.kubernetes.options import KubernetesOptions, check_name


@dataclass(frozen=True, kw_only=True)
class ClaimMount:
    """A PersistentVolumeClaim, and where it is mounted.

    Attributes:
        claim: The claim's name.
        path: The folder.
        read_only: True if nothing can be written there.
    """

    claim: str
    path: str
    read_only: bool

    def holds(self, path: str) -> bool:
        """Return whether a path is in the volume."""
        return f"{path.rstrip('/')}/".startswith(f"{self.path}/")


def mounts(options: KubernetesOptions) -> tuple[ClaimMount, ...]:
    """Return what `--volume` describes.

    Raises:
        UserError: One is malformed, or two have the same path.
    """
    found: list[ClaimMount] = []
    for text in options.volume:
        claim, colon, rest = text.partition(":")
        path, _, mode = rest.partition(":")
        path = path.rstrip("/")
        if not (colon and path.startswith("/")) or mode not in ("", "ro", "rw"):
            raise UserError(subject=f"--volume {text}", problem="expected CLAIM:/PATH or …:ro")
        check_name(claim, flag="--volume")
        if path in [mount.path for mount in found]:
            raise UserError(subject=f"--volume {text}", problem=f"{path} is taken already")
        found.append(ClaimMount(claim=claim, path=path, read_only=mode == "ro"))
    return tuple(found)


def volume_folders(options: KubernetesOptions) -> tuple[str, ...]:
    """Return the folders of the pods that volumes are mounted at."""
    return tuple(mount.path for mount in mounts(options))
