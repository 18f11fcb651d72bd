"""Google's AI Platform Training (legacy) and Vertex AI custom jobs.

Contracts: "Environment variables for special Cloud Storage directories", "Understand the custom
training service" and "Cloud Storage as a mounted file system" in the Vertex AI documentation; the
`--job-dir` argument in that of AI Platform.
"""

from __future__ import annotations

from trainer.errors import UserError
from trainer.hypertune import DEFAULT_FILE, DEFAULT_TAG, Trial
from trainer.platforms.base import Reading, Seen
from trainer.platforms.cluster_spec import read_cluster

NAME = "ai-platform"
NAMES: dict[str, str] = {
    "AIP_TRAINING_DATA_URI": "train",
    "AIP_TEST_DATA_URI": "test",
    "AIP_VALIDATION_DATA_URI": "test",
    "AIP_MODEL_DIR": "model_dir",
    "AIP_CHECKPOINT_DIR": "checkpoint_dir",
    "AIP_TENSORBOARD_LOG_DIR": "log_dir",
    "CLUSTER_SPEC": "cluster",
    "TF_CONFIG": "cluster",
    "CLOUD_ML_TRIAL_ID": "trial",
    "CLOUD_ML_HP_METRIC_TAG": "trial",
    "CLOUD_ML_HP_METRIC_FILE": "trial",
}
# There even where nothing else is.
ALWAYS = ("CLOUD_ML_PROJECT_ID", "CLOUD_ML_JOB_ID")


def detect(seen: Seen) -> str | None:
    """The first of the platform's variables that is set, or `--job-dir`."""
    for name in (*NAMES, *ALWAYS):
        if seen.env.get(name):
            return f"{name} is set"
    for argument in seen.argv:
        if argument.partition("=")[0].replace("_", "-") == "--job-dir":
            return f"{argument.partition('=')[0]} is among the arguments"
    return None


def read(seen: Seen) -> Reading:
    """Read the AIP_, CLOUD_ML_, CLUSTER_SPEC and TF_CONFIG variables.

    Raises:
        UserError: One of them is not as documented.
    """
    cluster, trial = read_cluster(seen)
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for name, field in NAMES.items():
        value = seen.env.get(name)
        if not value or field in ("cluster", "trial") or field in values:
            continue
        place = mounted(value, seen)
        values[field] = (place,) if field in ("train", "test") else place
        sources[field] = name
    if "model_dir" in values:
        # Models are registered from this folder itself; versions are the registry's.
        values["layout"], sources["layout"] = "flat", "AIP_MODEL_DIR"
        base = str(values["model_dir"]).rstrip("/").removesuffix("/model")
        values["output_dir"], sources["output_dir"] = base, "AIP_MODEL_DIR"
    return Reading(
        values=values,
        sources=sources,
        cluster=cluster,
        trial=_trial(seen, trial),
        # Success is the primary's exit code 0: a preempted run must not look like one.
        stopped_code=128 + 15,
        # No grace is documented for training; Compute Engine gives a preempted machine 30 s.
        grace=25.0,
    )


def check_format(seen: Seen, *, own_module: bool) -> None:
    """Raise if a managed data set has a format that only a user's own module can read.

    Call it where no other training data was named.
    """
    form = seen.env.get("AIP_DATA_FORMAT")
    if form in ("jsonl", "csv", "bigquery") and not own_module:
        raise UserError(
            f"AIP_DATA_FORMAT={form}: the MNIST models read TFRecord, IDX or npy files; "
            "name them with --train and --test, or read this format in a --module of your own"
        )


def mounted(path: str, seen: Seen) -> str:
    """`gs://bucket/x` as `/gcs/bucket/x` where Vertex has mounted that bucket."""
    if path.startswith("gs://"):
        local = "/gcs/" + path.removeprefix("gs://")
        bucket = "/".join(local.split("/")[:3])
        if seen.path(bucket).is_dir():
            return str(seen.path(local))
    return path


def _trial(seen: Seen, number: str | None) -> Trial | None:
    number = seen.env.get("CLOUD_ML_TRIAL_ID") or number
    if not number:
        return None
    return Trial(
        number=number,
        tag=seen.env.get("CLOUD_ML_HP_METRIC_TAG") or DEFAULT_TAG,
        file=seen.env.get("CLOUD_ML_HP_METRIC_FILE") or DEFAULT_FILE,
    )
