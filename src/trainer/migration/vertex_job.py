"""A job of Google's SDK (`google.cloud.aiplatform`) as a command of `trainer submit`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trainer.backends import SubmitOptions
from trainer.config import options_of
from trainer.migration.commands import Flag
from trainer.migration.draft import Draft
from trainer.migration.estimator import add_argument, image_at
from trainer.migration.keywords import BRINGS
from trainer.migration.search import add_search
from trainer.migration.submitting import OTHERS, Reading, set_name
from trainer.migration.values import Given, Made, Text, Unknown, Use, is_text
from trainer.migration.vertex_pools import add_program, pool_arguments

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
    "replica_count": "hosts", "server_machine_type": "server_machine_type",
    "parameter_servers": "parameter_servers", "evaluators": "evaluators",
    "reserved_ip_ranges": "reserved_ip_ranges", "network_attachment": "network_attachment",
}  # fmt: skip
_QUIET = ("sync", "create_request_timeout", "display_name", "base_output_dir", "script_path",
          "python_module_name", "python_package_gcs_uri", "enable_dashboard_access")  # fmt: skip
_SERVES = "leave it out: trainer deploy serves the model with the same image"
_REGISTRY = "leave it out: trainer deploy names the model in the registry"
_DATASET = "give the addresses of its files by --train, --validation and --test behind --"
# Arguments without a flag, by the beginning of their names, and what the user does instead.
_REMEDIES: Mapping[str, str] = {
    "model_serving_container": _SERVES,
    "model_": _REGISTRY,
    "is_default_version": _REGISTRY,
    "parent_model": _REGISTRY,
    "requirements": "build an image with these packages: docs/image.md",
    "dataset": _DATASET,
    "training_f": _DATASET,
    "validation_f": _DATASET,
    "test_f": _DATASET,
    "annotation_schema_uri": _DATASET,
    "bigquery_destination": _DATASET,
    "predefined_split": _DATASET,
    "timestamp_split": _DATASET,
    "runtime_version": f"{BRINGS} TensorFlow",
    "python_version": f"{BRINGS} Python",
    "scale_tier": "choose --hosts, --machine-type and, with --distribution parameter_server, "
    "--parameter-servers: docs/ai-platform.md",
    "packages": "build an image with these packages: docs/image.md",
    "enable_autolog": "leave it out: with --experiment the trainer logs its figures itself",
    "credentials": "leave it out: trainer submit finds those of gcloud by itself",
    "config": "is no file that is read here: give what it says as flags",
}
# The names that a custom job has for these arguments of an estimator.
_ORIGINALS = {"image_uri": "container_uri", "entry_point": "script_path"}
_OTHERS = re.compile("sklearn|scikit|xgboost|xgb|pytorch|torch")
_STRATEGIES = {"SPOT": "spot", "FLEX_START": "flex-start"}


def vertex_draft(reading: Reading, made: Made, *, tuner: Made | None = None) -> Draft:
    """Return the command for a job, with the search of a tuning job if one uses it."""
    followed = reading.followed
    draft = Draft(target=reading.target, line=made.line)
    given: dict[str, Given] = {}
    for other in followed.made:
        given |= other.given if other.kind == "init" else {}
    given |= made.given
    starts = followed.uses_of(tuner or made, "run", "submit")
    for use in starts:
        given |= use.given
    name = (tuner or made).value("display_name")
    if is_text(name):
        set_name(draft, name)
    _add_output(draft, given.get("base_output_dir"), name)
    given |= pool_arguments(draft, given.pop("worker_pool_specs", None))
    for keyword, each in given.items():
        _add(draft, keyword, each)
    add_program(draft, reading, given)
    _add_place_for_results(draft)
    if "image" not in draft.flags:
        draft.set("image", image_at(draft.target.place))
    if any(use.method == "run" and _is_waited_for(use) for use in starts):
        draft.set("wait")
    if tuner is not None:
        add_search(draft, tuner)
    draft.rename(_ORIGINALS)
    return draft


def _add(draft: Draft, keyword: str, given: Given) -> None:
    value = given.value
    if value in (None, 0, "ACCELERATOR_TYPE_UNSPECIFIED") or keyword in _QUIET:
        return
    if keyword == "scheduling_strategy":
        _add_strategy(draft, given)
    elif keyword == "container_uri":
        add_argument(draft, "image_uri", given)
        if isinstance(value, str) and _OTHERS.search(value):
            draft.note(given, keyword, OTHERS)
    elif keyword in ("args", "command") and isinstance(value, list):
        # They are read together, as `add_program` does.
        return
    elif keyword in ("labels", "environment_variables") and isinstance(value, dict):
        option = "tags" if keyword == "labels" else "env"
        draft.set_pairs(option, {str(n): v for n, v in value.items()}, given.line)
    elif keyword in OPTIONS:
        _add_option(draft, OPTIONS[keyword], keyword, given)
    else:
        remedy = next((text for name, text in _REMEDIES.items() if keyword.startswith(name)), "")
        draft.note(given, keyword, remedy or "no flag of trainer submit does that")


def _add_place_for_results(draft: Draft) -> None:
    """Name a bucket where the script names none, as the machines' disks are lost."""
    named = any(name in draft.flags for name in ("output", "staging_bucket"))
    named = named or any(flag.name == "--job-dir" for flag in draft.raw)
    if draft.target.place == "vertex" and not named:
        draft.set("output", draft.target.url("s3://bucket/runs"))


def _is_waited_for(use: Use) -> bool:
    sync = use.given.get("sync")
    return sync is None or sync.value in (None, True)


def _add_option(draft: Draft, option: str, keyword: str, given: Given) -> None:
    value = given.value
    if option == "staging_bucket" and isinstance(value, str) and "://" not in value:
        value = f"gs://{value}"
    common = option in options_of(SubmitOptions)
    if not common and draft.target.place != "vertex":
        draft.note(given, keyword, "is a setting of Vertex AI: choose that of the new place")
    elif isinstance(value, bool):
        flag = option.replace("_", "-")
        draft.flags[option] = Flag(name=f"--{flag}" if value else f"--no-{flag}")
    elif isinstance(value, (str, int, float, Text, Unknown)):
        draft.set(option, value)
    elif isinstance(value, list) and value and all(is_text(each) for each in value):
        draft.set(option, *value)
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
    word = given.value if isinstance(given.value, str) else given.source.rpartition(".")[2]
    if word == "SPOT":
        draft.set("spot")
    elif word == "FLEX_START" and draft.target.place == "vertex":
        draft.set("strategy", _STRATEGIES[word])
    elif word != "STANDARD":
        draft.note(given, "scheduling_strategy", "use --spot or --strategy")
