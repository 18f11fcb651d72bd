"""The start of one container of a job, as its platform does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.platforms.base import Environment


@dataclass(frozen=True, kw_only=True)
class ContainerStart:
    """The start of one container.

    Attributes:
        name: Its name in the job, such as `algo-1` or `workerpool1-0`; it is the host's name, too.
        env: The variables, besides those of the image.
        argv: The arguments of the image's entry point.
        files: The content of the files that the platform writes, by absolute path.
        folders: Folders that are there, empty or with the data of a channel, by absolute path.
        aliases: Further names by which the other containers reach it.
        inputs: Urls whose content the platform brings to a folder, by absolute path.
        sharded: Those of these folders of which each container gets other files.
        outputs: Folders that the platform keeps, by absolute path, with their names among what the
            job leaves.
        shared: Folders that all containers of the job share, as a store that is mounted.
    """

    name: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    argv: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    folders: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    sharded: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()

    def environment(self, root: Path) -> Environment:
        """Write the files and folders below `root`, and return what the container would read."""
        for folder in (*self.folders, *self.shared):
            (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for path, content in self.files.items():
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        return Environment(env=self.env, argv=self.argv, root=root)
