"""Published schemas of Kubernetes' objects, against which manifests are held.

Those of `kubeflow-trainer-api` are made of the OpenAPI documents of Kubernetes, JobSet and Kubeflow
Trainer. The models check types and what is required; that nothing is left over is checked here.
"""

from __future__ import annotations

from typing import Any

import kubeflow_trainer_api.models as published

MODELS: dict[str, Any] = {
    "v1/Service": published.IoK8sApiCoreV1Service,
    "v1/Pod": published.IoK8sApiCoreV1Pod,
    "v1/Secret": published.IoK8sApiCoreV1Secret,
    "v1/PersistentVolumeClaim": published.IoK8sApiCoreV1PersistentVolumeClaim,
    "batch/v1/Job": published.IoK8sApiBatchV1Job,
    "jobset.x-k8s.io/v1alpha2/JobSet": published.JobsetV1alpha2JobSet,
    "trainer.kubeflow.org/v1alpha1/TrainingRuntime": published.TrainerV1alpha1TrainingRuntime,
    "trainer.kubeflow.org/v1alpha1/TrainJob": published.TrainerV1alpha1TrainJob,
}


def check_manifest(manifest: dict[str, Any]) -> None:
    """Raise unless a manifest has the fields of its kind, with values of their types, alone."""
    model = MODELS[f"{manifest['apiVersion']}/{manifest['kind']}"]
    read = model.from_dict(manifest).to_dict()
    lost = sorted(_paths(manifest) - _paths(read))
    assert not lost, f"no such fields: {', '.join(lost)}"


def _paths(value: Any, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return {path}.union(*(_paths(each, f"{path}.{name}") for name, each in value.items()))
    if isinstance(value, list):
        return {path}.union(*(_paths(each, f"{path}[{i}]") for i, each in enumerate(value)))
    return {path}
