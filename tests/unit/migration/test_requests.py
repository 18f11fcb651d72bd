"""Requests that scripts send by boto3, and the values that people put into them."""

from __future__ import annotations

import pytest
from migrating import command, notes, printed

REQUEST = """
import os
from time import gmtime, strftime
import boto3

client = boto3.client('sagemaker')
bucket = os.environ['BUCKET']

def submit(rate=0.01, kind='ml.p3.2xlarge'):
    name = 'digits-' + strftime('%Y-%m-%d-%H-%M-%S', gmtime())
    request = {
        'TrainingJobName': name,
        'RoleArn': 'arn:aws:iam::123456789012:role/R',
        'AlgorithmSpecification': {
            'TrainingImage': '1.dkr/trainer:gpu', 'TrainingInputMode': 'FastFile'},
        'HyperParameters': {'epochs': '3', 'learning_rate': str(rate),
            'sagemaker_program': 'net.py', 'sagemaker_submit_directory': 's3://b/code.tar.gz'},
        'InputDataConfig': [
            {'ChannelName': 'train', 'DataSource': {'S3DataSource': {
                'S3DataType': 'S3Prefix', 'S3Uri': 's3://%s/train' % bucket,
                'S3DataDistributionType': 'ShardedByS3Key'}}},
            {'ChannelName': 'test', 'DataSource': {'FileSystemDataSource': {'FileSystemId': 'f'}}},
        ],
        'OutputDataConfig': {'S3OutputPath': f's3://{bucket}/out', 'CompressionType': 'GZIP'},
        'ResourceConfig': {'InstanceType': kind, 'InstanceCount': 2, 'VolumeSizeInGB': 50},
        'StoppingCondition': {'MaxRuntimeInSeconds': 60 * 60},
    }
    if bucket:
        request['EnableManagedSpotTraining'] = True
        request['StoppingCondition']['MaxWaitTimeInSeconds'] = 7200
    return client.create_training_job(**request)

submit()
"""


def test_a_training_request_becomes_a_command(tmp_path, capsys):
    text = printed(tmp_path, capsys, REQUEST)
    assert command(text, "submit") == (
        'trainer submit --to sagemaker --name "digits-$(date -u +%Y%m%d-%H%M%S)" --image '
        "1.dkr/trainer:gpu --role arn:aws:iam::123456789012:role/R --input-mode FastFile "
        '--output "s3://$BUCKET/out" --instance-type ml.p3.2xlarge --hosts 2 --volume-size 50 '
        "--max-time 3600 --max-wait 7200 --spot -- --learning-rate 0.01 --epochs 3 "
        '--shard-by host --train "s3://$BUCKET/train"'
    )
    assert "as create_training_job does" in text
    assert "refuses" not in text
    assert "sagemaker_submit_directory='s3://b/code.tar.gz': unpack it here" in notes(text)
    assert "channel test: copy the file system's data to S3" in notes(text)
    # It is sent, and not followed to its end.
    assert "--wait" not in command(text, "submit")


def test_a_training_request_moves_to_another_cloud(tmp_path, capsys):
    text = printed(tmp_path, capsys, REQUEST, "--to", "vertex", "--bucket", "gs://b")
    assert "--to vertex" in command(text, "submit")
    assert "--machine-type n1-standard-8 --accelerator-type NVIDIA_TESLA_V100" in text


