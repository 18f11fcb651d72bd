"""A request to Vertex AI as Python code for its SDK, google-cloud-aiplatform."""

from __future__ import annotations

import re
from typing import Any

from trainer.platforms import VertexRequest

_WIDTH = 88


def as_python(request: VertexRequest) -> str:
    """Return a program that creates the job with `aiplatform.CustomJob`."""
    spec, tuning = request.spec, request.kind != "customJobs"
    lines = ["from google.cloud import aiplatform"]
    if tuning:
        lines.append("from google.cloud.aiplatform import hyperparameter_tuning as hpt")
    if spec.get("scheduling", {}).get("strategy"):
        lines.append("from google.cloud.aiplatform_v1.types import Scheduling")
    place = {"project": request.project, "location": request.region}
    lines += ["", _call("aiplatform.init", _set(place))]
    base = spec["baseOutputDirectory"]["outputUriPrefix"]
    body = request.body
    common = {
        "labels": body.get("labels"),
        "encryption_spec_key_name": body.get("encryptionSpec", {}).get("kmsKeyName"),
    }
    job = {
        "display_name": body["displayName"],
        "worker_pool_specs": _snake(spec["workerPoolSpecs"]),
        "base_output_dir": base,
        "staging_bucket": re.match(r"gs://[^/]+", base)[0],  # type: ignore[index]
        "persistent_resource_id": spec.get("persistentResourceId"),
        **common,
    }
    lines.append(_call("job = aiplatform.CustomJob", _set(job)))
    if spec.get("reservedIpRanges"):
        lines.append(f"job.job_spec.reserved_ip_ranges = {spec['reservedIpRanges']!r}")
    if tuning:
        lines += _tuning(request, common)
    else:
        lines.append(_call("job.submit", _submit(spec)))
        lines.append("print(job.resource_name)")
    return "\n".join(lines)


def _submit(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `CustomJob.submit`."""
    scheduling = spec.get("scheduling", {})
    names = {"experiment": spec.get("experiment"), "experiment_run": spec.get("experimentRun")}
    experiment, run = (str(name or "").rpartition("/")[2] for name in names.values())
    return _set({
        "service_account": spec.get("serviceAccount"),
        "network": spec.get("network"),
        "timeout": _seconds(scheduling.get("timeout")),
        "restart_job_on_worker_restart": scheduling.get("restartJobOnWorkerRestart"),
        "enable_web_access": spec.get("enableWebAccess"),
        "experiment": experiment or None,
        "experiment_run": run.removeprefix(f"{experiment}-") or None,
        "tensorboard": spec.get("tensorboard"),
        "disable_retries": scheduling.get("disableRetries"),
        "scheduling_strategy": _strategy(scheduling),
        "max_wait_duration": _seconds(scheduling.get("maxWaitDuration")),
        "psc_interface_config": _snake(spec.get("pscInterfaceConfig")),
    })  # fmt: skip


def _tuning(request: VertexRequest, common: dict[str, Any]) -> list[str]:
    """Return the lines that make a tuning job of the custom job."""
    body, study = request.body, request.body["studySpec"]
    arguments = {
        "display_name": body["displayName"],
        "custom_job": _Code("job"),
        "metric_spec": {m["metricId"]: m["goal"].lower() for m in study["metrics"]},
        "parameter_spec": {p["parameterId"]: _parameter(p) for p in study["parameters"]},
        "max_trial_count": body["maxTrialCount"],
        "parallel_trial_count": body["parallelTrialCount"],
        "measurement_selection": study["measurementSelectionType"].partition("_")[0].lower(),
        **common,
    }
    run = _submit(request.spec)
    # What the tuning job's own method does not take, it has from the custom job.
    taken = (
        "service_account", "network", "timeout", "restart_job_on_worker_restart",
        "enable_web_access", "tensorboard", "disable_retries", "scheduling_strategy",
        "max_wait_duration",
    )  # fmt: skip
    for name in ("experiment", "experiment_run"):
        run.pop(name, None)
    config = run.pop("psc_interface_config", None)
    lines = [f"job.job_spec.psc_interface_config = {config!r}"] if config else []
    lines.append(_call("tuning = aiplatform.HyperparameterTuningJob", _set(arguments)))
    lines.append(_call("tuning.run", {k: v for k, v in run.items() if k in taken} | {"sync": True}))
    return lines


class _Code(str):
    """Text that is code, not a value."""


def _parameter(spec: dict[str, Any]) -> _Code:
    scale = "log" if spec.get("scaleType") == "UNIT_LOG_SCALE" else "linear"
    if "categoricalValueSpec" in spec:
        return _Code(f"hpt.CategoricalParameterSpec({spec['categoricalValueSpec']['values']!r})")
    if "discreteValueSpec" in spec:
        values = spec["discreteValueSpec"]["values"]
        return _Code(f"hpt.DiscreteParameterSpec({values!r}, scale={scale!r})")
    if "integerValueSpec" in spec:
        limits = {k: int(v) for k, v in spec["integerValueSpec"].items()}
        kind = "hpt.IntegerParameterSpec"
    else:
        limits, kind = spec["doubleValueSpec"], "hpt.DoubleParameterSpec"
    low, high = limits["minValue"], limits["maxValue"]
    return _Code(f"{kind}(min={low!r}, max={high!r}, scale={scale!r})")


def _strategy(scheduling: dict[str, Any]) -> _Code | None:
    strategy = scheduling.get("strategy")
    return _Code(f"Scheduling.Strategy.{strategy}") if strategy else None


def _seconds(duration: str | None) -> int | None:
    return int(duration.rstrip("s")) if duration else None


def _set(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _snake(value: Any) -> Any:
    """Return JSON with the names of the SDK: `machineSpec` is `machine_spec` there."""
    if isinstance(value, dict):
        return {
            re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), name): _snake(each)
            for name, each in value.items()
        }
    return [_snake(each) for each in value] if isinstance(value, list) else value


def _call(function: str, arguments: dict[str, Any]) -> str:
    """Return a call with one argument a line, or in one line if it fits."""
    short = ", ".join(f"{k}={_shown(v)}" for k, v in arguments.items())
    if len(function) + len(short) < _WIDTH and "\n" not in short:
        return f"{function}({short})"
    lines = (f"    {k}={_shown(v, indent=4)}," for k, v in arguments.items())
    return "\n".join([f"{function}(", *lines, ")"])


def _shown(value: Any, *, indent: int = 0) -> str:
    """Return a value as code, over several lines if it is long."""
    if isinstance(value, _Code):
        return str(value)
    if not isinstance(value, (dict, list)):
        return repr(value)
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")

    def parts(inner: int) -> list[str]:
        if isinstance(value, dict):
            return [f"{k!r}: {_shown(v, indent=inner)}" for k, v in value.items()]
        return [_shown(v, indent=inner) for v in value]

    short = opening + ", ".join(parts(0)) + closing
    if len(short) + indent < _WIDTH and "\n" not in short:
        return short
    inner = indent + 4
    lines = "".join(f"{' ' * inner}{part},\n" for part in parts(inner))
    return f"{opening}\n{lines}{' ' * indent}{closing}"
