"""SageMaker's header for what an application wants to add to a request."""

from __future__ import annotations

import re
from collections.abc import Mapping

HEADER = "x-amzn-sagemaker-custom-attributes"
_ATTRIBUTE = re.compile(r"(tfs-[a-z-]+)=([^,]+)")


def parse(headers: Mapping[str, str]) -> dict[str, str]:
    """What a request asks of TensorFlow Serving: `tfs-model-name=…,tfs-model-version=…`."""
    return {k: v.strip() for k, v in _ATTRIBUTE.findall(headers.get(HEADER, ""))}
