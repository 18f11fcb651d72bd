"""Scripts and notebooks in the style of AWS's samples, and the commands that they become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainer.cli.command_line import main

HEAD = "import sagemaker\nfrom sagemaker.tensorflow import TensorFlow\n"
JOB = "role='R', instance_count=1, instance_type='ml.m5.xlarge'"


def printed(folder: Path, capsys, text: str, *flags: str, name: str = "train.py") -> str:
    """Return what the program prints for a script, in one line a command."""
    (folder / name).write_text(text)
    assert main(["migrate", str(folder / name), *flags]) == 0
    return capsys.readouterr().out.replace(" \\\n   ", "")


def mistake(folder: Path, capsys, text: str | bytes, *flags: str, name: str = "train.py") -> str:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(data)
    assert main(["migrate", str(folder / name), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def command(text: str, verb: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(f"trainer {verb}")]
    return found


def notes(text: str) -> list[str]:
    return text.partition("# Not carried over:\n")[2].splitlines()


VERSION_1 = """
import os
import sagemaker
from sagemaker import get_execution_role
from sagemaker.tensorflow import TensorFlow

sagemaker_session = sagemaker.Session()
role = get_execution_role()
bucket, prefix = sagemaker_session.default_bucket(), 'mnist'
train_data = sagemaker_session.upload_data(path='data/train', key_prefix=f'{prefix}/train')
test_data = sagemaker_session.upload_data('data/test', key_prefix='{}/test'.format(prefix))
hyperparameters = {'steps': 12000, 'batch-size': 100, 'learning-rate': 0.001}
hyperparameters['verbosity'] = 'INFO'
estimator = TensorFlow(
    entry_point='task.py', source_dir='trainer', role=role,
    train_instance_count=2, train_instance_type='ml.p3.2xlarge', train_max_run=60 * 60,
    train_use_spot_instances=True, train_max_wait=7200, train_volume_size=50,
    framework_version='1.12', py_version='py3', script_mode=True,
    base_job_name='mnist_tf', hyperparameters=hyperparameters,
    distributions={'parameter_server': {'enabled': True}},
    output_path='s3://%s/out' % bucket, security_group_ids=['sg-1'], subnets=['subnet-1'])
