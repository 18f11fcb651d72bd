"""The evaluator, beside a chief that is played by this test; real hosts are in integration."""

import dataclasses
from pathlib import Path

import keras
import pytest

from trainer.config.errors import UserError
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.models import loader
from trainer.models.recipes import complete
from trainer.runtime.stop import StopRequest
from trainer.training.checkpoint import Checkpoints
from trainer.training.checkpoint_state import Progress
from trainer.training.destination import Destination
from trainer.training.evaluation_callbacks import AfterEvaluation
from trainer.training.evaluator import evaluate_checkpoints
from trainer.training.optimizers import make_optimizer

pytestmark = pytest.mark.tensorflow

OWN = """
import keras, tensorflow as tf

def keras_model(hparams):
    x = keras.Input((2,))
    return keras.Model(x, keras.layers.Dense(2, use_bias=False)(x))

def input_fn(paths, mode, batch_size, shard):
    assert mode == "test"
    data = tf.data.Dataset.from_tensor_slices(([[1.0, 0.0], [0.0, 1.0]], [0, 0]))
    return data.batch(batch_size)

def serving_input_fn(model):
    return {}
"""
# What is right of the two examples above.
WEIGHTS = {0.5: [[1.0, 0.0], [0.0, 1.0]], 1.0: [[1.0, 0.0], [1.0, 0.0]], 0.0: [[0, 1], [0, 1]]}


class Chief:
    """Writes checkpoints as the chief does."""

    def __init__(self, job: Job) -> None:
        hparams = complete(job, precision="float32").hparams
        keras.utils.clear_session()
        self._model = loader.load(job.module).keras_model(hparams)
        optimizer = make_optimizer(hparams, steps=100)
        optimizer.build(self._model.trainable_variables)
        folder = Path(job.checkpoint_dir or "")
        self._checkpoints = Checkpoints(folder, model=self._model, optimizer=optimizer, keep=1)
        keras.utils.clear_session()

    def write(self, step: int, accuracy: float) -> None:
        self._model.layers[-1].kernel.assign(WEIGHTS[accuracy])
        self._checkpoints.save(Progress(step=step))


@pytest.fixture
def job(tmp_path, monkeypatch) -> Job:
    (tmp_path / "evaluated_model.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return Job(
        hparams=Hparams(),
        module="evaluated_model",
        checkpoint_dir=str(tmp_path / "ckpt"),
        log_dir=str(tmp_path / "logs"),
    )


def test_each_checkpoint_is_evaluated_once_and_the_last_one_after_the_chief_ended(job, tmp_path):
    chief, stop_request = Chief(job), StopRequest()
    found: list[tuple[int, float]] = []
    copied: list[int] = []
    looks = iter(range(100))

    def look() -> None:
        # What the chief does meanwhile, by the evaluator's own looks.
        match next(looks):
            case 1:
                chief.write(3, 0.5)
            case 3:
                chief.write(7, 1.0)
            case 5:
                chief.write(9, 0.0)
                stop_request.set()
            case 50:
                raise AssertionError("it does not end")

    class NoteEvaluation(AfterEvaluation):
        def evaluated(self, state, evaluation):
            found.append((state.step, evaluation.accuracy))

    class NoteCopies(Destination):
        def checkpoint_written(self):
            copied.append(len(found) + 1)

    count = evaluate_checkpoints(
        job,
        stop_request=stop_request,
        refresh=look,
        destination=NoteCopies(),
        callbacks=[NoteEvaluation()],
    )
    assert (count, found) == (3, [(3, 0.5), (7, 1.0), (9, 0.0)])
    # Its log follows each time.
    assert copied == [1, 2, 3]
    assert list((tmp_path / "logs/evaluator").iterdir())


def test_what_the_chief_is_writing_just_now_is_let_alone(job):
    Chief(job)
    part = Path(job.checkpoint_dir) / ".ckpt-00000003.77.part"
    part.mkdir()
    stop_request = StopRequest()
    stop_request.set()
    found = evaluate_checkpoints(job, stop_request=stop_request)
    assert (found, part.exists()) == (0, True)


def test_without_a_folder_that_both_see_there_is_nothing_to_evaluate(job):
    with pytest.raises(UserError, match="--checkpoint-dir: not given, and an evaluator"):
        evaluate_checkpoints(
            dataclasses.replace(job, checkpoint_dir=None), stop_request=StopRequest()
        )
