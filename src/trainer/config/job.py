"""What a run is told, whatever platform tells it: the one thing that every other part reads.

Each field is also a flag of `trainer train`, with the same name, default, range and help text:
`flags.py` builds the command line from here, so that there is one list of knobs, this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.hparams import MODEL, TRAINING, Hparams
from trainer.config.options import flag, option, options_of
from trainer.config.registry import NamesOf
from trainer.config.trial import Trial

DATA, OUTPUT, RUN = "data", "output", "running"
SHARED = "several processes"


# Where hosts meet, unless told otherwise: in the range that IANA leaves to users.
PORT = 7117


# One entry an option: the formatter would give every argument a line of its own.
# fmt: off
@dataclass(frozen=True, kw_only=True)
class Job:
    """One training run.

    Every platform's way of saying things is turned into a Job, and nothing behind it reads the
    environment, the command line or a platform's files.
    """

    hparams: Hparams = field(default_factory=Hparams)

    # What only a platform can say.
    platform: str = "local"
    cluster: Cluster = field(default_factory=Cluster)
    # Whether `cluster` lists processes, this being one that was started as such; else hosts.
    launched: bool = False
    # Of this host, for this process and those that it starts.
    gpus: int = 0
    # What says that there is one.
    gpu_expected: str | None = None
    trial: Trial | None = None
    # The exit code of a run that was told to stop and has saved what it had. By default that of a
    # process ended by SIGTERM, so that whoever counts on a finished model starts it again.
    stopped_code: int = 128 + 15
    # Seconds between being told to stop and being killed.
    grace: float = 120.0
    # Whether evaluators that `cluster` does not list may come when the job runs already.
    late_evaluators: bool = False
    # By which the launchers of the hosts sign what they tell each other.
    secret: str | None = field(default=None, repr=False)
    # Where the platform looks for the reason of a failure.
    failure_file: str | None = None

    module: str = option(
        "trainer.model", "a module with keras_model, input_fn and serving_input_fn; its RECIPE, a "
        "dict, sets what flags leave open, instead of a built-in model's recipe", MODEL,
    )

    import_model: bool = option(
        False, "train nothing: check a model that was trained elsewhere, and put it into the model "
        "folder", MODEL, aliases=("import",),
    )
    input: str | None = option(
        None, "the model to import: SavedModel, folder of versions, .keras file or model.tar.gz "
        "(default: none)", MODEL, metavar="PATH",
    )

    steps: int | None = option(None, "train for N steps", TRAINING, low=1, metavar="N")
    epochs: float | None = option(
        None, "train for N passes over the data, rounded up to whole steps (default: the model's "
        "recipe)", TRAINING, low=0, above=True, metavar="N",
    )
    target_accuracy: float | None = option(
        None, "stop when this share of the test set is right", TRAINING, low=0, above=True, high=1
    )
    eval_every: int | None = option(
        None, "steps between evaluations (default: an epoch; there is one at the end anyway)",
        TRAINING, low=1, metavar="STEPS",
    )

    train: tuple[str, ...] = option(
        (), "training data: files, folders or globs of TFRecord, IDX or npy (default: synthetic "
        "digits)", DATA, metavar="PATH", many=True, aliases=("train-file", "train-files"),
    )
    test: tuple[str, ...] = option(
        (), "test data (default: the test split among --train)", DATA, metavar="PATH", many=True,
        aliases=("test-file", "test-files", "eval-file", "eval-files"),
    )
    cache_mb: float = option(
        1024, "data up to this size is kept in memory, larger is streamed", DATA, low=0,
        metavar="MIB",
    )
    skip_corrupt: int = option(0, "damaged records to leave out before it is an error", DATA, low=0)
    eval_batch_size: int = option(1000, "examples at a time in evaluation", DATA, low=1, high=65536)
    job_dir: str | None = option(
        None, "folder for all that follows: model, checkpoints, logs and metrics.json "
        "(default: none)", OUTPUT, metavar="DIR",
    )
    model_dir: str = option(
        "model", "folder of the SavedModels; each run adds a version", OUTPUT, metavar="DIR"
    )
    layout: str = option(
        "version", "version: in a numbered folder, as TensorFlow Serving has it; servo: the same "
        "below export/Servo; flat: in the model folder itself, as Vertex AI has it; tar: packed as "
        "model.tar.gz", OUTPUT, choices=("version", "servo", "flat", "tar"),
    )
    output_dir: str | None = option(
        None, "folder of metrics.json (default: beside the model folder)", OUTPUT, metavar="DIR"
    )
    checkpoint_dir: str | None = option(
        None, "write checkpoints here, and go on from the newest one there (default: none)", OUTPUT,
        metavar="DIR",
    )
    checkpoint_every: int | None = option(
        None, "steps between checkpoints (default: as --eval-every)", OUTPUT, low=1, metavar="STEPS"
    )
    keep: int = option(3, "newest checkpoints to keep, besides the best", OUTPUT, low=1)

    log_dir: str | None = option(
        None, "write scalars for TensorBoard here (default: none)", OUTPUT, metavar="DIR"
    )

    steps_per_call: int = option(
        100, "steps in one call of the compiled function", RUN, low=1, high=100_000
    )
    log_every: int = option(100, "steps between progress lines", RUN, low=1, metavar="STEPS")
    device: str = option(
        "auto", "auto: a GPU where one is there, and an error if it cannot be used; cpu: never a "
        "GPU; gpu: an error without one", RUN, choices=("auto", "cpu", "gpu"),
    )
    deterministic: bool = option(
        True, "on a GPU, the same result each time at some cost; a CPU's always is", RUN
    )
    threads: int = option(0, "processor threads; 0: one for each core", RUN, low=0, high=1024)
    distribution: str = option(
        None, "how processes and GPUs share the work (default: parameter_server where such servers "
        "are listed, multi_worker_mirrored on several hosts, mirrored on several GPUs, else none)",
        SHARED, choices=NamesOf("trainer.distribution:STRATEGIES"),
    )
    processes_per_host: int | None = option(
        None, "processes that train, on each host (default: one for each GPU with horovod, else "
        "one)", SHARED, low=1, high=256, metavar="N",
    )
    scaling: str = option(
        "none", "none: the processes share each batch, so that the result is that of one; linear: "
        "each takes a whole batch, and the learning rate rises to their number times its value",
        SHARED, choices=("none", "linear"),
    )
    scaling_epochs: float = option(
        5.0, "with --scaling linear, epochs in which it rises; at most half of the run", SHARED,
        low=0,
    )
    compression: str = option(
        "none", "fp16: horovod sends gradients in 16 bits", SHARED, choices=("none", "fp16")
    )
    shard_by: str = option(
        "auto", "how they share the data: whole files, or each a part of every batch; auto: files "
        "where all get as many examples; host: each host holds other data, or fetches every n-th "
        "object", SHARED, choices=("auto", "file", "record", "host"),
    )
    start_timeout: float = option(
        600.0, "seconds for all hosts to come", SHARED, low=0, above=True, high=86400,
        metavar="SECONDS",
    )
    port: int | None = option(
        None, f"of the chief, where the hosts meet (default: {PORT}; on one host any free one)",
        SHARED, low=1, high=65535,
    )
    timeline: str | None = option(
        None, "horovod writes what it does when to this file, for chrome://tracing "
        "(default: none)", SHARED,
        metavar="FILE",
    )
    autotune: bool = option(False, "horovod tries out its own settings in the first steps", SHARED)
    autotune_log: str | None = option(
        None, "and writes to this file what it tried (default: none)", SHARED, metavar="FILE"
    )
    restarts: int = option(
        3, "with parameter_server, times to go on from the newest checkpoint when a server is "
        "lost", SHARED, low=0, high=1000,
    )

    verbosity: str = option(
        "INFO", "what to report; DEBUG includes TensorFlow's own log", RUN,
        choices=("DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
    )

    # fmt: on
    def __post_init__(self) -> None:
        for part in (self, self.hparams):
            for name, limits in options_of(type(part)).items():
                limits.check(flag(name), getattr(part, name))
        for name in ("timeline", "autotune_log"):
            # Horovod writes these itself, as it runs.
            if "://" in (getattr(self, name) or ""):
                raise UserError(
                    subject=f"{flag(name)} {getattr(self, name)}",
                    problem="expected a local path",
                )
        if self.steps is not None and self.epochs is not None:
            raise UserError(
                subject=f"--steps {self.steps} and --epochs {self.epochs:g}",
                problem="give one of them",
            )
