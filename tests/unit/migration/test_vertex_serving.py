"""Models of Vertex AI, the endpoints and batch jobs that scripts make of them."""

from __future__ import annotations

from migrating import command, commands, notes, printed

HEAD = """
from google.cloud import aiplatform as aip
aip.init(project='my-project', location='europe-west4', staging_bucket='gs://bucket')
"""
UPLOAD = f"""{HEAD}
model = aip.Model.upload(display_name='m', artifact_uri='gs://bucket/model',
    serving_container_image_uri='us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-8:latest')
job = aip.CustomContainerTrainingJob('digits', 'trainer:cpu')
"""


def test_the_model_of_a_run_becomes_an_endpoint(tmp_path, capsys):
    text = printed(
        tmp_path,
        capsys,
        f"""{HEAD}
job = aip.CustomContainerTrainingJob('digits', 'trainer:cpu')
model = job.run(machine_type='n1-standard-8')
endpoint = model.deploy(deployed_model_display_name='digits-1', machine_type='n1-standard-4',
    min_replica_count=1, max_replica_count=3, accelerator_type='NVIDIA_TESLA_T4',
    accelerator_count=2, traffic_split={{'0': 100}}, explanation_metadata=x)
endpoint.predict([[1]])
endpoint.undeploy_all()
""",
    )
    assert command(text, "deploy") == (
        'trainer deploy digits --to vertex --image "$IMAGE" --project my-project --region '
        "europe-west4 --name digits-1 --machine-type n1-standard-4 --count 1 --max-count 3 "
        "--accelerator NVIDIA_TESLA_T4:2"
    )
    assert "explanation_metadata=x: trainer deploy has no flag for it" in notes(text)
    assert "predict: use trainer predict NAME FILES --to vertex" in notes(text)
    assert "undeploy_all: use trainer undeploy NAME --to vertex" in notes(text)


def test_a_run_whose_name_has_the_time_is_deployed_by_that_name(tmp_path, capsys):
    text = printed(
        tmp_path,
        capsys,
        f"""{HEAD}
import time
job = aip.CustomContainerTrainingJob(f'digits-{{time.time()}}', 'trainer:cpu')
job.run(machine_type='n1-standard-8').deploy(machine_type='n1-standard-4')
""",
    )
    assert 'JOB="digits-$(date -u +%Y%m%d-%H%M%S)"' in text.splitlines()
    assert '--name "$JOB"' in command(text, "submit")
    assert 'trainer deploy "$JOB" --to vertex' in command(text, "deploy")


def test_a_model_that_is_uploaded_is_deployed_from_its_address(tmp_path, capsys):
    text = printed(
        tmp_path,
        capsys,
        f"""{UPLOAD}
endpoint = aip.Endpoint.create(display_name='e')
endpoint.deploy(model, machine_type='n1-standard-2', min_replica_count=2, max_replica_count=2)
model.batch_predict(job_display_name='b', gcs_source=['gs://bucket/in.jsonl'],
    gcs_destination_prefix='gs://bucket/out', instances_format='jsonl', machine_type='n1-highmem-2')
""",
    )
    assert commands(text, "deploy") == [
        'trainer deploy gs://bucket/model --to vertex --image "$IMAGE" --project my-project '
        "--region europe-west4 --machine-type n1-standard-2 --count 2",
        'trainer deploy gs://bucket/model --to vertex --image "$IMAGE" --project my-project '
        "--region europe-west4 --machine-type n1-highmem-2 --batch gs://bucket/in.jsonl "
        "gs://bucket/out --batch-type jsonl",
    ]
    assert "the trainer's image takes its place; it serves models of TensorFlow" in notes(text)
    assert "upload:" not in notes(text)
    assert "refuses" not in text


def test_a_model_that_is_uploaded_alone_is_a_line(tmp_path, capsys):
    text = printed(tmp_path, capsys, UPLOAD)
    assert "upload: use trainer deploy URL --to vertex" in notes(text)
    assert commands(text, "deploy") == []


def test_an_endpoint_of_vertex_ai_moves_to_sagemaker(tmp_path, capsys):
    text = printed(
        tmp_path, capsys, f"{UPLOAD}model.deploy(machine_type='n1-standard-2')", "--to", "sagemaker"
    )
    found = command(text, "deploy")
    assert '--to sagemaker --image "$IMAGE" --role "$ROLE"' in found
    assert "n1-standard-2" not in found
    assert "machine_type='n1-standard-2': choose the machines of the new place" in notes(text)


def test_an_image_of_another_framework_is_marked(tmp_path, capsys):
    image = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest"
    job = f"{HEAD}aip.CustomTrainingJob('x', 't.py', '{image}').run()"
    text = printed(tmp_path, capsys, job)
    assert "container_uri=" in notes(text)
    assert "the trainer trains Keras models of TensorFlow alone" in notes(text)
