"""`--to kubernetes`."""

from __future__ import annotations

from trainer.backends.backend import Backend, JobService
from trainer.backends.kubernetes.manifests import as_cli, as_json, as_yaml
from trainer.platforms import (
    KubernetesOptions,
    kubernetes_containers,
    kubernetes_request,
    volume_folders,
)


def _connect(options: KubernetesOptions) -> JobService:
    from trainer.backends.kubernetes.kubectl import Kubectl
    from trainer.backends.kubernetes.service import KubernetesService

    return KubernetesService(Kubectl(context=options.context, namespace=options.namespace))


BACKEND = Backend(
    name="kubernetes",
    options=KubernetesOptions,
    connection=("context", "namespace"),
    request=kubernetes_request,
    forms={"yaml": as_yaml, "request": as_json, "cli": as_cli},
    connect=_connect,
    mounted=volume_folders,
    containers=kubernetes_containers,
    limits="volumes hold the data of this machine that is named under the same paths, and nothing "
    "else; Secrets and ConfigMaps of the cluster are not there",
)
