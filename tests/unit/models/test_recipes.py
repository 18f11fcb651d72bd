import dataclasses

import pytest

from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.models import recipes


@pytest.mark.parametrize("model", ["cnn", "fast", "sagemaker-cnn"])
def test_a_recipe_leaves_nothing_open(model):
    job = recipes.complete(Job(hparams=Hparams(model=model)), precision="float32")
    assert None not in dataclasses.asdict(job.hparams).values()
    assert job.epochs or job.steps
    # Recipes must keep within the ranges that flags have.
    assert dataclasses.replace(job) == job


def test_what_was_asked_for_stays():
    asked = Job(hparams=Hparams(batch_size=7, precision="float16", dropout=0.0), steps=3)
    job = recipes.complete(asked, precision="bfloat16")
    assert (job.hparams.batch_size, job.hparams.precision, job.hparams.dropout) == (7, "float16", 0)
    assert (job.steps, job.epochs) == (3, None)


def test_the_device_decides_the_precision_that_was_not_asked_for():
    assert recipes.complete(Job(), precision="bfloat16").hparams.precision == "bfloat16"
