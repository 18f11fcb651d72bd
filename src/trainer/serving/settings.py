"""Settings of the server, from flags and from the variables of SageMaker and Vertex AI.

A flag counts more than a platform's variable, and that more than the default. Nothing behind this
file reads the environment.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import KIND_NAMES, UserError, convert_value, flag_of, option, options_of

SAGEMAKER_DIR = Path("/opt/ml/model")
MOST_PAYLOAD = 2048.0  # MiB
BATCH_SECONDS = 3600.0  # the longest that batch transform waits for an answer
WHERE, LOAD, LIMITS, RUN = "what and where", "batching", "limits", "running"


# fmt: off
@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one server.

    Attributes without an option have no flag: only platforms set them.
    """

    model_dir: str = option(
        "model", "folder of one model's versions, or of folders of models, or a SavedModel itself; "
        "s3:// and gs:// are fetched once (default: what the platform names, else model)", WHERE,
        metavar="DIR",
    )
    model_name: str = option("model", "name of the model that lies in the folder itself", WHERE)
    host: str = option("0.0.0.0", "address to listen at", WHERE, metavar="ADDRESS")
    port: int = option(8080, "port to listen at; 0: any that is free", WHERE, low=0, high=65535)
    versions: int = option(
        2, "newest versions of each model to keep loaded", WHERE, low=1, high=100
    )
    poll: float = option(
        1.0, "seconds between looks for new versions; 0: never look", WHERE, low=0, high=3600,
        metavar="SECONDS",
    )

    batching: bool | None = option(
        None, "answer requests together, and large ones in pieces, for every signature that is not "
        "seen to answer otherwise then; --no-batching: for none (default: for those that the "
        "trainer has found at export to compute each row by itself)", LOAD,
    )
    max_batch: int = option(
        64, "where requests are batched, most instances in one call of the model; 1: no batching",
        LOAD, low=1, high=65536,
    )
    batch_wait_ms: float = option(
        0.0, "wait this long for a batch to fill; 0: take what has come while the model was busy",
        LOAD, low=0, high=1000, metavar="MS",
    )
    batch_threads: int = option(1, "calls of a model at a time", LOAD, low=1, high=64)
    threads: int = option(0, "TensorFlow's threads; 0: one for each core", LOAD, low=0, high=1024)

    max_queue: int = option(
        512, "requests of a model that may wait; more get 503", LIMITS, low=1, high=10**8
    )
    max_payload_mb: float = option(
        100.0, "largest body of a request in MiB; larger get 413", LIMITS, low=0, above=True,
        high=MOST_PAYLOAD, metavar="MIB",
    )
    timeout: float = option(
        60.0, "seconds for one request; longer get 504", LIMITS, low=0, above=True, high=3600,
        metavar="SECONDS",
    )
    header_timeout: float = option(
        20.0, "seconds for the header of a request; longer get 408, and a header of more than "
        "64 KiB or 200 fields gets 431", LIMITS, low=0, above=True, high=3600, metavar="SECONDS",
    )
    max_connections: int = option(
        4096, "connections at a time, as far as the hard limit of open files allows; for more, "
        "those are closed that have waited the longest for a request", LIMITS, low=1, high=10**6,
    )

    linger: float = option(
        1.0, "seconds at SIGTERM in which /ping fails and requests are still taken", RUN, low=0,
        high=600, metavar="SECONDS",
    )
    grace: float = option(
        25.0, "seconds after that for requests to end", RUN, low=0, high=3600, metavar="SECONDS"
    )
    access_log: bool = option(True, "print a line of JSON for each request", RUN)
    log_format: str = option(
        None, "text: lines for people; json: the same as Cloud Logging reads them (default: text)",
        RUN, choices=("text", "json"),
    )

    # Vertex AI's paths for /ping and /invocations.
    health_route: str | None = None
    predict_route: str | None = None
    # The sign of a GPU on this machine: the server warns if TensorFlow does not use it.
    gpu_expected: str | None = None
    # SageMaker's batch transform.
    batch_strategy: str = "MULTI_RECORD"
    max_concurrent: int = 16
    # fmt: on

    def __post_init__(self) -> None:
        for name, limits in options_of(Settings).items():
            limits.check(flag_of(name), getattr(self, name))

    @property
    def max_payload(self) -> int:
        """The largest body of a request, in bytes."""
        return int(self.max_payload_mb * 2**20)

    @property
    def may_batch(self) -> bool | None:
        """True to batch all signatures, False for none, None for those that the export marked."""
        return False if self.max_batch == 1 else self.batching


