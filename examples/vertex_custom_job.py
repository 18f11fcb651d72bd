"""A custom job on Vertex AI by Google's own Python SDK, and the model in Vertex AI's registry.

    pip install google-cloud-aiplatform
    gcloud auth application-default login
    python examples/vertex_custom_job.py --project my-project --location europe-west4 \
        --bucket gs://bucket --image IMAGE --name mnist --register \
        -- --model cnn --train gs://bucket/mnist --epochs 5

Arguments behind `--` are those of `trainer train`. The job trains on one machine, or with `--hosts
4` on four that share each step. With `--register` the program waits for its end and uploads the
model with the same image as its server, so that it can be deployed to an endpoint. `trainer submit
--to vertex` sends the same job without any code.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

try:
    from google.cloud import aiplatform
except ImportError:
    # `--help` works without the SDK.
    aiplatform = None


def worker_pools(
    image: str, args: Sequence[str], machine: dict[str, Any], hosts: int
) -> list[dict[str, Any]]:
    """Return the pools of a job: pool 0 is the chief alone, pool 1 holds all other hosts."""
    container = {"image_uri": image, "args": [*args]}

    def pool(replicas: int) -> dict[str, Any]:
        return {
            "machine_spec": machine, "replica_count": replicas, "container_spec": container,
        }  # fmt: skip

    return [pool(1)] if hosts == 1 else [pool(1), pool(hosts - 1)]


def submit(flags: argparse.Namespace) -> Any:
    """Create the custom job, and return at once.

    The image finds the folders for its model, checkpoints and logs in the variables that Vertex AI
    sets below `base_output_dir`, so that no argument names them.
    """
    machine: dict[str, Any] = {"machine_type": flags.machine_type}
    if flags.accelerator_type:
        machine |= {"accelerator_type": flags.accelerator_type, "accelerator_count": 1}
    job = aiplatform.CustomJob(
        display_name=flags.name,
        worker_pool_specs=worker_pools(flags.image, flags.args, machine, flags.hosts),
        base_output_dir=f"{flags.bucket}/runs/{flags.name}",
        staging_bucket=flags.bucket,
    )
    job.submit(
        service_account=flags.service_account,
        # Hosts that share each step begin again together, from the newest checkpoint.
        restart_job_on_worker_restart=flags.hosts > 1,
    )
    return job


def register(flags: argparse.Namespace) -> Any:
    """Upload the model that the job has left; the image itself answers the requests."""
    return aiplatform.Model.upload(
        display_name=flags.name,
        model_id=flags.name,
        artifact_uri=f"{flags.bucket}/runs/{flags.name}/model",
        serving_container_image_uri=flags.image,
        serving_container_args=["serve"],
        serving_container_predict_route="/invocations",
        serving_container_health_route="/ping",
        serving_container_ports=[8080],
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Send the job, and with `--register` wait for it and upload its model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", required=True, help="project that pays for the job")
    parser.add_argument("--location", default="us-central1", help="region (default: %(default)s)")
    parser.add_argument("--bucket", required=True, help="gs://BUCKET for the results")
    parser.add_argument("--image", required=True, help="the trainer's image, in a registry")
    parser.add_argument("--name", default="mnist", help="of job and model (default: %(default)s)")
    parser.add_argument("--hosts", type=int, default=1, help="machines (default: %(default)s)")
    parser.add_argument("--machine-type", default="n1-standard-4", help="(default: %(default)s)")
    parser.add_argument("--accelerator-type", help="GPU of each machine, such as NVIDIA_TESLA_T4")
    parser.add_argument("--service-account", help="account that the job reads and writes as")
    parser.add_argument("--register", action="store_true", help="wait, then upload the model")
    parser.add_argument("args", nargs="*", help="arguments of trainer train, behind --")
    flags = parser.parse_args(argv)
    if aiplatform is None:
        parser.error("needs Google's SDK: pip install google-cloud-aiplatform")
    aiplatform.init(project=flags.project, location=flags.location)
    job = submit(flags)
    print(job.resource_name)
    if flags.register:
        job.wait_for_completion()
        print(register(flags).resource_name)


if __name__ == "__main__":
    main()
