"""Taking down what a deployment made: all of it, and nothing else."""

from __future__ import annotations

import logging
from pathlib import Path

from trainer.endpoints.deploy_options import checked_name
from trainer.endpoints.model_source import ARCHIVE
from trainer.endpoints.registry import TARGETS
from trainer.endpoints.undeploy_options import UndeployOptions
from trainer.runtime import output
from trainer.storage import is_remote, local, remote

logger = logging.getLogger(__name__)


def undeploy(name: str, options: UndeployOptions) -> None:
    """Take down an endpoint, and print what is gone and what was left.

    Args:
        name: The name that `trainer deploy` gave it.
        options: Of the verb.

    Raises:
        UserError: The place refuses it.
    """
    name = checked_name(name, flag="NAME")
    found = TARGETS[options.place()].connect(options).remove(name, dry_run=options.dry_run)
    verb = "would take down" if options.dry_run else "took down"
    for what in found.removed:
        output.out(f"{verb} {what}")
    for artifact in found.artifacts:
        folder = artifact.removesuffix(f"/{ARCHIVE}")
        if not options.delete_data:
            output.out(f"left {folder} (--delete-data deletes it)")
            continue
        if not options.dry_run:
            _delete(folder)
        output.out(f"{'would delete' if options.dry_run else 'deleted'} {folder}")
    for what in found.left:
        output.out(f"left {what}")
    if not found.removed and not found.left:
        output.out(f"nothing that was deployed as {name} is there")


def _delete(folder: str) -> None:
    if is_remote(folder):
        remote.remove(folder, flag="--delete-data")
    elif Path(folder).is_dir():
        local.remove_folder(Path(folder))
