"""Jobs of Vertex AI in the ways that scripts start them: scripts, packages, pools, requests."""

from __future__ import annotations

import pytest
from migrating import command, notes, printed

HEAD = """
from google.cloud import aiplatform
from google.cloud.aiplatform import hyperparameter_tuning as hpt
aiplatform.init(project='my-project', location='europe-west4', staging_bucket='bucket')
"""
GOOGLES = "europe-docker.pkg.dev/vertex-ai/training/tf-gpu.2-12:latest"
POOLS = [
    {"machine_spec": {"machine_type": "n1-standard-8", "accelerator_type": "NVIDIA_TESLA_T4",
                      "accelerator_count": 2},
     "replica_count": 1, "disk_spec": {"boot_disk_size_gb": 200},
     "container_spec": {"image_uri": "trainer:gpu", "command": ["python", "-m", "digits.task"],
                        "args": ["--epochs=3", "--units", "8", "--train=/gcs/bucket/mnist"],
                        "env": [{"name": "A", "value": "b"}]}},
    {"machine_spec": {"machine_type": "n1-standard-8"}, "replica_count": 2,
     "container_spec": {"image_uri": "trainer:gpu"}},
]  # fmt: skip


def test_a_script_of_a_training_job_becomes_the_module(tmp_path, capsys):
    text = printed(
        tmp_path,
        capsys,
        f"""{HEAD}
job = aiplatform.CustomTrainingJob('digits', 'task.py', '{GOOGLES}', requirements=['pandas'],
    model_serving_container_image_uri='eu/x')
model = job.run(dataset=data, model_display_name='m', replica_count=2, sync=True,
    machine_type='n1-standard-8', accelerator_type=aiplatform.gapic.AcceleratorType.NVIDIA_L4,
    accelerator_count=1, args=['--epochs', '3', '--rate=0.5', '--fast'])
""",
    )
    assert command(text, "submit") == (
        'trainer submit --to vertex --name digits --image "$IMAGE" --project my-project '
        "--region europe-west4 --staging-bucket gs://bucket --hosts 2 --machine-type n1-standard-8 "
        "--accelerator-type NVIDIA_L4 --accelerator-count 1 --wait -- --epochs 3 --module "
        f"{tmp_path}/task.py --hp rate=0.5 fast=true"
    )
    for line in (
        "script_path='task.py': ", "container_uri=", "requirements=['pandas']: build an image",
        "model_serving_container_image_uri='eu/x': leave it out: trainer deploy serves",
        "dataset=data: give the addresses of its files", "model_display_name='m': leave it out",
    ):  # fmt: skip
        assert line in notes(text)


@pytest.mark.parametrize(
    "job",
    [
        f"aiplatform.CustomJob('digits', {POOLS!r})",
        f"aiplatform.CustomJob(display_name='digits', worker_pool_specs={POOLS!r})",
    ],
)
def test_pools_become_hosts_and_arguments_flags(tmp_path, capsys, job):
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/task.py").write_text("def keras_model(hparams): ...\n")
    text = printed(tmp_path, capsys, f"{HEAD}{job}.run()")
    assert command(text, "submit") == (
        "trainer submit --to vertex --name digits --image trainer:gpu --project my-project "
        "--region europe-west4 --staging-bucket gs://bucket --hosts 3 --machine-type n1-standard-8 "
        "--accelerator-type NVIDIA_TESLA_T4 --accelerator-count 2 --boot-disk-gb 200 --env A=b "
        "--wait -- --epochs 3 --train gs://bucket/mnist --module "
        f"{tmp_path}/digits/task.py --hp units=8"
    )
    assert "command python -m digits.task: leave it out: the image starts" in notes(text)


def test_reduction_servers_are_no_parameter_servers(tmp_path, capsys):
    server = {"machine_spec": {"machine_type": "n1-highcpu-16"}, "replica_count": 4,
              "container_spec": {"image_uri": "us/vertex/reductionserver:latest"}}  # fmt: skip
    job = f"aiplatform.CustomJob('digits', {[*POOLS, server]!r}).submit()"
    found = command(printed(tmp_path, capsys, HEAD + job), "submit")
    assert "--reduction-servers 4 --reduction-server-image us/vertex/reductionserver" in found
    assert "--reduction-server-machine-type n1-highcpu-16" in found
    assert "--parameter-servers" not in found
    server["container_spec"] = {"image_uri": "trainer:gpu"}
    job = f"aiplatform.CustomJob('digits', {[*POOLS, server]!r}).submit()"
    found = command(printed(tmp_path, capsys, HEAD + job), "submit")
    assert "--parameter-servers 4 --server-machine-type n1-highcpu-16" in found


