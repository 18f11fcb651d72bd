"""The drivers of object stores: s3fs and gcsfs, imported when the first url is used.

They find credentials, region and endpoint where their users expect it.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

from trainer.config import UserError
from trainer.runtime import install_command
from trainer.storage.store_options import StorageOptions

PIECE = 2**23  # bytes; larger files travel in pieces, some at a time
_PIECES = 4  # of one file at a time

# By scheme: module, class, and its arguments.
DRIVERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "s3": ("s3fs", "S3FileSystem", {"default_block_size": PIECE, "max_concurrency": _PIECES}),
    # Not the class that gcsfs registers: that one first asks for each bucket's kind over gRPC, and
    # hangs for a minute where only HTTP gets through.
    "gs": ("gcsfs.core", "GCSFileSystem", {}),
}


def driver_for(scheme: str, *, subject: str, options: StorageOptions) -> Callable[[], Any]:
    """Return a function that connects to the stores of a scheme.

    Args:
        scheme: `s3` or `gs`.
        subject: The flag and url that need it, for errors.
        options: Arguments of the driver and limits.

    Raises:
        UserError: It is not installed.
    """
    module, name, arguments = DRIVERS[scheme]
    package = module.split(".")[0]
    try:
        driver = getattr(importlib.import_module(module), name)
    except ImportError:
        needs = f"needs {package}: {install_command('cloud')}"
        raise UserError(
            subject=subject,
            problem=needs,
        ) from None
    # The driver logs whole addresses; whatever matters is raised as well.
    logging.getLogger(package).setLevel(logging.CRITICAL)
    settings: dict[str, Any] = {"use_listings_cache": False, **arguments}
    if scheme == "s3":
        connections = _PIECES * options.limits.workers
        settings |= {"config_kwargs": {"max_pool_connections": connections}, **options.s3}
    else:
        settings |= options.gs
    return lambda: driver(**settings)
