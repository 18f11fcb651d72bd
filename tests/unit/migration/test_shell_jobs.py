"""Jobs that cells and lines of a shell start: gcloud, of two services, and the AWS CLI."""

from __future__ import annotations

import pytest
from migrating import command, commands, notebook, notes, printed

SETUP = """
import os
from datetime import datetime
BUCKET, REGION = 'bucket', 'europe-west4'
JOB = f'digits_{datetime.now():%Y%m%d}'
EPOCHS = 3
os.environ['BUCKET'] = BUCKET
"""
OLD_JOB = """gcloud {beta}ai-platform jobs submit training $JOB \\
  --region=$REGION --module-name trainer.task --package-path ../code/trainer \\
  --job-dir gs://$BUCKET/digits --runtime-version 1.15 --scale-tier BASIC_GPU {more}\\
  -- --train-files gs://$BUCKET/train --num-epochs={epochs} --units 8 --eval-steps 9
"""


def test_a_job_of_ai_platform_becomes_one_of_vertex_ai(tmp_path, capsys):
    line = "!" + OLD_JOB.format(beta="beta ", more="--stream-logs ", epochs="{EPOCHS}")
    text = printed(tmp_path, capsys, notebook(SETUP, line), name="x.ipynb")
    assert command(text, "submit") == (
        'trainer submit --to vertex --name "digits-$(date -u +%Y%m%d-%H%M%S)" --image "$IMAGE" '
        "--region europe-west4 --accelerator-type NVIDIA_TESLA_T4 --wait -- --job-dir "
        "gs://bucket/digits --train-files gs://bucket/train --epochs 3 --module "
        f"{tmp_path}/../code/trainer/task.py --hp units=8"
    )
    assert "x.ipynb cell 2:1: trains, as gcloud ai-platform jobs submit training does" in text
    assert "runtime_version='1.15': leave it out: the image brings its own" in notes(text)
    assert "--eval-steps: leave it out: an evaluation reads all of --test" in notes(text)


def test_a_cell_of_bash_and_a_script_of_bash_are_read(tmp_path, capsys):
    lines = (
        "JOB=digits_$(date -u +%y%m%d)\n# EPOCHS=2\nexport EPOCHS=5 REGION=us-central1\n"
        f"if true; then\n{OLD_JOB.format(beta='', more='', epochs='$EPOCHS')}fi\n"
    )
    cell = printed(tmp_path, capsys, notebook(SETUP, f"%%bash\n{lines}"), name="x.ipynb")
    found = command(cell, "submit")
    assert '--name "digits-$(date -u +%Y%m%d-%H%M%S)"' in found
    assert "--region us-central1" in found
    assert "--train-files gs://bucket/train --epochs 5" in found
    assert "x.ipynb cell 2:6: trains" in cell
    script = printed(tmp_path, capsys, f"#!/bin/bash\n{lines}", name="submit.sh")
    assert '--train-files "gs://$BUCKET/train" --epochs 5' in command(script, "submit")
    assert ': "${BUCKET:?BUCKET, submit.sh:8}"' in script


def test_a_custom_job_of_gcloud_becomes_a_command(tmp_path, capsys):
    line = (
        "!gcloud ai custom-jobs create --display-name=digits --region={REGION} "
        "--worker-pool-spec=machine-type='n1-standard-8',replica-count=1,accelerator-type="
        "NVIDIA_L4,accelerator-count=1,container-image-uri=trainer:gpu \\\n"
        "  --worker-pool-spec=machine-type=n1-standard-8,replica-count=2,"
        "container-image-uri=trainer:gpu --labels=team=x --service-account a@b \\\n"
        '  --args="--train","/gcs/$BUCKET/mnist",--epochs={EPOCHS} --env-vars=A=b,C=d'
    )
    text = printed(tmp_path, capsys, notebook(SETUP, line), name="x.ipynb")
    assert command(text, "submit") == (
        "trainer submit --to vertex --name digits --image trainer:gpu --region europe-west4 "
        "--service-account a@b --tags team=x --env A=b C=d --hosts 3 --machine-type n1-standard-8 "
        '--accelerator-type NVIDIA_L4 --accelerator-count 1 --output "gs://$GCS_BUCKET/runs" -- '
        "--train gs://bucket/mnist --epochs 3"
    )