estimator.fit({'train': train_data, 'eval': test_data}, wait=False)
predictor = estimator.deploy(initial_instance_count=1, instance_type='ml.m4.xlarge')
predictor.delete_endpoint()
"""


def test_a_script_of_version_1_becomes_commands(tmp_path, capsys):
    text = printed(tmp_path, capsys, VERSION_1)
    data = [line for line in text.splitlines() if line.startswith("trainer data sync")]
    assert data == [
        'trainer data sync data/train "s3://$BUCKET/mnist/train"',
        'trainer data sync data/test "s3://$BUCKET/mnist/test"',
    ]
    assert 'JOB="mnist-tf-$(date -u +%Y%m%d-%H%M%S)"' in text.splitlines()
    module = tmp_path / "trainer/task.py"
    assert command(text, "submit") == (
        'trainer submit --to sagemaker --name "$JOB" --image "$IMAGE" --role "$ROLE" --hosts 2 '
        "--instance-type ml.p3.2xlarge --max-time 3600 --spot --max-wait 7200 --volume-size 50 "
        '--output "s3://$BUCKET/out" --security-groups sg-1 --subnets subnet-1 -- '
        f"--batch-size 100 --learning-rate 0.001 --module {module} --steps 12000 "
        "--distribution parameter_server --verbosity INFO "
        '--train "s3://$BUCKET/mnist/train" --test "s3://$BUCKET/mnist/test"'
    )
    assert command(text, "deploy") == (
        'trainer deploy "$JOB" --to sagemaker --image "$IMAGE" --role "$ROLE" --count 1 '
        "--instance-type ml.m4.xlarge"
    )
    assert notes(text)[1:3] == [
        "# train.py:18: framework_version='1.12': leave it out: the image brings its own "
        "TensorFlow",
        "# train.py:18: py_version='py3': leave it out: the image brings its own Python",
    ]
    # Each variable is asked for before the first command, with the line that says what it is.
    head = text.partition("# train.py:10")[0]
    assert ': "${ROLE:?get_execution_role(), train.py:8}"' in head
    assert head.count(":?") == 3


def test_a_job_of_sagemaker_moves_to_vertex(tmp_path, capsys):
    text = printed(tmp_path, capsys, VERSION_1, "--to", "vertex", "--bucket", "gs://mine")
    found = command(text, "submit")
    for part in (
        "--to vertex", "--machine-type n1-standard-8 --accelerator-type NVIDIA_TESLA_V100",
        "--spot", "--output gs://mine/out", "--train gs://mine/mnist/train",
    ):  # fmt: skip
        assert part in found
    assert "trainer refuses" not in text
    assert any("volume_size=50: leave it out: disks of Vertex AI" in n for n in notes(text))
    assert "trainer data sync data/train gs://mine/mnist/train" in text
    assert "--accelerator" not in command(text, "deploy")
    assert any("max_wait=7200: only SageMaker waits" in note for note in notes(text))


def test_data_in_s3_is_copied_to_the_bucket_of_another_cloud(tmp_path, capsys):
    text = printed(
        tmp_path, capsys, HEAD + f"TensorFlow({JOB}).fit('s3://old/mnist')", "--to", "vertex"
    )
    assert 'trainer data sync s3://old/mnist "gs://$GCS_BUCKET/mnist"' in text
    assert '--train "gs://$GCS_BUCKET/mnist"' in command(text, "submit")


def test_cells_of_a_notebook_are_read_in_their_order(tmp_path, capsys):
    cells = [
        ["%%bash\n", "echo is no python ("],
        ["%matplotlib inline\n", "!pip install sagemaker \\\n", "   --quiet\n", "bucket = 'b'\n"],
        [HEAD, "x = !ls\n", "est = TensorFlow(", JOB, ",\n  hyperparameters=dict(steps=5))\n"],
        ["print 'of Python 2'"],
        ["est.fit({'training': sagemaker.inputs.TrainingInput(f's3://{bucket}/x', \n"
         "    distribution='ShardedByS3Key')})"],
    ]  # fmt: skip
    notebook = {
        "cells": [{"cell_type": "markdown", "source": ["# text"]}]
        + [{"cell_type": "code", "source": cell} for cell in cells]
    }
    text = printed(tmp_path, capsys, json.dumps(notebook), name="mnist.ipynb")
    assert command(text, "submit").endswith("--wait -- --steps 5 --train s3://b/x --shard-by host")
    assert "# mnist.ipynb cell 4:4: trains, as TensorFlow does" in text
    assert notes(text)[-1].startswith("# mnist.ipynb cell 5:1: cell: was not read: Missing paren")


def test_the_script_that_a_cell_writes_becomes_the_module(tmp_path, capsys):
    cells = ["%%writefile code/net.py\ndef keras_model(hparams):\n    pass\n",
             f"{HEAD}TensorFlow(entry_point='net.py', source_dir='code', {JOB}).fit()"]  # fmt: skip
    notebook = {"cells": [{"cell_type": "code", "source": cell} for cell in cells]}
    text = printed(tmp_path, capsys, json.dumps(notebook), name="mnist.ipynb")
    assert f"--module {tmp_path}/code/net.py" in command(text, "submit")
    assert notes(text) == []


def test_functions_of_the_estimators_time_are_listed_with_what_takes_their_place(tmp_path, capsys):
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer/task.py").write_text("import model\n")
    (tmp_path / "trainer/model.py").write_text(
        "def keras_estimator(model_dir, config, learning_rate): ...\n"
        "def input_fn(file, mode): ...\n\ndef serving_input_fn(): ...\n"
    )
    script = f"{HEAD}TensorFlow('py3', entry_point='task.py', source_dir='./trainer', {JOB}).fit()"
    found = notes(printed(tmp_path, capsys, script))
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in found] == [
        "# train.py:3 py_version='py3'", "# train.py:3 entry_point='task.py'",
        "# model.py:1 keras_estimator", "# model.py:2 input_fn", "# model.py:4 serving_input_fn",
    ]  # fmt: skip
    (tmp_path / "trainer/model.py").write_text("def keras_model(hparams): ...\n")
    found = notes(printed(tmp_path, capsys, script))
    assert "the trainer runs the loop itself, with the model of" in found[1]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("distribution", "flag"),
    [
        ("{'parameter_server': {'enabled': True}}", "--distribution parameter_server"),
        ("{'mpi': {'enabled': True, 'processes_per_host': 8}}",
         "--distribution horovod --processes-per-host 8"),
        ("{'multi_worker_mirrored_strategy': {'enabled': True}}",
         "--distribution multi_worker_mirrored"),
    ],
)  # fmt: skip
def test_a_distribution_is_the_strategy_of_its_name(tmp_path, capsys, distribution, flag):
    script = HEAD + f"TensorFlow({JOB}, distribution={distribution}).fit()"
    assert command(printed(tmp_path, capsys, script), "submit").endswith(f"-- {flag}")


def test_a_distribution_that_is_not_there_is_named(tmp_path, capsys):
    script = HEAD + (
        f"TensorFlow({JOB}, distribution={{'smdistributed': {{'dataparallel': "
        "{'enabled': True}}}).fit()"
    )
    (note,) = notes(printed(tmp_path, capsys, script))
    assert note.endswith("use --distribution horovod or multi_worker_mirrored behind --")


def test_a_search_becomes_ranges(tmp_path, capsys):
    script = (
        HEAD
        + f"""
