"""Files that `gcloud … --config` reads, those of AI Platform as jobs of Vertex AI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.migration.vertex_requests import tuning_job


def number(value: Any) -> Any:
    """Return a whole number that is text as a number."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def tier(name: str) -> dict[str, Any]:
    """Return the machines of a scale tier."""
    if name == "BASIC_GPU":
        return {"accelerator_type": "NVIDIA_TESLA_T4"}
    return {"scale_tier": name} if name not in ("", "BASIC", "CUSTOM") else {}


def accelerator(pairs: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(pairs.get("type", "")).upper().replace("-", "_")
    return {"accelerator_type": kind or None, "accelerator_count": number(pairs.get("count"))}


def read_yaml(text: str | None) -> Any:
    """Return what a file says; None where it is not there, or is no YAML."""
    if text is None or len(text) > 100_000:
        return None
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def training_input(spec: Any, line: int) -> dict[str, Any]:
    """Return what `trainingInput` of a file of AI Platform says."""
    spec = spec if isinstance(spec, dict) else {}
    names = {"master_type": "machine_type", "parameter_server_type": "server_machine_type",
             "region": "location", "package_uris": "python_package_gcs_uri",
             "python_module": "python_module_name", "args": "args",
             "service_account": "service_account", "network": "network"}  # fmt: skip
    found = {names[name]: value for name, value in spec.items() if name in names}
    found |= tier(str(spec.get("scale_tier", "")))
    master = spec.get("master_config")
    if isinstance(master, dict):
        found |= {"container_uri": master.get("image_uri")} if "image_uri" in master else {}
        if isinstance(master.get("accelerator_config"), dict):
            found |= accelerator(master["accelerator_config"])
    workers, servers = (number(spec.get(n)) for n in ("worker_count", "parameter_server_count"))
    if isinstance(workers, int) and workers:
        found["replica_count"] = workers + 1
    if isinstance(servers, int) and servers:
        found["parameter_servers"] = servers
    search = spec.get("hyperparameters")
    if isinstance(search, dict):
        trial, tuner = tuning_job(_study(search), line)
        return {**found, "custom_job": trial, "search": tuner}
    return found


def _study(search: Mapping[str, Any]) -> dict[str, Any]:
    """Return a search of AI Platform as Vertex AI has it."""
    params = [_parameter(each) for each in search.get("params") or () if isinstance(each, dict)]
    metric = {
        "metric_id": search.get("hyperparameter_metric_tag", "training/hptuning/metric"),
        "goal": search.get("goal", "MAXIMIZE"),
    }
    return {
        "study_spec": {"metrics": [metric], "parameters": params},
        "max_trial_count": search.get("max_trials"),
        "parallel_trial_count": search.get("max_parallel_trials"),
    }


def _parameter(given: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(given.get("type", "")).lower()
    values = given.get("categorical_values") or given.get("discrete_values")
    bounds = {name: given.get(name) for name in ("min_value", "max_value")}
    return {
        "parameter_id": given.get("parameter_name"), "scale_type": given.get("scale_type"),
        f"{kind}_value_spec": {"values": values} if values else bounds,
    }  # fmt: skip
