"""Nothing that a script asks for disappears: what no command does is a line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainer.cli.command_line import main

ESTIMATOR = """
import boto3
import sagemaker
from google.cloud import aiplatform
from sagemaker.tensorflow import TensorFlow, TensorFlowModel
e = TensorFlow(entry_point='t.py', role='R', instance_count=1, instance_type='ml.m5.large')
e.fit({'train': 's3://bucket/train'})
"""


def printed(folder: Path, capsys, text: str, *flags: str) -> str:
    """Return what the program prints for a script, which bash can read, in one line a command."""
    (folder / "train.py").write_text(text)
    assert main(["migrate", str(folder / "train.py"), *flags]) == 0
    out = capsys.readouterr().out
    assert subprocess.run(["bash", "-n"], input=out, text=True, check=False).returncode == 0
    return out.replace(" \\\n   ", "")


def notes(text: str) -> str:
    return text.partition("# Not carried over:\n")[2]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("from sagemaker.sklearn.processing import SKLearnProcessor\n"
         "SKLearnProcessor(role='R').run(code='p.py')",
         "SKLearnProcessor: trainer data create, split and sync"),
        ("from sagemaker.multidatamodel import MultiDataModel\nMultiDataModel(name='m')",
         "MultiDataModel: an endpoint holds one model"),
        ("from sagemaker.workflow.pipeline import Pipeline\nPipeline(name='p', steps=[]).start()",
         "Pipeline: run the commands above one after another"),
        ("from sagemaker.serve import ModelBuilder\nModelBuilder(model=e).build()",
         "ModelBuilder: use trainer deploy JOB --to sagemaker"),
        ("from sagemaker.predictor import Predictor\nPredictor('ep').predict([1])",
         "predict: use trainer predict NAME FILES --to sagemaker"),
        ("sagemaker.Session().delete_endpoint('ep')", "delete_endpoint: use trainer undeploy NAME"),
        ("from sagemaker.mxnet import MXNetModel\n"
         "MXNetModel('s3://b/m.tar.gz', 'R', 'i.py').deploy(1, 'ml.m5.large')",
         "MXNetModel: the trainer serves TensorFlow alone"),
        ("sagemaker.KMeans(role='R', k=3).fit(data)", "fit: trainer trains Keras models"),
        ("boto3.client('sagemaker-runtime').invoke_endpoint(EndpointName='ep')",
         "invoke_endpoint: use trainer predict"),
        ("boto3.client('sagemaker').create_training_job(TrainingJobName='x')",
         "create_training_job: use trainer submit --to sagemaker"),
        ("from sagemaker.tuner import HyperparameterTuner\n"
         "HyperparameterTuner.create({'a': e}, {}, {})", "create: use trainer submit with --tune"),
        ("aiplatform.Model('projects/p/models/1').deploy()", "deploy: use trainer deploy MODEL"),
        ("aiplatform.Model.upload(display_name='m').deploy()", "upload: use trainer deploy URL"),
    ],
)  # fmt: skip
def test_what_no_command_does_is_a_line(tmp_path, capsys, code, line):
    assert line in notes(printed(tmp_path, capsys, ESTIMATOR + code, "--to", "sagemaker"))


def test_a_channel_that_is_divided_by_files_and_a_trial_are_lines(tmp_path, capsys):
    text = ESTIMATOR.replace(
        "e.fit({'train': 's3://bucket/train'})",
        "from sagemaker.inputs import TrainingInput\n"
        "e.fit({'test': TrainingInput('s3://bucket/test', distribution='ShardedByS3Key')},"
        "      experiment_config={'ExperimentName': 'x', 'TrialName': 't'})",
    )
    found = notes(printed(tmp_path, capsys, text))
    assert "channel test: distribution='ShardedByS3Key': leave it out: every host gets" in found
    assert "TrialName='t': leave it out" in found


def test_a_script_of_this_machine_has_a_bucket_to_be_uploaded_to(tmp_path, capsys):
    found = printed(tmp_path, capsys, ESTIMATOR)
    assert ': "${BUCKET:?default bucket of the SageMaker session}"' in found
    assert '--output "s3://$BUCKET/runs"' in found
    found = printed(tmp_path, capsys, ESTIMATOR, "--to", "vertex")
    assert '--output "gs://$GCS_BUCKET/runs"' in found


def test_what_fit_has_besides_and_a_model_from_elsewhere_are_lines(tmp_path, capsys):
    text = ESTIMATOR.replace("'})", "'}, run_tensorboard_locally=True)")
    found = notes(printed(tmp_path, capsys, f"{text}\nstored.best().deploy(1, 'ml.m5.large')"))
    assert "run_tensorboard_locally=True: use --log-dir behind --" in found
    assert "train.py:9: deploy: use trainer deploy MODEL --to sagemaker" in found
    again = notes(printed(tmp_path, capsys, f"{text}\ne.fit('s3://bucket/more')"))
    assert "train.py:9: fit: starts one more job: repeat the command" in again
    own = "class Mine:\n    def deploy(self): pass\nMine().deploy()"
    assert "trainer deploy" not in printed(tmp_path, capsys, f"{text}\n{own}")


def test_an_experiment_at_vertex_has_a_project(tmp_path, capsys):
    text = ESTIMATOR.replace("'})", "'}, experiment_config={'ExperimentName': 'x'})")
    found = printed(tmp_path, capsys, text, "--to", "vertex")
    assert '--experiment x --project "$PROJECT"' in found and "refuses" not in found


def test_pipe_mode_of_a_channel_becomes_fast_file(tmp_path, capsys):
    text = ESTIMATOR.replace(
        "'s3://bucket/train'", "sagemaker.inputs.TrainingInput('s3://bucket/t', input_mode='Pipe')"
    )
    found = printed(tmp_path, capsys, text)
    assert "--input-mode FastFile" in found and "input_mode='Pipe': FastFile" in notes(found)


def test_the_arguments_of_a_model_and_of_its_endpoint_are_flags(tmp_path, capsys):
    found = printed(
        tmp_path, capsys,
        "from sagemaker.tensorflow import TensorFlowModel\n"
        "m = TensorFlowModel(model_data='s3://bucket/m.tar.gz', role='R', source_dir='code',\n"
        "    entry_point='inference.py', env={'A': '1'},\n"
        "    vpc_config={'Subnets': ['s'], 'SecurityGroupIds': ['g']})\n"
        "m.deploy(1, 'ml.m5.large', tags=[{'Key': 'team', 'Value': 'ml'}, "
        "{'Key': 'password', 'Value': 'hunter2hunter2aa'}], volume_size=30)",
    )  # fmt: skip
    (command,) = [line for line in found.splitlines() if line.startswith("trainer deploy")]
    for flag in ("--code code", "--env A=1", "--subnets s", "--security-groups g", "team=ml"):
        assert flag in command
    assert "hunter2" not in found and "refuses" not in found
    assert "volume_size=30: trainer deploy has no flag for it" in notes(found)


def test_an_endpoint_at_vertex_has_a_machine_of_google(tmp_path, capsys):
    text = ESTIMATOR + "e.deploy(1, 'ml.g4dn.xlarge')"
    found = printed(tmp_path, capsys, text, "--to", "vertex", "--bucket", "gs://bucket")
    assert "--machine-type n1-standard-8 --accelerator NVIDIA_TESLA_T4:1" in found
    assert "--instance-type" not in found
    # The SDK of SageMaker chooses a bucket by itself.
    assert "--output gs://bucket/runs" in found and "refuses" not in found
    assert "make push-google" in found and "push-aws" not in found


@pytest.mark.parametrize(
    ("place", "how"),
    [("sagemaker", "make push-aws}"), ("vertex", "make push-google}"), ("docker", "make image}"),
     ("kubernetes", "make push-aws or make push-google}")],
)  # fmt: skip
def test_the_image_is_made_for_the_place(tmp_path, capsys, place, how):
    assert how in printed(tmp_path, capsys, ESTIMATOR, "--to", place)


def test_a_script_for_docker_asks_no_service_for_its_module(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "refuses" not in printed(tmp_path, capsys, ESTIMATOR, "--to", "compose")


def test_names_of_version_3_come_from_a_star_as_well(tmp_path, capsys):
    found = printed(
        tmp_path, capsys,
        "from sagemaker.train import ModelTrainer\nfrom sagemaker.train.configs import *\n"
        "t = ModelTrainer(training_image='a/trainer:gpu', role='R', training_mode="
        "Mode.LOCAL_CONTAINER, compute=Compute(instance_type='ml.m5.large', instance_count=2),\n"
        "    input_data_config=[InputData(channel_name='train', data_source='s3://b/t')])\n"
        "t.train()",
    )  # fmt: skip
    assert "--local --instance-type ml.m5.large --hosts 2 -- --train s3://b/t" in found
    assert notes(found) == ""


def test_a_tuning_job_of_vertex_is_a_search(tmp_path, capsys):
    found = printed(
        tmp_path, capsys,
        "from google.cloud import aiplatform\n"
        "from google.cloud.aiplatform import hyperparameter_tuning as hpt\n"
        "job = aiplatform.CustomJob(display_name='c', project='p', base_output_dir='gs://b/o',\n"
        "    worker_pool_specs=[{'machine_spec': {'machine_type': 'n1-standard-4'},\n"
        "    'container_spec': {'image_uri': 'a/trainer:cpu', 'args': ['--train=gs://b/t']}}])\n"
        "aiplatform.HyperparameterTuningJob(display_name='h', custom_job=job,\n"
        "    metric_spec={'loss': 'minimize'}, parameter_spec={\n"
        "        'learning_rate': hpt.DoubleParameterSpec(min=0.001, max=1, scale='log'),\n"
        "        'batch_size': hpt.DiscreteParameterSpec(values=[64, 128], scale=None)},\n"
        "    max_trial_count=8, parallel_trial_count=2).run()",
    )  # fmt: skip
    (command,) = [line for line in found.splitlines() if line.startswith("trainer submit")]
    assert "--name h " in command and "--metric loss:min" in command
    assert "--tune learning-rate=0.001..1:log batch-size=64,128 --trials 8 --parallel 2" in command
    assert notes(found) == "" and "refuses" not in found


def test_a_secret_that_the_shell_has_to_have_is_asked_for_in_a_line_that_it_reads(tmp_path, capsys):
    text = ESTIMATOR.replace("role='R'", "role=os.environ.get('ROLE_TOKEN', 'hunter2hunter2aa')")
    found = printed(tmp_path, capsys, f"import os{text}")
    assert ': "${ROLE_TOKEN?a secret, train.py:6}"' in found
    assert "hunter2" not in found


def test_a_script_comes_from_standard_input(capsys):
    ran = subprocess.run(
        [sys.executable, "-m", "trainer", "migrate", "-"], input=ESTIMATOR.replace("\n", "\r\n"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0 and "# stdin:6: trains" in ran.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [("https://example.org/train.py", "is no file of this machine; download it first"),
     ("/dev/zero", "has more than 64 MiB")],
)  # fmt: skip
def test_what_is_no_script_is_refused(capsys, file, line):
    assert main(["migrate", file]) == 2
    assert line in capsys.readouterr().err


def test_requests_by_boto3_alone_are_answered_by_what_to_do(tmp_path, capsys):
    (tmp_path / "b.py").write_text("import boto3\nboto3.client('s').create_training_job(A='x')")
    assert main(["migrate", str(tmp_path / "b.py")]) == 2
    assert "for create_training_job in b.py:2: use trainer submit" in capsys.readouterr().err
