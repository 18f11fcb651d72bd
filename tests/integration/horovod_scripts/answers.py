"""The answers to the test data on all ranks and, on each rank, once more as one process."""

from __future__ import annotations

import sys
from pathlib import Path

import horovod.tensorflow as hvd
import keras
import numpy as np

from trainer.config import Hparams, Job
from trainer.distribution import SINGLE_PROCESS
from trainer.distribution.horovod_tf import HorovodStrategy
from trainer.models import loader
from trainer.training import inputs
from trainer.training.answer_totals import total_answers
from trainer.training.evaluation import make_evaluate
from trainer.training.pictures import Naming

hvd.init()
keras.utils.set_random_seed(0)
x = keras.Input((28, 28, 1))
model = keras.Model(x, keras.layers.Dense(10)(keras.layers.Flatten()(x)))
job = Job(hparams=Hparams(), eval_batch_size=64)
found = {}
for name, strategy in (
    ("all", HorovodStrategy(hvd, compression="none")), ("one", SINGLE_PROCESS),
):  # fmt: skip
    data = inputs.evaluation_data(job, loader.load(job.module), strategy, split="test")
    evaluation = make_evaluate(model, strategy=strategy, with_answers=True)(data.dataset)
    features = data.dataset.element_spec[0]
    totals = total_answers(
        (1, evaluation.answers), strategy, features=features, naming=Naming(data)
    )
    shown = [*totals.worst, *totals.uncertain]
    found[f"{name} confusion"], found[f"{name} bins"] = totals.confusion, totals.bins
    found[f"{name} examples"] = np.array([one.example for one in shown])
    found[f"{name} pixels"] = np.stack([one.pixels for one in shown])
np.savez(Path(sys.argv[1]) / f"rank{hvd.rank()}.npz", **found)
hvd.shutdown()
