"""Requests that the AWS CLI sends, as boto3 sends them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.migration.hidden import CommandReader
from trainer.migration.shell import CommandLine, options_of
from trainer.migration.values import Given, Made, Use
from trainer.migration.vertex_pools import shown

REQUESTS: Mapping[str, str] = {
    "create-training-job": "create_training_job",
    "create-hyper-parameter-tuning-job": "create_hyper_parameter_tuning_job",
}
_SWITCHES = ("enable-managed-spot-training", "enable-network-isolation",
             "enable-inter-container-traffic-encryption", "no-cli-pager",
             "no-enable-managed-spot-training", "no-enable-network-isolation",
             "no-enable-inter-container-traffic-encryption")  # fmt: skip
_SESSION = {"region": "region_name", "profile": "profile_name"}
_QUIET = ("output", "query", "no-cli-pager", "endpoint-url", "no-paginate")
# The members that hold a list, which the short form has without brackets.
_LISTS = ("InputDataConfig", "Tags", "DebugRuleConfigurations")


@dataclass(frozen=True, kw_only=True)
class AwsCli(CommandReader):
    """Reads command lines of the AWS CLI."""

    def request(self, command: CommandLine) -> Use | None:
        """Return the request that a command sends, or None."""
        words = command.words
        if words[:2] != ("aws", "sagemaker") or words[2:3] == () or words[2] not in REQUESTS:
            return None
        line = self.line + command.line
        options, _, _ = options_of(words[3:], dict.fromkeys(_SWITCHES))
        found: dict[str, Any] = {}
        for name, values in options.items():
            if name == "cli-input-json":
                whole = self._value(values)
                found = {**whole, **found} if isinstance(whole, dict) else found
            elif name not in (*_QUIET, *_SESSION):
                member = "".join(part.title() for part in name.removeprefix("no-").split("-"))
                found[member] = self._member(name, member, values)
        given = {
            name: Given(value=value, source=shown(value), line=line)
            for name, value in self.hidden.restored(found).items()
        }
        session = {
            _SESSION[name]: Given(value=self.hidden.value(values[0]), source="", line=line)
            for name, values in options.items() if name in _SESSION and values
        }  # fmt: skip
        client = Made(kind="Session", given=session, line=line)
        if session:
            given["sagemaker_session"] = Given(value=client, source="", line=line)
        return Use(made=client, method=REQUESTS[words[2]], given=given, line=line)

    def _member(self, name: str, member: str, values: list[str]) -> Any:
        if not values:
            return not name.startswith("no-")
        found = self._value(values)
        if member not in _LISTS:
            return found
        return found if isinstance(found, list) else [found]

    def _value(self, values: list[str]) -> Any:
        """Return JSON, a file of JSON, or the short form `Name=value,Name=value`."""
        text = values[0]
        if text.startswith("file://"):
            text = self.read(text.removeprefix("file://")) or text
        if text.lstrip()[:1] in ("{", "["):
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return text
        if len(values) > 1:
            return [self._value([each]) for each in values]
        return _short(text) if "=" in text else text


def _short(text: str) -> Any:
    """Return the short form of a structure as a dictionary; the text itself where it is none."""
    found, end = _members(text, 0)
    return found if end == len(text) and found else text


def _members(text: str, at: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    last = ""
    while at < len(text) and text[at] != "}":
        end = next((n for n in range(at, len(text)) if text[n] in "=,{}"), len(text))
        name = text[at:end].strip()
        if end < len(text) and text[end] == "=":
            value, at = _short_value(text, end + 1)
            last, found[name] = name, value
        elif last and end > at:
            # One more member of the list before.
            before = found[last]
            found[last] = [*(before if isinstance(before, list) else [before]), name]
            at = end
        else:
            return {}, at
        at += at < len(text) and text[at] == ","
    return found, at


def _short_value(text: str, at: int) -> tuple[Any, int]:
    if text[at : at + 1] == "{":
        found, end = _members(text, at + 1)
        return found, end + 1
    if text[at : at + 1] == "[":
        end = text.find("]", at)
        end = len(text) if end < 0 else end
        return text[at + 1 : end].split(","), end + 1
    end = next((n for n in range(at, len(text)) if text[n] in ",}"), len(text))
    return text[at:end].strip("'\""), end