from sagemaker.tuner import *
from sagemaker.tuner import ContinuousParameter, IntegerParameter, CategoricalParameter
est = TensorFlow({JOB}, hyperparameters={{'batch_size': 32, 'steps': 9}}, output_path='s3://b/o')
tuner = sagemaker.tuner.HyperparameterTuner(est, 'validation:accuracy', {{
    'learning-rate': ContinuousParameter(1e-4, 0.1, scaling_type='Logarithmic'),
    'batch_size': CategoricalParameter([32, 64]), 'steps': IntegerParameter(1, 9)}},
    [{{'Name': 'validation:accuracy', 'Regex': 'x'}}], max_jobs=9, max_parallel_jobs=3)
tuner.fit({{'train': 's3://b/x'}})
"""
    )
    assert command(printed(tmp_path, capsys, script), "submit") == (
        'trainer submit --to sagemaker --image "$IMAGE" --role R --hosts 1 --instance-type '
        "ml.m5.xlarge --output s3://b/o --tune learning-rate=0.0001..0.1:log batch-size=32,64 "
        "steps=1..9 --trials 9 --parallel 3 --wait -- --train s3://b/x"
    )


def test_the_sdks_local_mode_is_a_flag(tmp_path, capsys):
    script = HEAD + (
        "e = TensorFlow(role='R', instance_count=1, instance_type='local')\n"
        "e.fit('file://data/mnist')\ne.deploy(1, 'local')"
    )
    text = printed(tmp_path, capsys, script)
    assert "--local -- --train data/mnist" in command(text, "submit")
    assert command(text, "deploy") == (
        'trainer deploy "runs/$JOB/model" --to docker --image "$IMAGE"'
    )


def test_no_secret_is_printed(tmp_path, capsys):
    script = HEAD + (
        f"TensorFlow({JOB}, environment={{'API_TOKEN': 'abc-123-def', 'A': 'b'}},\n"
        "  hyperparameters={'db_password': 'swordfish9', 'units': 3}, foo='token=swordfish9').fit()"
    )
    text = printed(tmp_path, capsys, script)
    assert "abc-123-def" not in text
    assert "swordfish9" not in text
    assert "--env 'API_TOKEN=***' A=b" in command(text, "submit")
    assert "put the value of API_TOKEN in the place of ***" in text


def test_what_exists_only_while_the_script_runs_is_a_variable_of_the_shell(tmp_path, capsys):
    script = (
        HEAD
        + """
import argparse, os
args = argparse.ArgumentParser().parse_args()
def train(kind, count=2, *, lr):
    est = TensorFlow(role=os.environ['ROLE_ARN'], instance_type=kind, instance_count=count,
                     hyperparameters={'learning_rate': lr, 'epochs': args.epochs})
    est.fit({'train': f"s3://{args.bucket}_x/it's"})
    return est
train('ml.m5.large', lr=compute())
"""
    )
    found = command(printed(tmp_path, capsys, script), "submit")
    assert '--role "$ROLE_ARN"' in found
    assert "--instance-type ml.m5.large --hosts 2" in found
    assert '--learning-rate "$LR" --epochs "$EPOCHS"' in found
    assert """--train s3://"$BUCKET"'_x/it'"'"'s'""" in found


