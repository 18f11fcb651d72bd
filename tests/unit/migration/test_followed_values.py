"""Values that scripts make by loops, paths and chains of calls."""

from __future__ import annotations

import pytest
from migrating import command, commands, notes, printed

HEAD = """
import os
from pathlib import Path
from sagemaker.tensorflow import TensorFlow
"""
JOB = "role='R', instance_count=1, instance_type='ml.m5.large'"


@pytest.mark.parametrize(
    ("loop", "found"),
    [
        ("for rate in [0.1, 0.01]:", ["0.1", "0.01"]),
        ("for _, rate in enumerate((0.1, 0.2)):", ["0.1", "0.2"]),
        ("for name, rate in {'a': 0.3, 'b': 0.4}.items():", ["0.3", "0.4"]),
        ("for rate, other in zip([0.5, 0.6], [1, 2]):", ["0.5", "0.6"]),
        ("for rate in range(1, 3):", ["1", "2"]),
    ],
)
def test_each_round_of_a_loop_over_what_is_known_is_a_command(tmp_path, capsys, loop, found):
    text = printed(tmp_path, capsys, f"{HEAD}{loop}\n"
                   f"    TensorFlow({JOB}, hyperparameters={{'rate': rate}}).fit()")  # fmt: skip
    assert [each.rpartition("rate=")[2] for each in commands(text, "submit")] == found
    assert "repeat the commands" not in text


@pytest.mark.parametrize("loop", ["for name in os.listdir('runs'):", "while waiting():"])
def test_a_loop_that_only_a_run_would_show_is_a_line(tmp_path, capsys, loop):
    text = printed(tmp_path, capsys, f"{HEAD}{loop}\n    TensorFlow({JOB}).fit()")
    assert len(commands(text, "submit")) == 1
    assert f"train.py:5: {loop.rstrip(':')}: repeat the commands of this loop" in notes(text)
    polled = printed(tmp_path, capsys, f"{HEAD}TensorFlow({JOB}).fit()\n{loop}\n    print(1)")
    assert "repeat the commands" not in polled


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("str(Path('data') / 'train')", "data/train"),
        ("Path('data', 'train').as_posix()", "data/train"),
        ("str(Path(__file__).resolve().parent / 'data' / 'train')", "./data/train"),
        ("os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data')", "./data"),
        ("str(Path(__file__).parent.parent / 'data')", "../data"),
        ("os.path.join(os.getcwd(), 'data')", "./data"),
        ("'file://' + str(Path('data'))", "data"),
        ("str(Path(os.environ['HOME']) / 'data')", '"$MY_HOME/data"'),
    ],
)  # fmt: skip
def test_paths_are_worked_out(tmp_path, capsys, path, found):
    text = printed(tmp_path, capsys, f"{HEAD}TensorFlow(role='R', instance_count=1,"
                   f" instance_type='local').fit({{'train': {path}}})")  # fmt: skip
    assert command(text, "submit").endswith(f"--train {found}")


def test_a_chain_of_configurations_is_the_trainer_itself(tmp_path, capsys):
    text = printed(
        tmp_path,
        capsys,
        """
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode, CheckpointConfig
trainer = (ModelTrainer(training_image='1.dkr/trainer:gpu', role='R',
    source_code=SourceCode(source_dir='src', entry_script='t.py', ignore_patterns=['.git']),
    compute=Compute(instance_type='ml.m5.large', instance_count=1))
    .with_checkpoint_config(CheckpointConfig(s3_uri='s3://b/c')).with_remote_debug_config(x))
trainer.train([InputData(channel_name='train', data_source='s3://b/train')])
""",
    )
    found = command(text, "submit")
    assert "--train s3://b/train" in found and "--checkpoint-dir s3://b/c" in found
    assert "ignore_patterns" not in notes(text)


def test_parameters_of_a_pipeline_are_variables_with_their_defaults(tmp_path, capsys):
    text = printed(
        tmp_path,
        capsys,
        f"""{HEAD}
from sagemaker.workflow.parameters import ParameterInteger, ParameterString
kind = ParameterString(name='TrainingType', default_value='ml.m5.large')
data = ParameterString('InputData')
def build(bucket=None, count=ParameterInteger('Count', 2)):
    TensorFlow(role='R', instance_type=kind, instance_count=count, output_path=f's3://{{bucket}}/o'
        ).fit({{'train': data}})
""",
    )
    assert command(text, "submit") == (
        'trainer submit --to sagemaker --image "$IMAGE" --role R --instance-type "$KIND" --hosts '
        '"$COUNT" --output "s3://$BUCKET/o" --wait -- --train "$DATA"'
    )
    assert ':=ml.m5.large}"' in text and ':=2}"' in text
    assert "Made(" not in text and "None" not in text


def test_fields_of_the_scripts_own_classes_have_their_defaults(tmp_path, capsys):
    text = printed(
        tmp_path,
        capsys,
        f"""{HEAD}
class Config:
    kind: str = 'ml.g4dn.xlarge'
    epochs = 9
    password: str = 'swordfish9'
class Launcher:
    def launch(self, **more):
        params = dict(role='R', instance_count=1, py_version='py39')
        params.setdefault('instance_type', self.config.kind)
        params.pop('py_version')
        params['image_uri'] = image_uris.retrieve('tensorflow')
        params['hyperparameters'] = {{'epochs': self.config.epochs, **more}}
        TensorFlow(**params, framework_version='2.9').fit()
""",
    )
    assert ': "${KIND:=ml.g4dn.xlarge}"' in text
    assert ': "${EPOCHS:=9}"' in text
    assert "swordfish9" not in text
    assert "framework_version='2.9': leave it out" in notes(text)
    assert "py_version" not in notes(text)
    assert "image_uri=image_uris.retrieve('tensorflow'): the trainer's image" in notes(text)


def test_arguments_that_a_function_takes_by_any_name_are_kept(tmp_path, capsys):
    text = printed(
        tmp_path,
        capsys,
        f"""{HEAD}
def launch(kind, **own):
    TensorFlow(role='R', instance_count=1, instance_type=kind, hyperparameters=own).fit()
launch('ml.m5.large', epochs=3, units=4)
""",
    )
    assert command(text, "submit").endswith("-- --epochs 3 --hp units=4")
