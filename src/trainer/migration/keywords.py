"""The arguments of SageMaker's estimators, by the options of `trainer submit` that they become.

The names are those of version 2 of the SageMaker Python SDK, with those of version 1 beside them,
as `sagemaker-upgrade-v2` renames them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BRINGS = "leave it out: the image brings its own"
ITSELF = "leave it out: the trainer does that itself"


@dataclass(frozen=True, kw_only=True)
class Keyword:
    """An argument that becomes a flag, or has none.

    Attributes:
        name: Its name.
        old: Its names in version 1 of the SDK.
        option: The field of the flag, among those of all places or of the place; None for none.
        vertex: The field of Vertex AI's flag where that has another name.
        url: True for an address, which may lie elsewhere at another place.
        remedy: What to do where no flag does it.
        quiet: True if nothing is lost without it.
    """

    name: str
    old: tuple[str, ...] = ()
    option: str | None = None
    vertex: str | None = None
    url: bool = False
    remedy: str = "no flag does that; see docs/submit-sagemaker.md"
    quiet: bool = False


CARRIED = (
    Keyword(name="instance_count", old=("train_instance_count",), option="hosts"),
    Keyword(name="max_run", old=("train_max_run",), option="max_time"),
    Keyword(name="use_spot_instances", old=("train_use_spot_instances",), option="spot"),
    Keyword(
        name="max_wait", old=("train_max_wait",), option="max_wait",
        remedy="only SageMaker waits for spot machines for a time that you set",
    ),
    Keyword(
        name="volume_size", old=("train_volume_size",), option="volume_size",
        vertex="boot_disk_gb", remedy="the place has no disks whose size you choose",
    ),
    Keyword(
        name="volume_kms_key", old=("train_volume_kms_key",), option="volume_kms_key",
        remedy="choose a key of the new place: --kms-key on Vertex AI",
    ),
    Keyword(
        name="output_kms_key", option="output_kms_key",
        remedy="set a key on the bucket of --output",
    ),
    Keyword(name="output_path", option="output", url=True),
    Keyword(
        name="role", option="role",
        remedy="choose an account of the new place, where jobs have one: --service-account",
    ),
    Keyword(
        name="subnets", option="subnets", remedy="choose the new place's network: --network",
    ),
    Keyword(
        name="security_group_ids", option="security_groups",
        remedy="firewall rules of the new place's network do that",
    ),
    Keyword(
        name="encrypt_inter_container_traffic", option="encrypt_traffic",
        remedy="only SageMaker encrypts between hosts by a switch",
    ),
    Keyword(
        name="enable_network_isolation", option="network_isolation",
        remedy="only SageMaker cuts a job off by a switch",
    ),
    Keyword(
        name="keep_alive_period_in_seconds", option="keep_alive",
        remedy="on Vertex AI a persistent resource keeps machines: --persistent-resource",
    ),
    Keyword(
        name="max_retry_attempts", option="attempts",
        remedy="Vertex AI and Kubernetes try again by themselves",
    ),
    Keyword(
        name="input_mode", option="input_mode",
        remedy="gs:// data is read during the training, which is what FastFile does",
    ),
)  # fmt: skip

LEFT_OUT = (
    Keyword(name="py_version", remedy=f"{BRINGS} Python"),
    Keyword(name="framework_version", remedy=f"{BRINGS} TensorFlow"),
    Keyword(name="script_mode", quiet=True),
    Keyword(name="local_container_root", quiet=True),
    Keyword(name="debugger_hook_config", remedy="the image has no smdebug; see docs/debugging.md"),
    Keyword(name="rules", remedy="the image has no smdebug; see docs/debugging.md"),
    Keyword(name="profiler_config", remedy="use --profile FIRST:LAST behind --"),
    Keyword(name="disable_profiler", quiet=True),
    Keyword(name="enable_sagemaker_metrics", quiet=True),
    Keyword(name="checkpoint_local_path", remedy="leave it out: the trainer chooses the folder"),
    Keyword(
        name="dependencies",
        remedy="leave it out: --module brings what the module imports from beside it",
    ),
    Keyword(name="requirements_file", remedy="build an image with these packages: docs/image.md"),
    Keyword(name="git_config", remedy="clone the repository, and name the file by --module"),
    Keyword(name="code_location", remedy="leave it out: code is uploaded below --output"),
    Keyword(
        name="evaluation_steps",
        remedy="leave it out: an evaluation reads all of --test, as often as --eval-every says",
    ),
    Keyword(name="model_uri", remedy="use --import --input URL behind --, or --checkpoint-dir URL"),
    Keyword(name="model_channel_name", remedy="leave it out"),
    Keyword(name="compiler_config", remedy="leave it out: XLA compiles the step already"),
    Keyword(name="metric_definitions", remedy=f"{ITSELF}, for the figures of its own lines"),
    Keyword(
        name="disable_output_compression",
        remedy="leave it out: trainer jobs fetch unpacks the model",
    ),
    Keyword(name="enable_infra_check", quiet=True),
    Keyword(name="enable_session_tag_chaining", quiet=True),
    Keyword(name="enable_remote_debug", remedy="see docs/debugging.md for what a job prints"),
    Keyword(name="training_plan", remedy="no flag reserves machines on SageMaker"),
    Keyword(name="instance_placement_config", remedy="no flag places instances"),
    Keyword(
        name="training_repository_credentials_provider_arn",
        remedy="pull the image into ECR first: make push-aws",
    ),
    Keyword(name="container_entry_point", remedy=BRINGS),
    Keyword(name="container_arguments", remedy="give the flags of trainer train behind --"),
    Keyword(
        name="training_repository_access_mode",
        remedy="pull the image into ECR first: make push-aws",
    ),
)

KEYWORDS: Mapping[str, Keyword] = {each.name: each for each in (*CARRIED, *LEFT_OUT)}
# Names of version 1 of the SDK, and of both versions what is the same thing.
RENAMED: Mapping[str, str] = {
    **{old: each.name for each in (*CARRIED, *LEFT_OUT) for old in each.old},
    "train_instance_type": "instance_type",
    "distributions": "distribution",
    "image_name": "image_uri",
    "image": "image_uri",
    "training_image": "image_uri",
    "train_volume_size_in_gb": "volume_size",
}