def test_a_tuning_request_becomes_a_search(tmp_path, capsys):
    script = """
import boto3
boto3.Session().client('sagemaker').create_hyper_parameter_tuning_job(
    HyperParameterTuningJobName='search-1',
    HyperParameterTuningJobConfig={
        'Strategy': 'Random',
        'HyperParameterTuningJobObjective': {'Type': 'Minimize', 'MetricName': 'validation:loss'},
        'ResourceLimits': {'MaxNumberOfTrainingJobs': 20, 'MaxParallelTrainingJobs': 4},
        'ParameterRanges': {
            'ContinuousParameterRanges': [{'Name': 'learning-rate', 'MinValue': '0.001',
                'MaxValue': '0.1', 'ScalingType': 'Logarithmic'}],
            'IntegerParameterRanges': [{'Name': 'steps', 'MinValue': '10', 'MaxValue': '90'}],
            'CategoricalParameterRanges': [{'Name': 'optimizer', 'Values': ['sgd', 'adam']}]}},
    TrainingJobDefinition={
        'RoleArn': 'R', 'AlgorithmSpecification': {'TrainingImage': '1.dkr/trainer:gpu'},
        'StaticHyperParameters': {'batch_size': '32'},
        'InputDataConfig': [{'ChannelName': 'train',
            'DataSource': {'S3DataSource': {'S3Uri': 's3://b/train'}}}],
        'OutputDataConfig': {'S3OutputPath': 's3://b/out'},
        'ResourceConfig': {'InstanceType': 'ml.m5.xlarge', 'InstanceCount': 1}})
"""
    text = printed(tmp_path, capsys, script)
    assert command(text, "submit") == (
        'trainer submit --to sagemaker --name "search-1-$(date -u +%Y%m%d-%H%M%S)" --image '
        "1.dkr/trainer:gpu --role R --output s3://b/out --instance-type ml.m5.xlarge --hosts 1 "
        "--tune steps=10..90 learning-rate=0.001..0.1:log optimizer=sgd,adam --trials 20 "
        "--parallel 4 -- --batch-size 32 --metric loss:min --train s3://b/train"
    )
    assert "strategy='Random': a search has --tune, --trials and --parallel alone" in notes(text)


def test_a_request_that_only_a_run_would_show_is_a_line(tmp_path, capsys):
    script = REQUEST + "client.create_training_job(**configured())"
    assert "create_training_job: use trainer submit --to sagemaker" in notes(
        printed(tmp_path, capsys, script)
    )


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("args.rate", ': "${RATE:=0.5}"'),
        ("args.kind", ': "${KIND:?args.kind, train.py:9}"'),
        ("os.environ.get('RATE', 0.25)", ': "${RATE:=0.25}"'),
        ("os.getenv('RATE', '$(rm x)')", ': "${RATE:?os.getenv(RATE, (rm x)), train.py:9}"'),
        ("os.environ.get('API_TOKEN', 'abc-123-def')", ': "${API_TOKEN?a secret, train.py:9}"'),
        ("str(uuid.uuid4())", ': "${UUID4:=$(date -u +%Y%m%d-%H%M%S)}"'),
    ],
)  # fmt: skip
def test_a_value_has_the_default_that_the_script_gives_it(tmp_path, capsys, value, line):
    script = (
        "import argparse, os, uuid\nfrom sagemaker.tensorflow import TensorFlow\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('-r', '--rate', type=float, default=0.5)\n"
        "parser.add_argument('--kind', required=True)\n"
        "parser.add_argument('--fast', action='store_true', default=False)\n"
        "args = parser.parse_args()\n"
        "TensorFlow(role='R', instance_count=1, instance_type='ml.m5.large',\n"
        f"    hyperparameters={{'own': {value}}}).fit()"
    )
    text = printed(tmp_path, capsys, script)
    assert line in text
    assert "abc-123-def" not in text


@pytest.mark.parametrize(
    "name",
    ["f'run-{datetime.now():%Y%m%d}'", "'run-' + str(int(time.time()))", "name_from_base('run')",
     "'run_{}'.format(uuid.uuid4().hex[:8])"],
)  # fmt: skip
def test_a_name_with_the_time_gets_the_time_anew(tmp_path, capsys, name):
    script = (
        "import time, uuid\nfrom datetime import datetime\n"
        "from sagemaker.tensorflow import TensorFlow\nfrom sagemaker.utils import name_from_base\n"
        "TensorFlow(role='R', instance_count=1, instance_type='ml.m5.large')"
        f".fit(job_name={name})"
    )
    text = printed(tmp_path, capsys, script)
    assert '--name "run-$(date -u +%Y%m%d-%H%M%S)"' in command(text, "submit")
