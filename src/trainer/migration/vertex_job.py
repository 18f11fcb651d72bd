"""A custom job of Google's SDK (`google.cloud.aiplatform`) as a command of `trainer submit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.backends import SubmitOptions
from trainer.config import options_of
from trainer.migration.commands import Flag
from trainer.migration.draft import Draft
from trainer.migration.followed import Followed
from trainer.migration.search import add_search
from trainer.migration.target import Target
from trainer.migration.values import Given, Made, Text, Unknown, is_text, parts_of, simplified

# Arguments of the job, of `run` and `submit`, and of `aiplatform.init`, by the flags' fields.
OPTIONS: Mapping[str, str] = {
    "project": "project", "location": "region", "staging_bucket": "staging_bucket",
    "service_account": "service_account", "network": "network", "timeout": "max_time",
    "restart_job_on_worker_restart": "restart_on_worker_restart",
    "enable_web_access": "web_access", "tensorboard": "tensorboard",
    "disable_retries": "disable_retries", "max_wait_duration": "max_wait",
    "experiment": "experiment", "experiment_run": "experiment_run",
    "persistent_resource_id": "persistent_resource", "encryption_spec_key_name": "kms_key",
    "training_encryption_spec_key_name": "kms_key", "machine_type": "machine_type",
    "accelerator_type": "accelerator_type", "accelerator_count": "accelerator_count",
    "boot_disk_size_gb": "boot_disk_gb", "boot_disk_type": "boot_disk_type",
    "reduction_server_replica_count": "reduction_servers",
    "reduction_server_machine_type": "reduction_server_machine_type",
    "reduction_server_container_uri": "reduction_server_image",
    "container_uri": "image", "replica_count": "hosts",
}  # fmt: skip
_QUIET = ("sync", "create_request_timeout", "model_display_name", "display_name",
          "base_output_dir", "scheduling_strategy")  # fmt: skip
_STRATEGIES = {"SPOT": "spot", "FLEX_START": "flex-start"}


def vertex_draft(
    target: Target, followed: Followed, made: Made, *, tuner: Made | None = None
) -> Draft:
    """Return the command for a custom job, with the search of a tuning job if one uses it."""
    draft = Draft(target=target, line=made.line)
    given: dict[str, Given] = {}
    for other in followed.made:
        given |= other.given if other.kind == "init" else {}
    given |= made.given
    starts = followed.uses_of(tuner or made, "run", "submit")
    for use in starts:
        given |= use.given
    name = (tuner or made).value("display_name")
    if is_text(name):
        draft.set("name", name)
    _add_output(draft, given.get("base_output_dir"), name)
    for keyword, each in given.items():
        _add(draft, keyword, each)
    waits = any(use.method == "run" and use.given.get("sync") is None for use in starts)
    if waits:
        draft.set("wait")
    if tuner is not None:
        add_search(draft, tuner)
    return draft


def _add(draft: Draft, keyword: str, given: Given) -> None:
    value = given.value
    if value is None or keyword in _QUIET[:-1]:
        return
    if keyword == "scheduling_strategy":
        _add_strategy(draft, given)
    elif keyword == "worker_pool_specs":
        _add_pools(draft, given)
    elif keyword == "args" and isinstance(value, list):
        draft.raw = _flags(draft, value, given)
    elif keyword in ("labels", "environment_variables") and isinstance(value, dict):
        option = "tags" if keyword == "labels" else "env"
        draft.set_pairs(option, {str(n): v for n, v in value.items()}, given.line)
    elif keyword in OPTIONS:
        _add_option(draft, OPTIONS[keyword], keyword, given)
    else:
        draft.note(given, keyword, "no flag of trainer submit does that")


def _add_option(draft: Draft, option: str, keyword: str, given: Given) -> None:
    value = given.value
    common = option in options_of(SubmitOptions)
    if not common and draft.target.place != "vertex":
        draft.note(given, keyword, "is a setting of Vertex AI: choose that of the new place")
    elif isinstance(value, bool):
        flag = option.replace("_", "-")
        draft.flags[option] = Flag(name=f"--{flag}" if value else f"--no-{flag}")
    elif isinstance(value, (str, int, float, Text, Unknown)):
        draft.set(option, value)
    else:
        draft.note(given, keyword, "is no value that a command line can give")


def _add_output(draft: Draft, given: Given | None, name: Any) -> None:
    """Set the folder below which the job's own folder, of its name, lies."""
    if given is None or given.value is None:
        return
    value = given.value
    if isinstance(value, str) and isinstance(name, str):
        value = value.rstrip("/").removesuffix(f"/{name}")
    draft.set("output", value)


def _add_strategy(draft: Draft, given: Given) -> None:
    word = given.source.rpartition(".")[2]
    if word == "SPOT":
        draft.set("spot")
    elif word == "FLEX_START" and draft.target.place == "vertex":
        draft.set("strategy", _STRATEGIES[word])
    elif word != "STANDARD":
        draft.note(given, "scheduling_strategy", "use --spot or --strategy")


def _add_pools(draft: Draft, given: Given) -> None:
    """Read pools 0 to 3: the chief, workers, parameter servers, the evaluator."""
    pools = given.value if isinstance(given.value, list) else []
    found = [pool if isinstance(pool, dict) else {} for pool in pools]
    if not found or not found[0]:
        draft.note(given, "worker_pool_specs", "exist only while the script runs: give --hosts, "
                   "--machine-type and --image")  # fmt: skip
        return
    counts = [pool.get("replica_count", 1) if pool else 0 for pool in found]
    if all(isinstance(count, int) for count in counts):
        counts += [0] * (4 - len(counts))
        for option, count in (
            ("hosts", counts[0] + counts[1]),
            ("parameter_servers", counts[2]),
            ("evaluators", counts[3]),
        ):
            if count > (option == "hosts"):
                draft.set(option, count)
    else:
        draft.note(given, "replica_count", "exists only while the script runs: give --hosts")
    chief = found[0]
    container = chief.get("container_spec") or {}
    env = [each for each in container.get("env") or () if isinstance(each, dict)]
    parts = {
        **(chief.get("machine_spec") or {}), **(chief.get("disk_spec") or {}),
        "container_uri": container.get("image_uri"), "args": container.get("args"),
        "environment_variables": {e.get("name"): e.get("value") for e in env} or None,
        "command": container.get("command"),
        "python_package_spec": chief.get("python_package_spec"),
    }  # fmt: skip
    for name, value in parts.items():
        _add(draft, name, Given(value=value, source=repr(value)[:80], line=given.line))


def _flags(draft: Draft, words: Sequence[Any], given: Given) -> list[Flag]:
    """Return the arguments of a container as flags."""
    found: list[Flag] = []
    for word in words:
        first, *rest = parts_of(word) if is_text(word) else (word,)
        if isinstance(first, str) and first.startswith("--"):
            name, equals, value = first.partition("=")
            values = (simplified([value, *rest]),) if equals else ()
            found.append(Flag(name=name, values=values))
        elif isinstance(word, (str, int, float, Text, Unknown)) and found:
            last = found.pop()
            found.append(Flag(name=last.name, values=(*last.values, word)))
        else:
            draft.note(given, "args", "has a word that is no flag: add it behind -- yourself")
    return found
