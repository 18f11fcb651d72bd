"""Requests of Vertex AI's API, as Google's clients and gcloud send them, as jobs of its SDK."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.migration.followed import Followed
from trainer.migration.values import Given, Made, Use, parts_of
from trainer.migration.vertex_pools import plain, shown

REQUESTS = ("create_custom_job", "create_hyperparameter_tuning_job")
_PARENT = re.compile(r"projects/([^/]+)/locations/([^/]+)")
# Members of a job's specification by the arguments of the SDK.
_NAMES = {
    "output_uri_prefix": "base_output_dir", "kms_key_name": "encryption_spec_key_name",
}  # fmt: skip
_RANGES = {
    "double_value_spec": "DoubleParameterSpec", "integer_value_spec": "IntegerParameterSpec",
    "categorical_value_spec": "CategoricalParameterSpec",
    "discrete_value_spec": "DiscreteParameterSpec",
}  # fmt: skip


def with_vertex_requests(followed: Followed) -> Followed:
    """Return what a script makes, with a job for each request that it sends."""
    made, uses = [each for each in followed.made if each.kind not in REQUESTS], []
    for use in followed.uses:
        objects = _objects(use) if use.method in REQUESTS else ()
        made += objects
        uses.append(use)
        if objects:
            uses[-1] = Use(made=objects[-1], method="submit", given={}, line=use.line)
    return dataclasses.replace(followed, made=tuple(made), uses=tuple(uses))


def _objects(use: Use) -> tuple[Made, ...]:
    values = {name: each.value for name, each in use.given.items()}
    if isinstance(values.get("request"), dict):
        values = values["request"]
    job = values.get("custom_job") or values.get("hyperparameter_tuning_job")
    if not isinstance(job, (dict, Made)):
        return ()
    parent = _parent(values.get("parent"))
    if use.method == "create_custom_job":
        return (custom_job({**parent, **plain(job)}, use.line),)
    return tuning_job({**parent, **plain(job)}, use.line)


def _parent(value: Any) -> dict[str, Any]:
    """Return project and location of `projects/P/locations/L`."""
    parts = [*parts_of(value)]
    if len(parts) == 4 and parts[::2] == ["projects/", "/locations/"]:
        return {"project": parts[1], "location": parts[3]}
    match = _PARENT.fullmatch(value) if isinstance(value, str) else None
    if match is None and len(parts) == 2 and isinstance(parts[0], str):
        match = _PARENT.fullmatch(f"{parts[0]}?")
        return {"project": match[1], "location": parts[1]} if match else {}
    return {"project": match[1], "location": match[2]} if match else {}


def custom_job(job: Mapping[str, Any], line: int) -> Made:
    """Return the job of a request, whose names are those of the SDK.

    Args:
        job: The request's members: `display_name`, `job_spec`, `labels`, and what else it says.
        line: Where the script sends it.
    """
    spec = job.get("job_spec")
    found = {name: value for name, value in job.items() if name != "job_spec"}
    found |= spec if isinstance(spec, dict) else {}
    return Made(kind="CustomJob", given=_given(_flattened(found), line), line=line)


def tuning_job(job: Mapping[str, Any], line: int) -> tuple[Made, ...]:
    """Return the job and the search of a tuning request."""
    study = job.get("study_spec")
    study = study if isinstance(study, dict) else {}
    trial = custom_job({
        "display_name": job.get("display_name"), "job_spec": job.get("trial_job_spec"),
        **{name: job[name] for name in ("project", "location", "labels") if name in job},
    }, line)  # fmt: skip
    metrics = [each for each in study.get("metrics") or () if isinstance(each, dict)]
    names = ("display_name", "max_trial_count", "parallel_trial_count", "max_failed_trial_count")
    found: dict[str, Any] = {name: job.get(name) for name in names}
    found |= {
        "custom_job": trial,
        "metric_spec": {m.get("metric_id"): str(m.get("goal")).lower() for m in metrics},
        "parameter_spec": dict(_parameters(study.get("parameters"), line)),
    }  # fmt: skip
    given: dict[str, Any] = {n: value for n, value in found.items() if value is not None}
    return trial, Made(kind="HyperparameterTuningJob", given=_given(given, line), line=line)


def _given(values: Mapping[str, Any], line: int) -> dict[str, Given]:
    return {
        name: Given(value=value, source=shown(value), line=line) for name, value in values.items()
    }


def _flattened(spec: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in spec.items():
        if name == "scheduling" and isinstance(value, dict):
            found |= _scheduling(value)
        elif isinstance(value, dict) and name in ("base_output_directory", "encryption_spec"):
            found |= {_NAMES.get(str(member), str(member)): v for member, v in value.items()}
        else:
            found[name] = value
    return found


def _scheduling(spec: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(spec)
    for name, option in (("timeout", "timeout"), ("max_wait_duration", "max_wait_duration")):
        value = found.pop(name, None)
        seconds = value.get("seconds") if isinstance(value, dict) else value
        if isinstance(seconds, str) and seconds.removesuffix("s").isdecimal():
            seconds = int(seconds.removesuffix("s"))
        if seconds is not None:
            found[option] = seconds
    if "strategy" in found:
        found["scheduling_strategy"] = found.pop("strategy")
    return found


def _parameters(listed: Any, line: int) -> Iterator[tuple[str, Made]]:
    for each in listed if isinstance(listed, list) else ():
        spec = each if isinstance(each, dict) else {}
        kind = next((name for name in _RANGES if isinstance(spec.get(name), dict)), None)
        if kind is None or not isinstance(spec.get("parameter_id"), str):
            continue
        bounds = spec[kind]
        scale = "log" if "LOG" in str(spec.get("scale_type", "")) else "linear"
        values = {
            "min": _number(bounds.get("min_value")), "max": _number(bounds.get("max_value")),
            "values": bounds.get("values"), "scale": scale,
        }  # fmt: skip
        known = {name: value for name, value in values.items() if value is not None}
        yield spec["parameter_id"], Made(kind=_RANGES[kind], given=_given(known, line), line=line)


def _number(value: Any) -> Any:
    """Return a bound, which JSON has as text, as a number."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value
