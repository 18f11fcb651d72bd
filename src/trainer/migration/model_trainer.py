"""The arguments of version 3's `ModelTrainer`, under the names that an `Estimator` has for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from trainer.migration.followed import Followed
from trainer.migration.values import Given, Made

# The arguments whose values are objects, with the members of these.
MEMBERS: Mapping[str, Mapping[str, str]] = {
    "compute": {
        "instance_type": "instance_type", "instance_count": "instance_count",
        "volume_size_in_gb": "volume_size", "volume_kms_key_id": "volume_kms_key",
        "keep_alive_period_in_seconds": "keep_alive_period_in_seconds",
        "training_plan_arn": "training_plan",
        "instance_placement_config": "instance_placement_config",
        "enable_managed_spot_training": "use_spot_instances", "instance_groups": "instance_groups",
    },
    "networking": {
        "subnets": "subnets", "security_group_ids": "security_group_ids",
        "enable_network_isolation": "enable_network_isolation",
        "enable_inter_container_traffic_encryption": "encrypt_inter_container_traffic",
    },
    "stopping_condition": {
        "max_runtime_in_seconds": "max_run", "max_wait_time_in_seconds": "max_wait",
    },
    "output_data_config": {"s3_output_path": "output_path", "kms_key_id": "output_kms_key",
                           "compression_type": "disable_output_compression"},
    "checkpoint_config": {"s3_uri": "checkpoint_s3_uri", "local_path": "checkpoint_local_path"},
    "source_code": {
        "source_dir": "source_dir", "entry_script": "entry_point",
        "requirements": "requirements_file", "command": "container_arguments",
        "ignore_patterns": "script_mode", "args": "container_arguments",
    },
    "retry_strategy": {"maximum_retry_attempts": "max_retry_attempts"},
}  # fmt: skip
RENAMED = {"training_image": "image_uri", "training_input_mode": "input_mode"}
_METHODS = (
    "with_metric_definitions", "with_tensorboard_output_config", "with_retry_strategy",
    "with_checkpoint_config", "with_infra_check_config", "with_session_chaining_config",
    "with_remote_debug_config",
)  # fmt: skip


def flattened(followed: Followed, made: Made) -> dict[str, Given]:
    """Return the arguments of an estimator or a `ModelTrainer` under the estimator's names."""
    if made.kind != "ModelTrainer":
        return dict(made.given)
    found: dict[str, Given] = {}
    given = dict(made.given)
    for use in followed.uses_of(made, *_METHODS):
        given |= use.given
    for name, each in given.items():
        if name == "input_data_config":
            found[name] = each
        elif name in MEMBERS and isinstance(each.value, Made):
            found |= _members(name, each.value)
        elif name == "distributed" and isinstance(each.value, Made):
            # `MPI(process_count_per_node=8)`
            count = each.value.value("process_count_per_node")
            more = each.value.value("mpi_additional_options")
            how = {"mpi": {"enabled": True, **({"processes_per_host": count} if count else {}),
                           "custom_mpi_options": more}}  # fmt: skip
            value = how if each.value.kind == "MPI" else {each.value.kind: {"enabled": True}}
            found["distribution"] = dataclasses.replace(each, value=value)
        else:
            found[RENAMED.get(name, name)] = each
    return found


def _members(name: str, made: Made) -> dict[str, Given]:
    names = MEMBERS[name]
    return {names.get(member, f"{name} {member}"): each for member, each in made.given.items()}
