"""Google's AI Platform Training (legacy) and Vertex AI custom jobs.

Contracts: "Environment variables for special Cloud Storage directories", "Understand the custom
training service" and "Cloud Storage as a mounted file system" in the Vertex AI documentation; the
`--job-dir` argument in that of AI Platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.config import DEFAULT_FILE, DEFAULT_TAG, Job, Trial, UserError
from trainer.platforms.base import Environment, Platform, PlatformSettings
from trainer.platforms.google.cluster_spec import read_cluster

VARIABLES: dict[str, str] = {
    "AIP_TRAINING_DATA_URI": "train",
    "AIP_TEST_DATA_URI": "test",
    "AIP_VALIDATION_DATA_URI": "validation",
    "AIP_DATA_FORMAT": "train",
    "AIP_MODEL_DIR": "model_dir",
    "AIP_CHECKPOINT_DIR": "checkpoint_dir",
    "AIP_TENSORBOARD_LOG_DIR": "log_dir",
    "CLUSTER_SPEC": "cluster",
    "TF_CONFIG": "cluster",
    "CLOUD_ML_TRIAL_ID": "trial",
    "CLOUD_ML_HP_METRIC_TAG": "trial",
    "CLOUD_ML_HP_METRIC_FILE": "trial",
    # Set even where no other variable is.
    "CLOUD_ML_PROJECT_ID": "log_format",
    "CLOUD_ML_JOB_ID": "log_format",
}
# Only Google's own services set them.
SERVICE = ("CLOUD_ML_PROJECT_ID", "CLOUD_ML_JOB_ID")
FOLDERS = ("job_dir", "model_dir", "checkpoint_dir", "log_dir", "output_dir")
PATHS = ("train", "test", "validation", "input", "module", "classes", *FOLDERS)
MANAGED = ("jsonl", "csv", "bigquery")


def detect(environment: Environment) -> str | None:
    """Return the first variable of the platform that is set, or a `--job-dir` in Cloud Storage."""
    for name in VARIABLES:
        if environment.env.get(name):
            return f"{name} is set"
    for argument, following in zip(environment.argv, [*environment.argv[1:], ""], strict=False):
        name, equals, value = argument.partition("=")
        folder = value if equals else following
        # A folder elsewhere may belong to a plain machine.
        if name.replace("_", "-") == "--job-dir" and folder.startswith("gs://"):
            return f"{name} is a folder of Cloud Storage"
    return None


def read(environment: Environment) -> PlatformSettings:
    """Read the AIP_, CLOUD_ML_, CLUSTER_SPEC and TF_CONFIG variables.

    Raises:
        UserError: One of them is not as documented.
    """
    cluster, trial = read_cluster(environment)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, field in VARIABLES.items():
        value = environment.env.get(name)
        if value and field in PATHS and field not in values and name != "AIP_DATA_FORMAT":
            values[field], sources[field] = value.rstrip("/"), name
    service = next((name for name in SERVICE if environment.env.get(name)), None)
    if service:
        # Cloud Logging keeps the lines of all processes.
        values["log_format"], sources["log_format"] = "json", service
    return PlatformSettings(
        environment=environment,
        values=values,
        sources=sources,
        cluster=cluster,
        trial=_trial(environment, trial),
        # With exit code 0 of the chief, a preempted run would count as completed.
        stopped_code=128 + 15,
        # No grace is documented for training; Compute Engine gives a preempted machine 30 s.
        grace=25.0,
        reducers=bool(service or environment.env.get("CLUSTER_SPEC")),
        # Google's own services start each replica when its machine is up, and list no evaluator in
        # TF_CONFIG; other systems that set the variable can list all.
        late_evaluators=bool(service),
    )


def finalize(
    settings: PlatformSettings, values: dict[str, Any], sources: dict[str, str]
) -> tuple[str, ...]:
    """Refuse data that only a user's own module can read, and replace addresses by mounts.

    Returns:
        Lines for the log: which of the platform's variables the job does not use.

    Raises:
        UserError: The managed data set is read, but has no format that the models know.
    """
    if sources.get("validation") in VARIABLES and sources.get("train") not in VARIABLES:
        # It is that of another data set than the one that is trained on.
        del values["validation"], sources["validation"]
    if values.get("module", Job.module) == Job.module:
        _check_format(settings.environment, values, sources)
    if sources.get("model_dir") == "AIP_MODEL_DIR":
        # Vertex AI registers the model from this folder itself, and numbers the versions.
        base, _, last = values["model_dir"].rpartition("/")
        for name, value in (("layout", "flat"), ("output_dir", base if last == "model" else None)):
            if value and name not in values:
                values[name], sources[name] = value, "AIP_MODEL_DIR"
    for name in PATHS:
        value = values.get(name)
        if value:
            many = isinstance(value, tuple)
            local = tuple(
                _mounted(path, settings.environment) for path in (value if many else (value,))
            )
            values[name] = local if many else local[0]
    return _not_used(settings.environment, values, sources)


def _not_used(
    environment: Environment, values: Mapping[str, Any], sources: Mapping[str, str]
) -> tuple[str, ...]:
    """Name the variables for data, folders and services that the job does not use."""
    lines = []
    for name, value in sorted(environment.env.items()):
        field = VARIABLES.get(name)
        if value and field is None and name.startswith("CLOUD_ML_"):
            # Without its value, as some hold the whole job.
            lines.append(f"{name}: not used")
        if not value or not name.startswith("AIP_") or name == "AIP_DATA_FORMAT":
            continue
        if field is None:
            lines.append(f"{name}={value}: not used")
        elif sources.get(field) != name:
            by = sources.get(field, "")
            lines.append(f"{name}={value}: not used, as {by or 'something else'} is there")
    return tuple(lines)


def _check_format(
    environment: Environment, values: dict[str, Any], sources: dict[str, str]
) -> None:
    form = environment.env.get("AIP_DATA_FORMAT", "")
    for name in ("train", "validation", "test"):
        source = sources.get(name, "")
        uri = next(iter(values.get(name) or ()), "")
        if VARIABLES.get(source) == name and (form in MANAGED or uri.startswith("bq://")):
            raise UserError(
                subject=f"AIP_DATA_FORMAT={form or 'bigquery'}",
                problem=f"expected {source} to be TFRecord, IDX or npy files",
                remedy="name such with --train and --test, or read this format in a --module "
                "of your own",
            )


def _mounted(path: str, environment: Environment) -> str:
    """Return `gs://bucket/x` as `/gcs/bucket/x` if Vertex AI has mounted that bucket."""
    bucket, _, rest = path.removeprefix("gs://").partition("/")
    mount = environment.path(f"/gcs/{bucket}")
    if path.startswith("gs://") and bucket and mount.is_dir():
        return str(mount / rest.lstrip("/"))
    return path


def _trial(environment: Environment, number: str | None) -> Trial | None:
    file = environment.env.get("CLOUD_ML_HP_METRIC_FILE")
    # A service that names a file waits for it; without a number cloudml-hypertune writes `0`.
    number = environment.env.get("CLOUD_ML_TRIAL_ID") or number or ("0" if file else None)
    if number is None:
        return None
    tag = environment.env.get("CLOUD_ML_HP_METRIC_TAG") or DEFAULT_TAG
    return Trial(number=number, tag=tag, file=file or DEFAULT_FILE)


PLATFORM = Platform(
    name="ai-platform",
    detect=detect,
    read=read,
    finalize=finalize,
    variables=VARIABLES,
    prefixes=("AIP_", "CLOUD_ML_", "CLUSTER_SPEC", "TF_CONFIG"),
    serving_switch=("AIP_MODE", "PREDICTION"),
    # TF_CONFIG lists no evaluator even where the job has one.
    lists_evaluators=False,
    starts_unlisted_evaluators=True,
)
