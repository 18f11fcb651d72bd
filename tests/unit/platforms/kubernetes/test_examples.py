"""The manifests of examples/kubernetes: their fields, their arguments, and what their pods find."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_schemas import check_manifest

from trainer.config.flags import add_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.parser import Parser
from trainer.platforms.base import Environment
from trainer.platforms.container_start import ContainerStart
from trainer.platforms.kubernetes.container import kubernetes_containers
from trainer.platforms.kubernetes.request import KubernetesRequest
from trainer.platforms.resolve import resolve_job

FOLDER = Path(__file__).parents[4] / "examples/kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
# What Kubeflow's runtime and its torch plugin put around a TrainJob of two nodes.
RUNTIME: dict[str, Any] = {
    "metadata": {"name": "torch-distributed"},
    "spec": {"template": {"spec": {"replicatedJobs": [{"name": "node", "template": {"spec": {
        "template": {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "node"}]}},
    }}}]}}},
}  # fmt: skip


def manifests(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(yaml.safe_load_all((FOLDER / name).read_text()))


def starts(name: str) -> tuple[ContainerStart, ...]:
    """Return the pods' containers, as the controllers start them."""
    objects = manifests(name)
    kind = objects[-1]["kind"]
    if kind == "TrainJob":
        objects = (RUNTIME, *objects)
    request = KubernetesRequest(
        name="mnist", kind=kind, namespace=None, context=None, manifests=objects
    )
    return kubernetes_containers(request)


def job_in(start: ContainerStart, root: Path) -> Job:
    """Return the job that a container finds where the kubelet has written /etc/hosts."""
    alias = f"{start.aliases[0]}.default.svc.cluster.local " if start.aliases else ""
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/hosts").write_text(f"10.244.0.7\t{alias}{start.name}\n")
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser, Hparams, Job)
    environment = Environment(env=start.env, root=root)
    return resolve_job(environment, vars(parser.parse_args([*start.argv]))).job


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_manifest_is_one_of_the_published_schemas(file):
    for manifest in manifests(file.name):
        check_manifest(manifest)


@pytest.mark.parametrize(
    ("name", "roles", "strategy"),
    [
        ("job.yaml", ["chief"], "none"),
        ("two-hosts.yaml", ["chief", "worker"], "multi_worker_mirrored"),
        ("gpu.yaml", ["chief", "worker"], "horovod"),
        ("jobset.yaml", ["chief", "worker", "worker", "ps"], "parameter_server"),
        ("trainjob.yaml", ["chief", "worker"], "multi_worker_mirrored"),
    ],
)
def test_the_pods_of_a_manifest_find_each_other(name, roles, strategy, tmp_path):
    pods = starts(name)
    if name == "trainjob.yaml":
        for pod in pods:
            pod.env["PET_NNODES"] = "2"  # type: ignore[index]
    jobs = [job_in(pod, tmp_path) for pod in pods]
    assert [job.cluster.role for job in jobs] == roles
    assert {job.distribution for job in jobs} == {strategy}
    if len(pods) > 1:
        own = [getattr(job.cluster, job.cluster.role)[job.cluster.index] for job in jobs]
        assert own == [pod.aliases[0] for pod in pods]


@pytest.mark.parametrize("name", ["two-hosts.yaml", "gpu.yaml"])
def test_a_service_selects_the_pods_and_has_the_name_that_they_are_reached_by(name):
    service, job = manifests(name)
    template = job["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert template["spec"]["subdomain"] == service["metadata"]["name"]


def test_the_claims_of_the_manifests_are_those_of_volumes_yaml():
    made = {claim["metadata"]["name"] for claim in manifests("volumes.yaml")}
    text = "".join(file.read_text() for file in FILES)
    assert {part.split("}")[0] for part in text.split("claimName: ")[1:]} == made