def test_a_package_names_the_module_that_is_to_be_written(tmp_path, capsys):
    package = {"executor_image_uri": GOOGLES, "package_uris": ["gs://b/trainer-0.1.tar.gz"],
               "python_module": "trainer.task", "args": ["--epochs=3"]}  # fmt: skip
    job = {"machine_spec": {"machine_type": "n1-standard-4"}, "python_package_spec": package}
    text = printed(tmp_path, capsys, f"{HEAD}aiplatform.CustomJob('digits', [{job!r}]).run()")
    assert command(text, "submit").endswith("--machine-type n1-standard-4 --wait -- --epochs 3")
    assert "python_module_name='trainer.task': name the file of its model by --module" in notes(
        text
    )


def test_a_search_over_a_local_script_becomes_ranges(tmp_path, capsys):
    text = printed(
        tmp_path,
        capsys,
        f"""{HEAD}
job = aiplatform.CustomJob.from_local_script(
    display_name='digits', script_path='task.py', container_uri='{GOOGLES}')
aiplatform.HyperparameterTuningJob('search', job, {{'loss': 'minimize'}}, {{
    'learning-rate': hpt.DoubleParameterSpec(0.001, 0.1, 'log'),
    'batch_size': hpt.DiscreteParameterSpec(values=[32, 64], scale=None)}},
    max_trial_count=8, parallel_trial_count=2).run()
""",
    )
    assert command(text, "submit") == (
        'trainer submit --to vertex --name search --image "$IMAGE" --project my-project --region '
        "europe-west4 --staging-bucket gs://bucket --wait --tune learning-rate=0.001..0.1:log "
        "batch-size=32,64 --trials 8 --parallel 2 -- --module "
        f"{tmp_path}/task.py --metric loss:min"
    )


def test_a_request_of_googles_client_becomes_a_command(tmp_path, capsys):
    camel = {"machineSpec": {"machineType": "n1-highmem-8"}, "replicaCount": "1",
             "containerSpec": {"imageUri": "trainer:cpu", "args": ["--epochs=3"]}}  # fmt: skip
    text = printed(
        tmp_path,
        capsys,
        f"""
from google.cloud import aiplatform_v1
def send(project, location='us-central1'):
    client = aiplatform_v1.JobServiceClient()
    client.create_custom_job(parent=f'projects/{{project}}/locations/{{location}}', custom_job={{
        'display_name': 'digits', 'labels': {{'teamName': 'x'}},
        'job_spec': {{'worker_pool_specs': [{camel!r}], 'service_account': 'a@b',
            'base_output_directory': {{'output_uri_prefix': 'gs://bucket/runs/digits'}},
            'scheduling': {{'timeout': {{'seconds': 3600}}, 'strategy': 'SPOT'}}}}}})
send('p')
""",
    )
    assert command(text, "submit") == (
        "trainer submit --to vertex --name digits --image trainer:cpu --output gs://bucket/runs "
        "--project p --region us-central1 --tags teamName=x --service-account a@b --max-time 3600 "
        "--spot --machine-type n1-highmem-8 -- --epochs 3"
    )


def test_a_job_without_a_bucket_gets_one(tmp_path, capsys):
    text = printed(tmp_path, capsys, "from google.cloud import aiplatform\n"
                   "aiplatform.CustomContainerTrainingJob('x', 'trainer:cpu').run()")  # fmt: skip
    assert '--output "gs://$GCS_BUCKET/runs"' in command(text, "submit")
    assert "refuses" not in text


def test_a_bucket_that_only_a_run_names_is_not_refused(tmp_path, capsys):
    text = printed(tmp_path, capsys, "from google.cloud import aiplatform\n"
                   "aiplatform.init(staging_bucket=args.bucket)\n"
                   "aiplatform.CustomContainerTrainingJob('x', 'trainer:cpu')"
                   ".run(base_output_dir=f'{args.bucket}/runs')")  # fmt: skip
    assert '--output "$BUCKET/runs"' in command(text, "submit")
    assert "refuses" not in text


def test_a_script_that_is_no_python_is_no_module(tmp_path, capsys):
    text = printed(tmp_path, capsys, "from sagemaker.tensorflow import TensorFlow\n"
                   "TensorFlow(entry_point='launch.sh', role='R', instance_count=1,"
                   " instance_type='ml.m5.large').fit()")  # fmt: skip
    assert "--module" not in command(text, "submit")
    assert "entry_point='launch.sh': is no Python: name the file of the model" in notes(text)