# The variables of each field; of several that are set the first counts.
VARIABLES: dict[str, tuple[str, ...]] = {
    "model_dir": ("AIP_STORAGE_URI",),
    "model_name": ("SAGEMAKER_TFS_DEFAULT_MODEL_NAME",),
    "port": ("AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT"),
    "max_batch": ("SAGEMAKER_TFS_MAX_BATCH_SIZE",),
    "batch_threads": ("SAGEMAKER_TFS_NUM_BATCH_THREADS",),
    "threads": ("SAGEMAKER_TFS_INTRA_OP_PARALLELISM",),
    "max_payload_mb": ("SAGEMAKER_MAX_PAYLOAD_IN_MB",),
    "timeout": ("SAGEMAKER_MODEL_SERVER_TIMEOUT",),
    "health_route": ("AIP_HEALTH_ROUTE",),
    "predict_route": ("AIP_PREDICT_ROUTE",),
    "batch_strategy": ("SAGEMAKER_BATCH_STRATEGY",),
    "max_concurrent": ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",),
}
STRATEGIES = ("MULTI_RECORD", "SINGLE_RECORD", "MULTIRECORD", "SINGLERECORD")


def from_flags(
    values: Mapping[str, Any], *, env: Mapping[str, str], sagemaker_dir: Path = SAGEMAKER_DIR
) -> Settings:
    """Return the settings that flags and variables make.

    Args:
        values: Flags that were given, by field name; others are ignored.
        env: The environment.
        sagemaker_dir: Where SageMaker unpacks a model.

    Raises:
        UserError: A value is not of its type, or out of its range.
    """
    hints = typing.get_type_hints(Settings)
    fields: dict[str, Any] = {}
    if sagemaker_dir.is_dir():
        fields["model_dir"] = str(sagemaker_dir)
    for name, variables in VARIABLES.items():
        found = next((v for v in variables if env.get(v, "") not in ("", "None")), None)
        if found is not None:
            fields[name] = _typed(env[found], hints[name], where=found)
            if name == "max_payload_mb" and fields[name] == 0:
                # Batch transform sets 0 for no limit.
                fields[name] = MOST_PAYLOAD
            limits = options_of(Settings).get(name)
            if limits:
                limits.check(found, fields[name])
    _batch_transform(fields, env)
    _tfs_batching(fields, env)
    fields["batch_strategy"] = _strategy(fields.get("batch_strategy", "MULTI_RECORD"))
    for name in ("health_route", "predict_route"):
        route = fields.get(name)
        if route is not None and (not route.startswith("/") or set(route) & set("{}?#")):
            raise UserError(
                subject=f"{VARIABLES[name][0]} {route}",
                problem="expected a path such as /health",
            )
    fields |= {name: values[name] for name in options_of(Settings) if name in values}
    return Settings(**fields)


def _batch_transform(fields: dict[str, Any], env: Mapping[str, str]) -> None:
    """Set the limits of batch transform, where the service bounds requests and their time."""
    (variable,) = VARIABLES["max_concurrent"]
    connections = fields.get("max_concurrent", 1)
    if connections < 0:
        raise UserError(
            subject=f"{variable} {connections}",
            problem="expected a number of 0 or more",
        )
    if connections == 0:
        # The service asks `/execution-parameters` for the number.
        del fields["max_concurrent"]
    if _typed(env.get("SAGEMAKER_BATCH", ""), bool, where="SAGEMAKER_BATCH"):
        fields.setdefault("timeout", BATCH_SECONDS)
        fields["max_queue"] = max(Settings.max_queue, fields.get("max_concurrent", 0))


def _tfs_batching(fields: dict[str, Any], env: Mapping[str, str]) -> None:
    """Convert variables of SageMaker's container that have other units or another meaning."""
    enable = "SAGEMAKER_TFS_ENABLE_BATCHING"
    if env.get(enable, "") not in ("", "None"):
        value = env[enable]
        fields["batching"] = {"1": True, "0": False}.get(value, convert_value(value, bool))
        if not isinstance(fields["batching"], bool):
            raise UserError(
                subject=f"{enable} {env[enable]}",
                problem=f"expected {KIND_NAMES[bool]}",
            )
    wait = "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS"
    if env.get(wait):
        fields["batch_wait_ms"] = _typed(env[wait], float, where=wait) / 1000
        options_of(Settings)["batch_wait_ms"].check(wait, fields["batch_wait_ms"])
    batches = "SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES"
    if env.get(batches):
        size = fields.get("max_batch", Settings.max_batch)
        fields["max_queue"] = max(1, min(10**8, _typed(env[batches], int, where=batches) * size))


def _strategy(text: str) -> str:
    name = text.upper().replace("-", "_")
    if name not in STRATEGIES:
        raise UserError(
            subject=f"SAGEMAKER_BATCH_STRATEGY {text}",
            problem="expected MULTI_RECORD or SINGLE_RECORD",
        )
    return name.replace("RECORD", "_RECORD").replace("__", "_")


def _typed(text: str, kind: Any, *, where: str) -> Any:
    """Return the text of a variable as a value of a field's type."""
    if kind is bool:
        return text.strip().lower() in ("true", "1")
    if kind in (int, float):
        value = convert_value(text, kind)
        if type(value) is not kind:
            raise UserError(
                subject=f"{where} {text}",
                problem=f"expected {KIND_NAMES[kind]}",
            )
        return value
    return text