CUSTOM_JOB = """
from google.cloud import aiplatform
aiplatform.init(project='my-project', location='europe-west4', staging_bucket='gs://bucket')
job = aiplatform.CustomContainerTrainingJob(
    display_name='mnist', container_uri='IMAGE', command=['python'])
model = job.run(replica_count=2, machine_type='n1-standard-8', args=['--epochs', 5, f'--train={x}'],
    environment_variables={'API_TOKEN': 'abc-123-def'}, base_output_dir='gs://bucket/runs/mnist')
"""


def test_a_job_of_vertex_ai_becomes_a_command(tmp_path, capsys):
    text = printed(tmp_path, capsys, CUSTOM_JOB)
    assert command(text, "submit") == (
        "trainer submit --to vertex --name mnist --image IMAGE --output gs://bucket/runs "
        "--project my-project --region europe-west4 --staging-bucket gs://bucket --hosts 2 "
        "--machine-type n1-standard-8 --env 'API_TOKEN=***' --wait -- --epochs 5 --train \"$X\""
    )
    assert notes(text)[1] == (
        "# train.py:5: command python: leave it out: the image starts the trainer by itself"
    )
    assert "abc-123-def" not in text


def test_a_job_of_vertex_ai_moves_to_sagemaker(tmp_path, capsys):
    text = printed(tmp_path, capsys, CUSTOM_JOB, "--to", "sagemaker", "--bucket", "s3://b")
    assert "--hosts 2" in command(text, "submit")
    assert "machine_type='n1-standard-8': is a setting of Vertex AI" in text


def test_hyperparameters_that_a_notebook_encodes_are_read(tmp_path, capsys):
    script = """
import json
import sagemaker
def json_encode(hyperparameters):
    return {str(k): json.dumps(v) for (k, v) in hyperparameters.items()}
est = sagemaker.estimator.Estimator('1.dkr/trainer:cpu', 'R', train_instance_count=1,
    train_instance_type='ml.m5.xlarge',
    hyperparameters=json_encode({'steps': 300, 'optimizer': 'adam', 'kind': 'x'}))
train = sagemaker.session.s3_input('s3://{0}/{1}/'.format('b', 'x'), content_type='text/csv')
est.set_hyperparameters(batch_size=8)
est.fit({'train': train, 'labels': 's3://b/l'})
"""
    text = printed(tmp_path, capsys, script)
    assert command(text, "submit").endswith(
        "--batch-size 8 --optimizer adam --steps 300 --train s3://b/x/ --hp kind=x"
    )
    assert notes(text)[-1].startswith("# train.py:11: channel labels: the trainer reads train")


def test_the_step_of_a_pipeline_has_the_data_of_its_estimator(tmp_path, capsys):
    script = (
        HEAD
        + f"""
from sagemaker.workflow.steps import TrainingStep
from sagemaker.inputs import TrainingInput
est = TensorFlow({JOB})
step = TrainingStep(name='train', estimator=est, inputs={{'train': TrainingInput('s3://b/x')}})
"""
    )
    assert "--train s3://b/x" in command(printed(tmp_path, capsys, script), "submit")


def test_a_job_of_another_framework_is_marked(tmp_path, capsys):
    script = f"from sagemaker.mxnet import MXNet\nMXNet('m.py', {JOB}).fit('s3://b/x')"
    found = notes(printed(tmp_path, capsys, script))
    assert "# train.py:2: MXNet: the trainer trains Keras models of TensorFlow alone" in found


def test_a_class_of_the_scripts_own_is_no_estimator(tmp_path, capsys):
    script = "class Estimator:\n    def fit(self): ...\nEstimator().fit()\n"
    assert "makes no estimator" in mistake(tmp_path, capsys, script)


@pytest.mark.parametrize("method", ["attach", "deploy", "transform"])
def test_models_that_are_there_are_deployed(tmp_path, capsys, method):
    script = (
        HEAD
        + {
            "attach": "TensorFlow.attach('old-job').deploy(2, 'ml.m5.large', endpoint_name='e')",
            "deploy": "from sagemaker.tensorflow import TensorFlowModel\n"
            "TensorFlowModel('s3://b/model.tar.gz', 'R').deploy(1, 'ml.m5.large')",
            "transform": "e = TensorFlow.attach('old-job')\nt = e.transformer(1, 'ml.m5.large',"
            " output_path='s3://b/out')\nt.transform('s3://b/in', content_type='text/csv')",
        }[method]
    )
    wanted = {
        "attach": "trainer deploy old-job --to sagemaker --count 2 --instance-type ml.m5.large "
        "--name e",
        "deploy": "trainer deploy s3://b/model.tar.gz --to sagemaker --role R --count 1 "
        "--instance-type ml.m5.large",
        "transform": "trainer deploy old-job --to sagemaker --count 1 --instance-type ml.m5.large "
        "--batch s3://b/in s3://b/out --batch-type csv",
    }[method]
    found = command(printed(tmp_path, capsys, script), "deploy")
    assert found.replace(' --image "$IMAGE"', "").replace(' --role "$ROLE"', "") == wanted


