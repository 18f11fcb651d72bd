"""SageMaker's header of custom attributes, by which a request chooses model and version."""

from __future__ import annotations

import re
from collections.abc import Mapping

HEADER = "x-amzn-sagemaker-custom-attributes"
_ATTRIBUTE = re.compile(r"(tfs-[a-z-]+)=([^,]+)")


def parse(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes for TensorFlow Serving, as `tfs-model-name=…,tfs-model-version=…`.

    Args:
        headers: Of the request.
    """
    return {k: v.strip() for k, v in _ATTRIBUTE.findall(headers.get(HEADER, ""))}
