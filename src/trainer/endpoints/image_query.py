"""The uri of one of AWS's prebuilt images: `trainer image-uri`.

The rules are those of `retrieve` in the SDK's `image_uris.py`, with which the tests compare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import UserError, flag_of, option, options_of
from trainer.endpoints.image_tables import dns_suffix, table_of

IMAGE = "the image"
# Their tags are made of more than the tables hold.
_OTHER_RULES = re.compile(
    r"huggingface.*|.*neuron.*|.*training-compiler|pytorch-smp|spark|sagemaker-tritonserver|"
    r"stabilityai|data-wrangler|hyperpod.*|sagemaker-base-python|djl-.*|inferentia-.*|neo-.*|.*-neo"
)
_FAMILY = re.compile(r"ml[._]([a-z\d]+)(?:\.[a-z\d]+)?")
_GRAVITON = re.compile(r"[cmr]\d+gd?n?")


# fmt: off
@dataclass(frozen=True, kw_only=True)
class ImageQuery:
    """An image that is looked for."""

    version: str | None = option(
        None, "of the framework or algorithm (default: the newest)", IMAGE, metavar="VERSION"
    )
    py: str | None = option(
        None, "version of Python, such as py312 (default: the only one)", IMAGE,
        metavar="VERSION", aliases=("py-version",),
    )
    instance_type: str | None = option(
        None, "machine, which decides between images for CPU and GPU (default: ml.m5.large)",
        IMAGE, metavar="TYPE",
    )
    region: str = option("us-east-1", "such as eu-west-1", IMAGE)
    scope: str | None = option(
        None, "what the image is for (default: training where there is one)", IMAGE,
        choices=("training", "inference", "inference_graviton", "eia"), aliases=("image-scope",),
    )
    tables: str | None = option(
        None, "folder with the SageMaker SDK or its tables (default: the installed one)", IMAGE,
        metavar="DIR",
    )
    # fmt: on

    def __post_init__(self) -> None:
        for name, limits in options_of(ImageQuery).items():
            limits.check(flag_of(name), getattr(self, name))


def image_uri(tables: Path, framework: str, query: ImageQuery) -> str:
    """Return the uri of an image.

    Args:
        tables: The folder of the SDK's tables.
        framework: Such as `tensorflow`, `xgboost`, `kmeans`.
        query: Which of its images.

    Raises:
        UserError: There is no such image; the problem names those that there are.
    """
    table = table_of(tables, framework)
    if _OTHER_RULES.fullmatch(framework):
        raise UserError(
            subject=framework, problem="the tags of its images need more than the tables hold",
            remedy="ask sagemaker.image_uris.retrieve(…) of the SDK",
        )  # fmt: skip
    family = _family(query.instance_type or "ml.m5.large")
    scope, images = _scope(table, query.scope, family)
    version = _version(images, query.version, framework)
    image = images["versions"][images.get("version_aliases", {}).get(version, version)]
    py = _python(image, query.py)
    image = image.get(py, image)
    registry = _one_of(image["registries"], query.region, "--region")
    processor = _processor(images.get("processors") or image.get("processors"), family)
    build = (image.get("container_version") or {}).get(processor)
    if image["repository"].endswith(("-inference-graviton", "-inference-arm64")):
        build = f"{build}-sagemaker"
    prefix = image.get("tag_prefix", version)
    if scope == "inference_graviton" and framework in ("xgboost", "sklearn"):
        parts: tuple[str | None, ...] = (version, "arm64")
        parts = (*parts, "cpu-py3") if framework == "sklearn" else parts
    else:
        shown = processor if image.get("processor_in_tag", True) else None
        parts = (prefix, shown, py, build)
    tag = "-".join(part for part in parts if part)
    host = f"{registry}.dkr.ecr.{query.region}.{dns_suffix(query.region)}"
    return f"{host}/{image['repository']}{f':{tag}' if tag else ''}"


def _family(instance_type: str) -> str:
    """Return the family of an instance type: `m5` of `ml.m5.large`."""
    match = _FAMILY.fullmatch(instance_type)
    if match is None:
        raise UserError(
            subject=f"--instance-type {instance_type}", problem="expected one such as ml.m5.large"
        )
    return match[1]


def _scope(table: Mapping[str, Any], scope: str | None, family: str) -> tuple[str, Any]:
    """Return what the image is for, and the part of the table that has such images."""
    scopes = list(table.get("scope", table))
    if _GRAVITON.fullmatch(family) and "inference_graviton" in scopes:
        chosen = "inference_graviton"
    elif len(scopes) == 1:
        chosen = scopes[0]
    elif scope is None:
        chosen = "training" if "training" in scopes else scopes[0]
    else:
        chosen = scope
    if chosen not in scopes:
        raise UserError(
            subject=f"--scope {chosen}", problem=f"expected one of {', '.join(scopes)}"
        )
    return chosen, table if "scope" in table else table[chosen]


def _version(images: Mapping[str, Any], version: str | None, framework: str) -> str:
    versions, aliases = list(images["versions"]), images.get("version_aliases", {})
    if len(versions) == 1 and version not in aliases:
        return versions[0]
    if version is None:
        return max(versions, key=_numbers)
    if version not in versions and version not in aliases:
        known = ", ".join(sorted({*versions, *aliases}, key=_numbers))
        raise UserError(
            subject=f"--version {version}", problem=f"{framework} has {known}",
            remedy="pip install -U sagemaker may know newer ones",
        )  # fmt: skip
    return version


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _python(image: Mapping[str, Any], py: str | None) -> str:
    """Return the version of Python in the tag, empty where tags have none."""
    known = image.get("py_versions") if "repository" in image else list(image)
    if not known:
        return ""
    if py is None and len(known) == 1:
        return str(known[0])
    return _one_of({each: each for each in known}, py, "--py")


def _processor(known: list[str] | None, family: str) -> str | None:
    if not known:
        return None
    if family in known:
        return family
    kind = "gpu" if family[0] in "gp" else "cpu"
    for other in ("inf", "trn"):
        kind = other if family.startswith(other) else kind
    return _one_of(dict.fromkeys(known, kind), kind, "--instance-type", shown=f"ml.{family}")


def _one_of(
    known: Mapping[str, Any], wanted: str | None, flag: str, *, shown: str | None = None
) -> str:
    """Return an entry of a table; a UserError names what it has instead."""
    if wanted is None or wanted not in known:
        raise UserError(
            subject=f"{flag} {shown or wanted or ''}".rstrip(),
            problem=f"expected one of {', '.join(sorted(known))}",
        )
    return str(known[wanted])