CONFIG = """
studySpec:
  metrics: [{metricId: accuracy, goal: MAXIMIZE}]
  parameters:
    - parameterId: learning-rate
      scaleType: UNIT_LOG_SCALE
      doubleValueSpec: {minValue: 0.001, maxValue: 0.1}
    - parameterId: batch_size
      discreteValueSpec: {values: [32, 64]}
trialJobSpec:
  workerPoolSpecs:
    - machineSpec: {machineType: n1-standard-4}
      replicaCount: 1
      containerSpec: {imageUri: "trainer:cpu", args: ["--epochs=3"]}
"""
OLD_CONFIG = """
trainingInput:
  scaleTier: CUSTOM
  masterType: n1-standard-4
  workerCount: 2
  hyperparameters:
    goal: MINIMIZE
    hyperparameterMetricTag: loss
    maxTrials: 9
    maxParallelTrials: 3
    params:
    - {parameterName: learning-rate, type: DOUBLE, minValue: 0.001, maxValue: 0.1,
       scaleType: UNIT_LOG_SCALE}
    - {parameterName: optimizer, type: CATEGORICAL, categoricalValues: [adam, sgd]}
"""


@pytest.mark.parametrize("where", ["beside it", "written by a cell", "written by bash"])
def test_the_file_of_a_search_is_read(tmp_path, capsys, where):
    line = ("gcloud ai hp-tuning-jobs create --display-name=search --region=europe-west4 "
            "--max-trial-count=8 --parallel-trial-count=2 --config=search.yaml")  # fmt: skip
    cells = {
        "beside it": [f"!{line}"],
        "written by a cell": [f"%%writefile search.yaml{CONFIG}", f"!{line}"],
        "written by bash": [f"%%bash\ncat > search.yaml <<'END'{CONFIG}END\n{line}"],
    }[where]
    if where == "beside it":
        (tmp_path / "search.yaml").write_text(CONFIG)
    text = printed(tmp_path, capsys, notebook(*cells), name="x.ipynb")
    assert command(text, "submit") == (
        "trainer submit --to vertex --name search --image trainer:cpu --region europe-west4 "
        '--machine-type n1-standard-4 --output "gs://$GCS_BUCKET/runs" --tune '
        "learning-rate=0.001..0.1:log batch-size=32,64 --trials 8 --parallel 2 -- --epochs 3"
    )


