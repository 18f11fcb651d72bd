"""Settings that must be the same on all hosts of a job, as each host sends them to the others.

Every field of `Job` and `Hparams` is in one of the lists below; a test sees to that. What a
host states is text for people, and digests to compare: a secret is neither sent nor printed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from trainer import __version__
from trainer.config import Job, UserError, flag_of, options_of
from trainer.distribution import StrategySpec, spec_of, strategy_packages
from trainer.launch import network, plan
from trainer.launch.host_settings import (
    HostSettings,
    StatedValue,
    described,
    masked_value,
    public_value,
)
from trainer.launch.plan import Member
from trainer.models import has_own_reader, recipes, source_files
from trainer.runtime import installed_version, output, precision

if TYPE_CHECKING:
    from trainer.config import Split

# Fields that all hosts must have alike: every process runs the same loop. A process that steps,
# reads, evaluates or saves at another time than the others makes them wait for ever, or learns
# something else.
ALIKE = (
    # The model and how it learns.
    *("model", "dropout", "batch_size", "optimizer", "learning_rate", "schedule", "warmup"),
    *("momentum", "beta_1", "beta_2", "epsilon", "weight_decay", "label_smoothing", "seed"),
    # The length of the training, and the steps at which the processes meet.
    *("steps", "epochs", "target_accuracy", "eval_every", "checkpoint_every", "log_every"),
    *("early_stop", "metric", "steps_per_call", "keep", "restarts", "profile"),
    # The order of examples: data that is kept in memory is read in another order.
    *("cache_mb", "skip_corrupt", "eval_batch_size", "shard_by", "validation_split"),
    # What is read of the data.
    *("image_size", "pixel_range", "feature", "classes"),
    # The division of the work among the processes.
    *("distribution", "scaling", "scaling_epochs", "compression", "autotune", "deterministic"),
    "import_model",
)
# Fields that are compared by their content, as hosts may use other names for the same.
BY_CONTENT = ("module", "hp", "train", "validation", "test", "precision", "cluster", "gpus")
# Fields that only the chief's host acts upon, or that are each host's own.
PER_HOST = (
    # Folders and files: other disks, other mounts. Vertex AI's variables make a layout.
    *("input", "job_dir", "model_dir", "output_dir", "checkpoint_dir", "log_dir", "layout"),
    "report",
    *("timeline", "autotune_log", "failure_file"),
    *("mlflow_uri", "mlflow_experiment", "mlflow_run"),
    # The machine: a larger one may start more processes.
    *("threads", "processes_per_host", "verbosity", "log_format", "device"),
    "gpu_expected",
    # The platform, and what it makes of signals and failures.
    *("platform", "launched", "trial", "stopped_code", "grace", "late_evaluators"),
    # Hosts with different ports never meet. The coordinator refuses hosts with another secret,
    # which is never stated.
    *("port", "start_timeout", "secret"),
)
# Fields that the data tells once processes read it, which then compare them.
FROM_DATA = ("input_shape", "classes")
# A field that consists of other fields.
GROUPS = ("hparams",)

HP = "--hp "
VERSIONS = ("trainer", "TensorFlow", "Keras", *strategy_packages(), "Python")
TRAINING_HOSTS, PARAMETER_SERVERS, PORTS = "training_hosts", "parameter_servers", "ports"
GPUS_PER_PROCESS = "gpus_per_process"
CLUSTER = (TRAINING_HOSTS, PARAMETER_SERVERS, PORTS)
DATA = ("--train", "--validation", "--test")
# The words by which people read of settings that no flag sets.
LABELS = {
    TRAINING_HOSTS: "hosts that train",
    PARAMETER_SERVERS: "parameter servers",
    PORTS: "ports of the hosts",
    GPUS_PER_PROCESS: "GPUs for each process",
}


def settings_of(job: Job, member: Member, *, name: str, env: Mapping[str, str]) -> HostSettings:
    """Return what this host states of the job.

    Args:
        job: The job, as this host sees it.
        member: This host's place among the members.
        name: The name of this host.
        env: The environment of its processes.
    """
    host = f"{name} ({member.task})"
    if plan.is_single_host(job):
        return HostSettings(host=host)
    values = versions(spec_of(job))
    values[TRAINING_HOSTS] = public_value(len(plan.training_hosts(job)))
    values[PARAMETER_SERVERS] = public_value(len(job.cluster.ps))
    values[PORTS] = _ports(job)
    # The default precision is compared apart, as hosts may have other devices.
    values |= compared_flags(recipes.complete(job, precision=job.hparams.precision or "float32"))
    values[GPUS_PER_PROCESS] = _gpus(job)
    values["--precision"] = None
    if job.hparams.precision and member.role != "evaluator":
        values["--precision"] = public_value(job.hparams.precision)
    problem = None
    try:
        values |= _data(job, member)
    except (UserError, OSError, ValueError) as error:
        problem = output.clean(str(error))
        values |= dict.fromkeys(DATA)
    own = job.hparams.precision or member.role in ("ps", "evaluator")
    if member.role == "ps":
        # A parameter server only holds variables: what they are for is the chief's business.
        kept = ("--distribution", *CLUSTER, *VERSIONS)
        values = {key: value if key in kept else None for key, value in values.items()}
    return HostSettings(
        host=host,
        values=values,
        precision=None if own else _default_precision(job, member, env),
        problem=problem,
    )


def compared_flags(job: Job) -> dict[str, StatedValue]:
    """Return the flags of a complete job that all hosts must have alike, and its module."""
    values: dict[str, StatedValue] = {}
    for each in ALIKE:
        held = job if each in options_of(Job) else job.hparams
        values[flag_of(each)] = masked_value(flag_of(each), getattr(held, each))
    values["--module"] = _module(job)
    for key, value in job.hparams.hp:
        values[HP + key] = masked_value(HP + key, value)
    return values


def versions(strategy: StrategySpec) -> dict[str, StatedValue | None]:
    """Return the versions of the packages that must be alike on all hosts."""
    found: dict[str, str | None] = {
        "trainer": __version__,
        "TensorFlow": installed_version("tensorflow", "tensorflow-cpu"),
        "Keras": installed_version("keras"),
        "Python": ".".join(platform.python_version_tuple()[:2]),
    }
    stated: dict[str, StatedValue | None] = {
        name: public_value(number) for name, number in found.items()
    }
    for name in strategy_packages():
        stated[name] = public_value(installed_version(name)) if name in strategy.packages else None
    return stated


def _ports(job: Job) -> StatedValue | None:
    """Return the ports of TensorFlow's servers; the hosts' names may differ from list to list."""
    if not spec_of(job).has_tf_servers:
        return None
    found = [(each.task, str(network.split_address(each.address)[1])) for each in plan.members(job)]
    parts = [(task, port) for task, port in found if not task.startswith("evaluator")]
    return described(" ".join(port for _, port in parts), parts=parts)


def _gpus(job: Job) -> StatedValue | None:
    """Return the GPUs of a process: processes that sum gradients need the same kind of device."""
    count = spec_of(job).gpus_per_process(job, plan.training_processes(job))
    return None if count is None else public_value(count)


def _module(job: Job) -> StatedValue:
    if job.module == Job.module:
        return public_value(job.module)
    parts = []
    for name, file in source_files(job.module).items():
        try:
            parts.append((name, hashlib.sha256(file.read_bytes()).hexdigest()[:16]))
        except OSError as error:
            parts.append((name, str(error.strerror)))
    found = f"{len(parts)} source file{'s'[: len(parts) != 1]}" if parts else "not found"
    return described(f"{job.module} ({found})", parts=parts)


def _data(job: Job, member: Member) -> Iterator[tuple[str, StatedValue | None]]:
    """Yield the data that this host reads, and None for data that only others read.

    Raises:
        UserError: There is no such data.
    """
    served = spec_of(job).coordinated
    first = member.id == plan.members(job)[0].id
    trains = member.role in ("chief", "worker")
    # Where each host has a share of the data, each has different files.
    yield "--train", _files(job, "train") if trains and job.shard_by != "host" else None
    tests = first or member.role == "evaluator" or (trains and not served)
    evaluated: tuple[Split, ...] = ("validation", "test")
    for split in evaluated:
        yield flag_of(split), _files(job, split) if tests and job.shard_by != "host" else None


def _files(job: Job, split: Split) -> StatedValue:
    """Return the fingerprint of a split's files.

    Raises:
        UserError: There are none.
    """
    # Imported late: it imports NumPy, which only a job on several hosts needs here.
    from trainer.data import fingerprint_of, selection
    from trainer.storage import is_remote, local_path

    def here(split: Split, paths: Sequence[str]) -> tuple[str, ...]:
        return tuple(p if is_remote(p) else local_path(p, flag=flag_of(split)) for p in paths)

    job = dataclasses.replace(
        job,
        train=here("train", job.train),
        validation=here("validation", job.validation),
        test=here("test", job.test),
    )
    if split == "validation" and job.validation_split is not None:
        return public_value("held out of --train")
    own = has_own_reader(job)
    paths: Sequence[str] | None = job.train
    if split == "validation" and not job.validation and any(map(is_remote, job.train)):
        # Among what `--train` names, if anywhere.
        return public_value("no data")
    # Data in a store is searched for the split once it has been copied here.
    if split != "train" and (getattr(job, split) or not any(map(is_remote, job.train))):
        paths = selection.paths_of(job, split, own_reader=own)
    if paths is None:
        return public_value("no data")
    found = fingerprint_of(paths, split=split, flag=flag_of(split), own_reader=own)
    if spec_of(job).coordinated and split == "train" and paths:
        # Workers open the files that the chief names.
        text = f"{found.text} at {' '.join(paths)}"
        return described(text, parts=found.entries, more=paths)
    return described(found.text, parts=found.entries)


def _default_precision(job: Job, member: Member, env: Mapping[str, str]) -> str | None:
    # The chief that coordinates parameter servers and workers gets no GPU.
    first = member.id == plan.members(job)[0].id
    gpus = 0 if spec_of(job).coordinated and first else job.gpus
    return precision.of_host(gpus=gpus, env=env)
