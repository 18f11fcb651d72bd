"""Taking down all that `trainer deploy` made for one name, found by its label."""

from __future__ import annotations

from typing import Any

from trainer.config import UserError
from trainer.endpoints.deployment import ARTIFACT_TAG
from trainer.endpoints.target import Removal
from trainer.endpoints.vertex.connection import VertexConnection
from trainer.endpoints.vertex.requests import UPLOADED
from trainer.endpoints.waiting import wait_until
from trainer.runtime import StopRequest

# Seconds for what the service does when something is taken down.
SECONDS = 1800.0


def remove_all(to: VertexConnection, name: str, *, label: str, dry_run: bool) -> Removal:
    """Take down endpoints, batch prediction jobs and models of a deployment.

    Args:
        to: The service.
        name: Of the deployment.
        label: Whose value is the name.
        dry_run: Only look.
    """
    found = Removal()

    def labelled(kind: str) -> list[dict[str, Any]]:
        # Filters by labels do not take every name of one.
        return [each for each in to.listed(kind) if each.get("labels", {}).get(label) == name]

    for endpoint in labelled("endpoints"):
        if not dry_run:
            delete_endpoint(to, f"/v1/{endpoint['name']}")
        found.removed.append(f"endpoint {_own(endpoint)}")
    for job in labelled("batchPredictionJobs"):
        what = f"batch prediction job {job.get('displayName', _own(job))}"
        if job.get("state") not in ("JOB_STATE_RUNNING", "JOB_STATE_PENDING", "JOB_STATE_QUEUED"):
            found.left.append(f"{what}: it has ended, and the service keeps its record")
            continue
        if not dry_run:
            to.post(f"/v1/{job['name']}:cancel", {})
        found.removed.append(what)
    for model in labelled("models"):
        uri = str(model.get("artifactUri", "")).rstrip("/")
        if model.get("labels", {}).get(ARTIFACT_TAG) == UPLOADED and uri:
            found.artifacts.append(uri)
        if not dry_run:
            _finish(to, to.delete(f"/v1/{model['name']}"), f"model {_own(model)}")
        found.removed.append(f"model {_own(model)}")
    if not found.removed and to.find(f"/v1/{to.parent}/endpoints/{name}") is not None:
        found.left.append(f"endpoint {name}: trainer deploy did not make it")
    return found


def delete_endpoint(to: VertexConnection, path: str) -> None:
    """Take all models off an endpoint, and delete it."""
    for each in to.get(path).get("deployedModels", ()):
        body = {"deployedModelId": each["id"]}
        _finish(to, to.post(f"{path}:undeployModel", body), f"model {each['id']} of the endpoint")
    _finish(to, to.delete(path), f"endpoint {path.rpartition('/')[2]}")


def _finish(to: VertexConnection, operation: Any, what: str) -> None:
    def look() -> str | None:
        found = operation if operation.get("done") else to.get(f"/v1/{operation['name']}")
        if "error" in found:
            raise UserError(subject=what, problem=str(found["error"].get("message")).rstrip("."))
        return None if found.get("done") else "being taken down"

    wait_until(look, what, stop=StopRequest(), timeout=SECONDS)


def _own(resource: dict[str, Any]) -> str:
    return str(resource["name"]).rpartition("/")[2]