@pytest.mark.parametrize(
    ("keyword", "part"),
    [
        ("checkpoint_s3_uri='s3://b/c'", "--checkpoint-dir s3://b/c"),
        ("environment={'A': 'b c'}", "--env 'A=b c'"),
        ("tags=[{'Key': 'team', 'Value': 'x'}]", "--tags team=x"),
        ("enable_network_isolation=True", "--network-isolation"),
        ("encrypt_inter_container_traffic=True", "--encrypt-traffic"),
        ("keep_alive_period_in_seconds=600", "--keep-alive 600"),
        ("max_retry_attempts=3", "--attempts 3"),
        ("input_mode='FastFile'", "--input-mode FastFile"),
        ("output_kms_key='alias/k'", "--output-kms-key alias/k"),
        ("container_log_level=20", "--verbosity INFO"),
        ("container_log_level=logging.DEBUG", "--verbosity DEBUG"),
        ("training_steps=1000", "--steps 1000"),
        ("image_name='1.dkr/trainer:gpu'", "--image 1.dkr/trainer:gpu"),
        ("sagemaker_session=sagemaker.Session(boto3.Session(region_name='eu-west-1'))",
         "--region eu-west-1"),
        ("hyperparameters={'sagemaker_parameter_server_enabled': True}",
         "--distribution parameter_server"),
        ("hyperparameters=json.loads(open('x').read())", "--instance-type"),
    ],
)  # fmt: skip
def test_a_keyword_becomes_a_flag(tmp_path, capsys, keyword, part):
    script = f"import boto3\n{HEAD}TensorFlow({JOB}, {keyword}).fit()"
    text = printed(tmp_path, capsys, script)
    assert part in command(text, "submit")
    assert "refuses" not in text


@pytest.mark.parametrize(
    ("keyword", "part"),
    [
        ("instance_tpye='x'", "is no argument that is known, did you mean"),
        ("hyperparameters={'batch_size': 'many'}", "batch_size='many': expected a whole number"),
        ("hyperparameters={'steps': 3, 'epochs': 2}", "--epochs"),
        (
            "input_mode='Pipe'",
            "input_mode='Pipe': FastFile takes its place",
        ),
        ("git_config={'repo': 'x'}", "clone the repository"),
        ("debugger_hook_config=True", "the image has no smdebug"),
    ],
)
def test_what_cannot_be_carried_over_is_a_line(tmp_path, capsys, keyword, part):
    assert part in printed(tmp_path, capsys, HEAD + f"TensorFlow({JOB}, {keyword}).fit()")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("print 'hi'\n", "train.py:1: is no Python of this version"),
        ("def f(:\n", "train.py:1: is no Python"),
        (b"\xff\xfe\x00", "is no text in UTF-8"),
        ("{'a': 1}", "is neither Python nor a notebook"),
        ('{"cells": 3}', "is no notebook: it has no cells"),
        ("(" * 5000 + ")" * 5000, "is no Python"),
        ("x = " + "-" * 100_000 + "1", "train.py"),
        ("x = 1\n", "makes no estimator of SageMaker's SDK"),
        ("f = lambda: f()\ndef g():\n    return g()\ng()\n", "makes no estimator"),
        (HEAD, "makes no estimator"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_script_is_one_line(tmp_path, capsys, text, part):
    assert part in mistake(tmp_path, capsys, text)


@pytest.mark.parametrize(
    ("flags", "part"),
    [(("--to", "here"), "--to here: expected one of"), (("--bucket", "b"), "expected gs://BUCKET")],
)
def test_a_wrong_flag_is_one_line(tmp_path, capsys, flags, part):
    assert part in mistake(tmp_path, capsys, HEAD + f"TensorFlow({JOB})", *flags)


def test_a_file_that_is_not_there_is_one_line(capsys):
    assert main(["migrate", "/nowhere/train.py"]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
