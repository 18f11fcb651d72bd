"""A request as JSON, and as a command of the AWS CLI."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from trainer.backends.sagemaker.tuning import TuningRequest
from trainer.platforms import TrainingRequest


def json_text(request: TrainingRequest | TuningRequest) -> str:
    """Return what `aws sagemaker create-training-job --cli-input-json` takes."""
    return json.dumps(request.body(), indent=2)


def command_text(request: TrainingRequest | TuningRequest) -> str:
    """Return the command of the AWS CLI, one flag a line."""
    region = request.options.region
    head = f"aws sagemaker {request.command}" + (f" --region {region}" if region else "")
    flags = [_flag(name, value) for name, value in request.body().items()]
    return " \\\n    ".join([head, *flags])


def _flag(name: str, value: Any) -> str:
    flag = "-".join(re.findall(r"[A-Z][a-z]+", name)).lower()
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"--{flag} {shlex.quote(text)}"