def test_the_file_of_ai_platform_is_read(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(OLD_CONFIG)
    line = ("gcloud ml-engine jobs submit training digits --region europe-west4 --config "
            "config.yaml --job-dir gs://b/x")  # fmt: skip
    found = command(printed(tmp_path, capsys, line, name="x.sh"), "submit")
    assert found == (
        'trainer submit --to vertex --name digits --image "$IMAGE" --region europe-west4 '
        "--machine-type n1-standard-4 --hosts 3 --tune learning-rate=0.001..0.1:log "
        "optimizer=adam,sgd --trials 9 --parallel 3 -- --job-dir gs://b/x --metric loss:min"
    )


def test_a_file_that_is_not_there_is_a_line(tmp_path, capsys):
    line = "gcloud ai custom-jobs create --display-name=x --region=us-central1 --config=no.yaml"
    text = printed(tmp_path, capsys, line, name="x.sh")
    assert "config='no.yaml': is no file that is read here: give what it says as flags" in text


REQUEST = """aws sagemaker create-training-job --region eu-west-1 --training-job-name digits \\
 --algorithm-specification TrainingImage=1.dkr/trainer:gpu,TrainingInputMode=FastFile \\
 --role-arn $ROLE --hyper-parameters epochs=3,batch-size=64 \\
 --input-data-config {data} \\
 --output-data-config S3OutputPath=s3://bucket/out --enable-managed-spot-training \\
 --resource-config '{{"InstanceType": "ml.p3.2xlarge", "InstanceCount": 2}}' \\
 --vpc-config Subnets=s-1,s-2,SecurityGroupIds=g-1 --tags Key=team,Value=x \\
 --stopping-condition MaxRuntimeInSeconds=3600,MaxWaitTimeInSeconds=7200
"""
JSON = """'[{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://'$BUCKET'/t"}}}]'"""
SHORT = "ChannelName=train,DataSource={S3DataSource={S3DataType=S3Prefix,S3Uri=s3://$BUCKET/t}}"


@pytest.mark.parametrize("data", [JSON, SHORT])
def test_a_request_of_the_aws_cli_becomes_a_command(tmp_path, capsys, data):
    lines = f"aws s3 cp data/t s3://$BUCKET/t --recursive\n{REQUEST.format(data=data)}"
    text = printed(tmp_path, capsys, lines, name="train.sh")
    assert command(text, "submit") == (
        "trainer submit --to sagemaker --name digits --image 1.dkr/trainer:gpu --input-mode "
        'FastFile --role "$ROLE" --output s3://bucket/out --spot --instance-type ml.p3.2xlarge '
        "--hosts 2 --subnets s-1 s-2 --security-groups g-1 --tags team=x --max-time 3600 "
        '--max-wait 7200 --region eu-west-1 -- --batch-size 64 --epochs 3 --train "s3://$BUCKET/t"'
    )
    assert commands(text, "data sync") == ['trainer data sync data/t "s3://$BUCKET/t"']


@pytest.mark.parametrize(
    "call",
    ["os.system(LINE)", "subprocess.run(LINE, shell=True, check=True)",
     "subprocess.check_call(LINE.split(' '))", "get_ipython().system(LINE)"],
)  # fmt: skip
def test_lines_that_python_runs_are_read(tmp_path, capsys, call):
    script = (
        "import os, subprocess, sys\nname = sys.argv[1]\n"
        "LINE = f'gcloud ai custom-jobs create --display-name={name} --region=us-central1 "
        "--worker-pool-spec=machine-type=n1-standard-4,container-image-uri=trainer:cpu'\n"
        f"{call}\n"
    )
    if "split" in call:
        script = script.replace("{name}", "digits")
    found = command(printed(tmp_path, capsys, script), "submit")
    assert "--image trainer:cpu --region us-central1 --machine-type n1-standard-4" in found
    assert ('--name "$NAME"' if "split" not in call else "--name digits") in found


def test_what_else_a_shell_does_with_models_is_a_line(tmp_path, capsys):
    lines = (
        "gcloud ai custom-jobs create --display-name=x --worker-pool-spec="
        "machine-type=n1-standard-4,container-image-uri=trainer:cpu\n"
        "gcloud beta ai models upload --display-name=x\ngcloud ai endpoints create\n"
        "gsutil -m cp -r data/t gs://b/t; gsutil cp dist/a.tar.gz gs://b/\ngcloud auth login\n"
    )
    text = printed(tmp_path, capsys, lines, name="x.sh")
    assert "x.sh:2: gcloud ai models: use trainer deploy MODEL --to vertex" in notes(text)
    assert "x.sh:3: gcloud ai endpoints: use trainer deploy MODEL" in notes(text)
    assert commands(text, "data sync") == ["trainer data sync data/t gs://b/t"]


@pytest.mark.parametrize(
    "line",
    ["gcloud ai custom-jobs create --worker-pool-spec",
     "aws sagemaker create-training-job --tags K=x,{y",
     "aws sagemaker create-training-job --x {",
     "gcloud ai-platform jobs submit training --config /dev/zero -- \\", "echo 'x", 'echo "$(',
     "aws sagemaker create-training-job --tags a=b,,={}[", "cat <<END\nx", "$ ${ ${x:-$(y} `"],
)  # fmt: skip
def test_a_line_that_is_cut_off_is_no_crash(tmp_path, capsys, line):
    end = "\ngcloud ai custom-jobs create --display-name=x --region=us-central1\n"
    printed(tmp_path, capsys, f"{end}{line}", name="x.sh")


def test_data_that_the_sdk_and_boto3_upload_is_copied(tmp_path, capsys):
    script = """
import boto3, os, sagemaker
from sagemaker.s3 import S3Uploader
from sagemaker.tensorflow import TensorFlow
data = S3Uploader.upload('data', 's3://{}/digits'.format(sagemaker.Session().default_bucket()))
boto3.client('s3').upload_file('test.npz', 'bucket', 'digits/test.npz')
here = os.path.join(os.getcwd(), 'data')
e = TensorFlow(role='R', instance_count=1, instance_type='ml.m5.large')
e.fit({'train': f'{data}/train', 'validation': 'file://{}/val'.format(here)})
"""
    text = printed(tmp_path, capsys, script)
    assert commands(text, "data sync") == [
        'trainer data sync data "s3://$BUCKET/digits"',
        "trainer data sync test.npz s3://bucket/digits",
    ]
    found = command(text, "submit")
    assert '--validation data/val --train "s3://$BUCKET/digits/train"' in found
    assert "upload" not in notes(text)


def test_names_that_only_a_run_would_show_are_no_crash(tmp_path, capsys):
    line = (
        "gcloud ai custom-jobs create --display-name=x --$FLAG=1 --env-vars=$NAME=b,C=d "
        "--worker-pool-spec=machine-type=n1-standard-4,container-image-uri=trainer:cpu"
    )
    text = printed(tmp_path, capsys, line, name="x.sh")
    assert "--env '$NAME=b' C=d" in command(text, "submit")
    assert "$FLAG='1': no flag of trainer submit does that" in notes(text)


def test_a_job_whose_file_has_another_form_is_named_and_the_next_one_is_read(tmp_path, capsys):
    (tmp_path / "job.yaml").write_text("studySpec: {metrics: 4}\n")
    lines = (
        "gcloud ai hp-tuning-jobs create --display-name=one --region=europe-west4 "
        "--config=job.yaml\n"
        "gcloud ai custom-jobs create --display-name=two --region=europe-west4 "
        "--worker-pool-spec=machine-type=n1-standard-8,container-image-uri=trainer:gpu\n"
    )
    text = printed(tmp_path, capsys, lines, name="submit.sh")
    assert "--name two" in command(text, "submit")
    assert "submit.sh:1: gcloud ai hp-tuning-jobs create: its options or its file have" in text
