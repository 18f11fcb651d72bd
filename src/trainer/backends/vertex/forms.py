"""The forms of a request to Vertex AI: its JSON, gcloud's configuration file, gcloud's command."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from trainer.config import UserError
from trainer.platforms import VertexRequest
from trainer.runtime import install_command

# YAML of each version reads this as text without quotes.
_PLAIN = re.compile(r"[A-Za-z/][\w./:@-]*[\w/]|[A-Za-z]")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
# Ends the file in the shell command.
_END = "END_OF_JOB"


def as_json(request: VertexRequest) -> str:
    """Return the body of the request that creates the job."""
    return json.dumps(request.body, indent=2, ensure_ascii=False)


def as_yaml(request: VertexRequest) -> str:
    """Return the file for `--config` of `gcloud ai custom-jobs create` or `hp-tuning-jobs create`.

    Raises:
        UserError: PyYAML is missing.
    """
    if request.kind == "customJobs":
        content = request.spec
    else:
        # The counts are flags there.
        content = {name: request.body[name] for name in ("studySpec", "trialJobSpec")}
    return _yaml(content)


def as_command(request: VertexRequest) -> str:
    """Return shell commands that write the file and call gcloud.

    All of the job stands in the file, as gcloud's flags carry neither the output folder, nor
    variables, nor how machines are taken; there no value with commas needs gcloud's own escapes.
    """
    tuning = request.kind != "customJobs"
    words = ["gcloud", "ai", "hp-tuning-jobs" if tuning else "custom-jobs", "create"]
    body = request.body
    if request.project:
        words.append(f"--project={request.project}")
    words += [f"--region={request.region}", f"--display-name={body['displayName']}"]
    if tuning:
        words.append(f"--max-trial-count={body['maxTrialCount']}")
        words.append(f"--parallel-trial-count={body['parallelTrialCount']}")
    if body.get("labels"):
        # A label has no commas.
        words.append("--labels=" + ",".join(f"{k}={v}" for k, v in body["labels"].items()))
    if body.get("encryptionSpec"):
        words.append(f"--kms-key={body['encryptionSpec']['kmsKeyName']}")
    command = " \\\n    ".join([" ".join(words[:4]), *map(shlex.quote, words[4:])])
    return (
        f"config=$(mktemp)\ncat > \"$config\" <<'{_END}'\n{as_yaml(request)}\n{_END}\n"
        f'{command} \\\n    --config="$config"\nrm "$config"'
    )


class _Text(str):
    """Text that YAML has in quotes."""


def _yaml(content: Any) -> str:
    try:
        import yaml
    except ImportError:
        raise UserError(
            subject="--print yaml",
            problem="the package pyyaml is missing",
            remedy=install_command("submit"),
        ) from None

    class Dumper(yaml.SafeDumper):
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
            return super().increase_indent(flow, False)

    Dumper.add_representer(
        _Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, '"')
    )
    text: str = yaml.dump(
        _quoted(content), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10**6
    )
    return text.rstrip("\n")


def _quoted(value: Any) -> Any:
    """Return JSON with all text marked that some version of YAML may take for something else."""
    if isinstance(value, dict):
        return {name: _quoted(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_quoted(each) for each in value]
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and value.lower() not in _WORDS):
        return _Text(value)
    return value
