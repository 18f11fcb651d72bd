"""The description of one training run, which every other package reads.

Most fields are options: each is also a flag of `trainer train`, a hyperparameter and a key of the
report, with the same name, default, range and help text. They are listed here and in `hparams.py`
only; `flags.py` makes the command line from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trainer.config.cluster import Cluster
from trainer.config.data_options import class_count, feature_names, image_size, pixel_range
from trainer.config.early_stop import EarlyStop
from trainer.config.errors import UserError
from trainer.config.hparams import MODEL, TRAINING, Hparams
from trainer.config.metric_goal import MetricGoal
from trainer.config.options import flag_of, option, option_types, options_of
from trainer.config.registry import NamesOf
from trainer.config.step_window import step_range
from trainer.config.trial import Trial

DATA, OUTPUT, RUN = "data", "output", "hardware and logging"
SHARED = "several processes or hosts"
# The port at which hosts meet by default, in the range that IANA leaves to users.
DEFAULT_PORT = 7117
# Steps between scalars where no number is given.
LOG_STEPS = 100


# One entry an option: the formatter would give every argument a line of its own.
# fmt: off
@dataclass(frozen=True, kw_only=True)
class Job:
    """One training run.

    Each platform's variables, files and flags are turned into a Job. No code behind it reads the
    environment, the command line or a platform's files.

    Attributes:
        hparams: The hyperparameters.
        platform: The name of the platform that started this process, as in `PLATFORMS`.
        cluster: The hosts of the job, or its processes where `launched`.
        launched: True in a process that was started as one of several, so that `cluster` lists
            processes; False where it lists hosts.
        gpus: How many GPUs of this host its processes may use.
        gpu_expected: The file or variable that shows that this host has a GPU, or None.
        trial: The trial of a tuning job that this run is; None on processes that report nothing.
        stopped_code: The exit code of a run that stopped on SIGTERM and has saved its state. The
            default is that of a process ended by SIGTERM, so that a scheduler that expects a
            finished model starts the run again.
        grace: Seconds from SIGTERM to SIGKILL.
        late_evaluators: True if evaluators that `cluster` does not list may join a running job.
        secret: The key with which the launchers of the hosts sign their messages.
        failure_file: The file in which the platform looks for the reason of a failure, or None.
    """

    hparams: Hparams = field(default_factory=Hparams)
    platform: str = "local"
    cluster: Cluster = field(default_factory=Cluster)
    launched: bool = False
    gpus: int = 0
    gpu_expected: str | None = None
    trial: Trial | None = None
    stopped_code: int = 128 + 15
    grace: float = 120.0
    late_evaluators: bool = False
    secret: str | None = field(default=None, repr=False)
    failure_file: str | None = None

    module: str = option(
        "trainer.model", "a module of your own, by name or path, with a function keras_model, and "
        "perhaps input_fn, serving_input_fn, loss_fn and others; its RECIPE, a dict, sets what "
        "flags leave open, instead of a built-in model's recipe", MODEL,
    )

    import_model: bool = option(
        False, "train nothing: check a model that was trained elsewhere, and put it into the model "
        "folder", MODEL, aliases=("import",),
    )
    input: str | None = option(
        None, "the model to import: SavedModel, folder of versions, .keras file or model.tar.gz "
        "(default: none)", MODEL, metavar="PATH",
    )

    steps: int | None = option(
        None, "train for N steps, in place of --epochs (default: none)", TRAINING, low=1,
        metavar="N",
    )
    epochs: float | None = option(
        None, "train for N passes over the data, rounded up to whole steps (default: the model's "
        "recipe)", TRAINING, low=0, above=True, metavar="N",
    )
    target_accuracy: float | None = option(
        None, "stop when this share of the validation data, or of the test data without such, is "
        "right (default: none)", TRAINING, low=0, above=True, high=1,
    )
    metric: str | None = option(
        None, "figure of an evaluation that chooses the best model and goes to tuning services: "
        "accuracy, loss or a metric of the module (default: accuracy:max; loss:min where there are "
        "no classes)", TRAINING, metavar="NAME:max|min",
    )
    early_stop: str | None = option(
        None, "stop when N evaluations in a row are not better than the best before, by more than "
        "MIN_DELTA, and export the model of that one (default: none)", TRAINING,
        metavar="N[:MIN_DELTA]",
    )
    eval_every: int | None = option(
        None, "steps between evaluations (default: an epoch; there is one at the end anyway)",
        TRAINING, low=1, metavar="STEPS",
    )

    train: tuple[str, ...] = option(
        (), "training data: files, folders or globs of {names} (default: synthetic digits)", DATA,
        metavar="PATH", many=True, aliases=("train-file", "train-files"),
        names=NamesOf("trainer.data:FORMATS"),
    )
    test: tuple[str, ...] = option(
        (), "test data (default: the test split among --train)", DATA, metavar="PATH", many=True,
        aliases=("test-file", "test-files", "eval-file", "eval-files"),
    )
    validation: tuple[str, ...] = option(
        (), "data to evaluate on during the training: the best model, --early-stop and "
        "--target-accuracy go by it, and the test data is asked once, at the end (default: the "
        "validation split among --train, where there is test data besides)", DATA, metavar="PATH",
        many=True, aliases=("validation-file", "validation-files"),
    )
    validation_split: float | None = option(
        None, "hold out this share of each class of the training data, chosen by --seed, as "
        "validation data (default: none)", DATA, low=0, above=True, high=0.9, metavar="SHARE",
    )
    cache_mb: float = option(
        1024, "data up to this size is kept in memory, larger is streamed", DATA, low=0,
        metavar="MIB",
    )
    skip_corrupt: int = option(0, "damaged records to leave out before it is an error", DATA, low=0)
    image_size: str | None = option(
        None, "resize all images to this height and width (default: as they are)", DATA,
        metavar="H,W",
    )
    pixel_range: str | None = option(
        None, "pixel values that the model gets as 0 and 1 (default: by their type and a sample)",
        DATA, metavar="LOW,HIGH",
    )
    classes: str | None = option(
        None, "number of classes, or a file of their names, one a line in the order of the labels "
        "(default: by the labels and names in the data)", DATA, metavar="N|FILE",
    )
    feature: tuple[str, ...] = option(
        (), "names that the data has for what is read, such as image=img_bytes label=digit", DATA,
        metavar="NAME=NAME", many=True,
    )
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
    report: bool = option(True, "write report.html beside metrics.json", OUTPUT)
    checkpoint_dir: str | None = option(
        None, "write checkpoints here, and go on from the newest one there (default: none)", OUTPUT,
        metavar="DIR",
    )
    checkpoint_every: int | None = option(
        None, "steps between checkpoints (default: as --eval-every)", OUTPUT, low=1, metavar="STEPS"
    )
    keep: int = option(3, "newest checkpoints to keep, besides the best", OUTPUT, low=1)

    log_dir: str | None = option(
        None, "write scalars and hyperparameters for TensorBoard here (default: none)", OUTPUT,
        metavar="DIR",
    )
    profile: str | None = option(
        None, "run TensorFlow's profiler in these steps, for TensorBoard (default: none)", OUTPUT,
        metavar="FIRST:LAST",
    )
    mlflow_uri: str | None = option(
        None, "send the run to this MLflow tracking server (default: none)", OUTPUT, metavar="URI"
    )
    mlflow_experiment: str | None = option(
        None, "experiment of the run on that server (default: the server's)", OUTPUT,
        metavar="NAME",
    )
    mlflow_run: str | None = option(
        None, "id of a run on that server to write to (default: a new run, or that of the "
        "checkpoint)", OUTPUT, metavar="ID",
    )

    steps_per_call: int = option(
        100, "steps in one call of the compiled function", RUN, low=1, high=100_000
    )
    log_every: int | None = option(
        None, "steps between progress lines (default: the first, the last, and in between at most "
        "one a second; at least one in 30 seconds anyway)", RUN, low=1, metavar="STEPS",
    )
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
        5.0, "with --scaling linear, epochs in which the learning rate rises; at most half of the "
        "run", SHARED, low=0,
    )
    compression: str = option(
        "none", "fp16: horovod sends gradients in 16 bits", SHARED, choices=("none", "fp16")
    )
    shard_by: str = option(
        "auto", "how processes share the data. file: whole files; record: each a part of every "
        "batch; auto: files where all get equally many examples, else records; host: each host "
        "holds other data, or fetches every n-th object", SHARED,
        choices=("auto", "file", "record", "host"),
    )
    start_timeout: float = option(
        600.0, "seconds for all hosts to join", SHARED, low=0, above=True, high=86400,
        metavar="SECONDS",
    )
    port: int | None = option(
        None, f"port of the chief, at which the hosts meet (default: {DEFAULT_PORT}; "
        "on one host any free one)",
        SHARED, low=1, high=65535,
    )
    timeline: str | None = option(
        None, "file for horovod's timeline of its operations, for chrome://tracing (default: "
        "none)", SHARED, metavar="FILE",
    )
    autotune: bool = option(False, "let horovod tune its own settings in the first steps", SHARED)
    autotune_log: str | None = option(
        None, "file for the settings that --autotune has tried (default: none)", SHARED,
        metavar="FILE",
    )
    restarts: int = option(
        3, "with parameter_server, how often to go on from the newest checkpoint after a server is "
        "lost", SHARED, low=0, high=1000,
    )

    verbosity: str = option(
        "INFO", "the least severe lines to print. INFO: progress and results; WARN: only what may "
        "be a mistake; ERROR: only failures; FATAL: only the error that ends the process; DEBUG: "
        "also messages between hosts, storage requests, the supervisor's decisions, and "
        "TensorFlow's own log", RUN,
        choices=("DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
    )
    log_format: str = option(
        None, "text: lines for people and metric patterns; json: the same as Cloud Logging reads "
        "them, with numbers as fields (default: json on AI Platform and Vertex AI, else text)", RUN,
        choices=("text", "json"),
    )

    # fmt: on
    def __post_init__(self) -> None:
        for kind, part in ((Job, self), (Hparams, self.hparams)):
            types = option_types(kind)
            for name, limits in options_of(kind).items():
                limits.check(flag_of(name), getattr(part, name), kind=types[name])
        for name in ("timeline", "autotune_log"):
            # Horovod itself opens these files while it runs.
            if "://" in (getattr(self, name) or ""):
                raise UserError(
                    subject=f"{flag_of(name)} {getattr(self, name)}",
                    problem="expected a local path",
                )
        self._check_data_options()
        if self.validation and self.validation_split is not None:
            raise UserError(
                subject=f"--validation-split {self.validation_split:g} and "
                f"--validation {' '.join(self.validation)}",
                problem="give one of them",
            )
        if self.early_stop is not None:
            EarlyStop.of(self.early_stop)
        if self.metric is not None:
            MetricGoal.of(self.metric)
        if self.profile is not None:
            step_range(self.profile, flag="--profile")
        if self.steps is not None and self.epochs is not None:
            raise UserError(
                subject=f"--steps {self.steps} and --epochs {self.epochs:g}",
                problem="give one of them",
            )

    def _check_data_options(self) -> None:
        if self.image_size is not None:
            image_size(self.image_size)
        if self.pixel_range is not None:
            pixel_range(self.pixel_range)
        if self.classes is not None:
            class_count(self.classes)
        feature_names(self.feature)

    @property
    def log_steps(self) -> int:
        """Steps between two scalars of the training, and between two stops for progress lines."""
        return self.log_every or LOG_STEPS
