"""The machines and the program of a job of Vertex AI, as its pools or arguments have them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.migration.commands import Flag
from trainer.migration.draft import Draft, is_option
from trainer.migration.submitting import Reading, add_code
from trainer.migration.user_code import is_there
from trainer.migration.values import (
    Given,
    Made,
    Text,
    Unknown,
    is_known,
    is_text,
    joined,
    parts_of,
    simplified,
)
from trainer.platforms import field_of

_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_ITSELF = "leave it out: the image starts the trainer by itself"


def plain(value: Any) -> Any:
    """Return a member of a request with names as the SDK has them: `machine_spec`."""
    if isinstance(value, Made):
        value = {name: each.value for name, each in value.given.items()}
    if isinstance(value, dict):
        named = {_CAPITAL.sub(r"_\1", str(name)).lower(): each for name, each in value.items()}
        # Labels and the like have names of the user's own.
        return {n: v if n == "labels" else plain(v) for n, v in named.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def pool_arguments(draft: Draft, given: Given | None) -> dict[str, Given]:
    """Return what worker pools say as the arguments of a training job.

    Pools 0 to 3 are the chief, workers, parameter servers or reduction servers, the evaluator.
    """
    if given is None:
        return {}
    pools = plain(given.value if isinstance(given.value, list) else [])
    found = [pool if isinstance(pool, dict) else {} for pool in pools]
    if not found or not found[0]:
        draft.note(given, "worker_pool_specs", "exist only while the script runs: give --hosts, "
                   "--machine-type and --image")  # fmt: skip
        return {}
    counts = [_count(pool.get("replica_count", 1)) if pool else 0 for pool in found[:4]]
    parts: dict[str, Any] = {}
    if all(isinstance(count, int) for count in counts):
        counts += [0] * (4 - len(counts))
        parts = _counted(found, counts)
    else:
        # One pool has as many hosts as it says; of several, none is known to be their sum.
        parts["replica_count"] = counts[0] if len(counts) == 1 else None
        if len(counts) > 1:
            draft.note(given, "replica_count", "exists only while the script runs: give --hosts")
    parts |= _of_chief(found[0])
    return {
        name: Given(value=value, source=shown(value), line=given.line)
        for name, value in parts.items()
        if value is not None
    }


def _count(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def shown(value: Any) -> str:
    """Return a value as a note has it; empty where it is not known."""
    text = repr(value) if is_known(value) else ""
    return text if len(text) <= 80 else f"{text[:79]}…"


def _counted(pools: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> dict[str, Any]:
    hosts = counts[0] + counts[1]
    found: dict[str, Any] = {"replica_count": hosts if hosts > 1 else None}
    if counts[2]:
        image = (pools[2].get("container_spec") or {}).get("image_uri")
        machine = (pools[2].get("machine_spec") or {}).get("machine_type")
        if isinstance(image, str) and "reductionserver" in image:
            found |= {"reduction_server_replica_count": counts[2],
                      "reduction_server_container_uri": image,
                      "reduction_server_machine_type": machine}  # fmt: skip
        else:
            found |= {"parameter_servers": counts[2], "server_machine_type": machine}
    return {**found, "evaluators": counts[3] or None}


def _of_chief(chief: Mapping[str, Any]) -> dict[str, Any]:
    container = chief.get("container_spec") or {}
    package = chief.get("python_package_spec") or {}
    container, package = (each if isinstance(each, dict) else {} for each in (container, package))
    env = [
        each for each in container.get("env") or package.get("env") or () if isinstance(each, dict)
    ]
    packages = package.get("package_uris")
    return {
        **(chief.get("machine_spec") or {}),
        **_disk(chief.get("disk_spec") or {}),
        "container_uri": container.get("image_uri") or package.get("executor_image_uri"),
        "args": container.get("args") or package.get("args"),
        "environment_variables": {e.get("name"): e.get("value") for e in env} or None,
        "command": container.get("command"),
        "python_module_name": package.get("python_module"),
        "python_package_gcs_uri": packages[0] if isinstance(packages, list) and packages else None,
    }


def _disk(spec: Mapping[str, Any]) -> dict[str, Any]:
    names = {"boot_disk_type": "boot_disk_type", "boot_disk_size_gb": "boot_disk_size_gb"}
    return {names.get(name, f"disk_spec {name}"): value for name, value in spec.items()}


def add_program(draft: Draft, reading: Reading, given: Mapping[str, Given]) -> None:
    """Add the script that a job runs, and its arguments."""
    command, args = given.get("command"), given.get("args")
    words: list[Any] = []
    for each in (command, args):
        words += each.value if each is not None and isinstance(each.value, list) else []
    first = next((n for n, word in enumerate(words) if _flag_of(word)), len(words))
    leading = words[:first]
    draft.raw += _flags(draft, words[first:])
    script = _script(given, leading)
    where = given.get("script_path") or given.get("python_module_name") or args or command
    if script and (given.get("script_path") or is_there(reading.script, script)):
        add_code(draft, reading, {"entry_point": _renamed(where, script)})
    elif given.get("python_module_name") and where:
        draft.note(where, "python_module_name", "name the file of its model by --module, with "
                   "keras_model(hparams): docs/your-model.md")  # fmt: skip
    start = command if command is not None and command.value else args
    if leading and start is not None:
        name = "command" if start is command else "args"
        shown = " ".join(str(word) for word in leading if isinstance(word, (str, int, float)))
        draft.note(start.line, f"{name} {shown}", _ITSELF)


def _renamed(given: Given | None, script: str) -> Given:
    return Given(value=script, source=repr(script), line=given.line if given else 0)


def _script(given: Mapping[str, Given], leading: Sequence[Any]) -> str | None:
    """Return the script that a job runs, as a path; None where that is not known."""
    path, module = (
        given[name].value if name in given else None
        for name in ("script_path", "python_module_name")
    )
    if isinstance(path, str):
        return path.removeprefix("./")
    if not isinstance(module, str) and "-m" in leading[:-1]:
        module = leading[leading.index("-m") + 1]
    if isinstance(module, str):
        return f"{module.replace('.', '/')}.py"
    return next((w for w in leading if isinstance(w, str) and w.endswith(".py")), None)


def _flag_of(word: Any) -> bool:
    first = parts_of(word)[0] if is_text(word) else None
    return isinstance(first, str) and first.startswith("--") and len(first) > 2


def _flags(draft: Draft, words: Sequence[Any]) -> list[Flag]:
    """Return the arguments of a container as flags; the program's own become hyperparameters."""
    found: list[Flag] = []
    for word in words:
        if _flag_of(word):
            first, *rest = parts_of(word)
            name, equals, value = str(first).partition("=")
            values = (_address(simplified([value, *rest])),) if equals else ()
            found.append(Flag(name=name, values=values))
        elif isinstance(word, (str, int, float, Text, Unknown)) and found:
            last = found.pop()
            found.append(Flag(name=last.name, values=(*last.values, _address(word))))
    known = [flag for flag in found if is_option(field_of(flag.name))]
    for flag in found:
        if field_of(flag.name) == "eval_steps":
            draft.note(draft.line, flag.name, "leave it out: an evaluation reads all of --test")
        elif flag not in known:
            own = [part for each in flag.values for part in (",", each)][1:]
            text = joined(*own) if own else "true"
            draft.own[flag.name.lstrip("-").replace("-", "_")] = text
    return known


def _address(value: Any) -> Any:
    """Return the address of what Vertex AI shows a container below /gcs."""
    parts = [*parts_of(value)] if is_text(value) else [value]
    if isinstance(parts[0], str) and parts[0].startswith("/gcs/"):
        return simplified([f"gs://{parts[0].removeprefix('/gcs/')}", *parts[1:]])
    return value
