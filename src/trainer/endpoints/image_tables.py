"""The tables of AWS's prebuilt images that the SageMaker Python SDK brings along.

They are read without importing the SDK, which takes seconds: `image_uri_config/<framework>.json`
in version 2, `core/image_uri_config/` in version 3.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from trainer.config import UserError, suggestion
from trainer.runtime import install_command

_FOLDERS = ("image_uri_config", "core/image_uri_config")
# Files of the tables that are not of images.
_OTHERS = {"instance_gpu_info"}


def find_tables(folder: str | None = None) -> Path:
    """Return the folder of the tables.

    Args:
        folder: The folder, or one that has the SDK in it; None for the installed SDK.

    Raises:
        UserError: There are none.
    """
    if folder is not None:
        places = [Path(folder), Path(folder, "sagemaker")]
    else:
        spec = importlib.util.find_spec("sagemaker")
        places = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    for place in places:
        for name in ("", *_FOLDERS):
            if (place / name / "tensorflow.json").is_file():
                return place / name
    if folder is not None:
        raise UserError(
            subject=f"--tables {folder}", problem="has no tables of images of the SageMaker SDK"
        )
    raise UserError(
        subject="image-uri",
        problem="the tables of AWS's images come with the package sagemaker, which is missing",
        remedy="pip install sagemaker, or name the folder of one with --tables",
    )


def frameworks_in(tables: Path) -> list[str]:
    """Return the names of the frameworks and algorithms that have a table."""
    return sorted(file.stem for file in tables.glob("*.json") if file.stem not in _OTHERS)


def table_of(tables: Path, framework: str) -> dict[str, Any]:
    """Return the table of a framework.

    Raises:
        UserError: There is none.
    """
    names = frameworks_in(tables)
    if framework not in names:
        raise UserError(
            subject=framework,
            problem=f"no framework or algorithm of AWS's images{suggestion(framework, names)}",
            remedy="see trainer image-uri for their names",
        )
    found: dict[str, Any] = json.loads((tables / f"{framework}.json").read_text(encoding="utf-8"))
    return found


@functools.cache
def dns_suffix(region: str) -> str:
    """Return the end of the names of a region's services, as botocore knows it.

    Raises:
        UserError: botocore is missing, or knows no such region.
    """
    try:
        import botocore.loaders
    except ImportError:
        raise UserError(
            subject=f"--region {region}", problem="the package boto3 is missing",
            remedy=install_command("submit"),
        ) from None  # fmt: skip
    partitions = botocore.loaders.create_loader().load_data("endpoints")["partitions"]
    for partition in partitions:
        if region in partition["regions"] or re.fullmatch(partition["regionRegex"], region):
            return str(partition["dnsSuffix"])
    raise UserError(subject=f"--region {region}", problem="there is no such region")
