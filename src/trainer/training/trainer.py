"""One run's model, optimizer and data, and the compiled functions that work on them."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from trainer.config import Hparams, Job, Split, UserError
from trainer.data import selection
from trainer.distribution import Strategy
from trainer.launch import StatedValue, compared_flags, public_value
from trainer.models import describe, is_foreign, loader
from trainer.runtime import POLICIES
from trainer.training import consensus, dry_signatures, dry_step, inputs
from trainer.training.batch_source import BatchSource, batch_source
from trainer.training.checkpoint_state import Progress
from trainer.training.evaluation import Evaluation, make_evaluate
from trainer.training.nan_check import check_finite
from trainer.training.optimizers import optimizer_of
from trainer.training.run_state import CallResult, RunState
from trainer.training.run_task import RunTask, run_task_of
from trainer.training.step_errors import call_reading_data
from trainer.training.steps import FIGURES, make_train_steps
from trainer.training.steps_per_call import StepsPerCall

logger = logging.getLogger(__name__)


class Trainer:
    """The inner loop: takes training steps and evaluates. It has no other side effects.

    Making one opens the data and builds the model; `start` compiles the steps.

    Args:
        job: Complete, see `recipes.complete`.
        strategy: The way the processes share the work.
        stop_requested: Returns True once this process has been asked to stop.

    Attributes:
        job: As in Args, with what the data tells of images and classes.
        strategy: As in Args.
        stop_requested: As in Args.
        module: The job's model module.
        data: See `RunData`.
        model: The Keras model.
        run_task: Its loss, its metrics, and the figure that the best model is chosen by.
        optimizer: Built for the model's trainable variables.
        device: The device that computes the steps.

    Raises:
        DataError: A data file is missing or damaged.
        UserError: A setting does not fit, or processes were given different ones.
    """

    def __init__(self, job: Job, *, strategy: Strategy, stop_requested: Callable[[], bool]) -> None:
        self.strategy, self.stop_requested = strategy, stop_requested
        self.module = loader.load(job.module)
        _begin_keras(job.hparams)
        batch = consensus.global_batch(job, replicas=strategy.replicas)
        self.data = inputs.read_data(job, self.module, strategy, batch_size=batch.size)
        self.module = self.module.serving(self.data.train.spec)
        hparams = dataclasses.replace(
            job.hparams, input_shape=self.data.input_shape, classes=self.data.classes
        )
        self.job = job = dataclasses.replace(job, hparams=hparams)
        if strategy.processes > 1:
            consensus.check_alike(strategy, self._settings())
        steps, epoch_steps = self.data.steps, self.data.epoch_steps
        with strategy.scope():
            self.model: keras.Model = self._make_model()
            self.optimizer = optimizer_of(
                self.module,
                hparams,
                steps=steps,
                scale=batch.rate_scale,
                scale_steps=batch.scale_steps(steps, epoch_steps),
            )
            self.optimizer.build(self.model.trainable_variables)
        self.run_task = self._make_task()
        if not self.module.is_builtin:
            run_task, train = self.run_task, self.data.train
            dry_step.check_step(
                self.module,
                self.model,
                train,
                task=run_task.task,
                metrics=run_task.metrics,
                classes=self.data.classes,
            )
            dry_signatures.check_signatures(self.module, self.model)
        self.device = strategy.device()

    def rebuild(self, *, module: str, hparams: Hparams) -> None:
        """Build the model by other settings, around the weights that there are.

        Called in all processes before `start`, by a run that has no steps to take.

        Args:
            module: The model module.
            hparams: Complete.

        Raises:
            UserError: The weights do not fit.
        """
        weights, shapes = self.model.get_weights(), [[*v.shape] for v in self.model.weights]
        self.job = dataclasses.replace(self.job, module=module, hparams=hparams)
        self.module = loader.load(module).serving(self.data.train.spec)
        _begin_keras(hparams)
        with self.strategy.scope():
            self.model = self._make_model()
        if [[*v.shape] for v in self.model.weights] != shapes:
            raise UserError(
                subject=f"--checkpoint-dir {self.job.checkpoint_dir}",
                problem=f"its weights do not fit the model that --module {module} makes now of "
                "the settings they were trained with",
                remedy="give the module back the code that they were trained with",
            )
        self.model.set_weights(weights)
        self.run_task = self._make_task()

    def start(self, progress: Progress) -> None:
        """Give all processes the chief's weights, and compile the steps.

        Args:
            progress: The position of the run; training goes on with the batch after it.
        """
        strategy, data = self.strategy, self.data
        consensus.broadcast_state(strategy, self.model, self.optimizer)
        strategy.start(progress.step)
        first = progress.examples // data.batch_size
        self._source: BatchSource = batch_source(data.train, strategy, first=first)
        self._train_steps = make_train_steps(
            self.model,
            self.optimizer,
            strategy=strategy,
            label_smoothing=self.job.hparams.label_smoothing,
            feed=self._source.feed,
            batch_size=data.batch_size,
            task=self.run_task.task,
            own_weights=data.train.stream is None,
        )
        self._evaluate = make_evaluate(
            self.model,
            strategy=strategy,
            stopped=self.stop_requested,
            with_answers=True,
            task=self.run_task.task,
            metrics=self.run_task.metrics,
        )
        self._moving_averages = [v.value for v in consensus.moving_averages(self.model)]
        self._call = StepsPerCall(min(self.job.steps_per_call, self._source.most))

    def train(self, most: int, state: RunState) -> CallResult:
        """Take as many steps as one call of the compiled function should take.

        Args:
            most: Not more than these.
            state: The run before these steps.

        Raises:
            UserError: A loss is not finite, or the training data is damaged or ends.
            PeerError: Another process is gone, or its loss is not finite.
        """
        call, stream = self._call, self.data.train.stream
        count = call.steps(most)
        with call:
            began = time.perf_counter()
            source = self._source.take(count)
            input_seconds = time.perf_counter() - began
            own = call_reading_data(
                stream, self._train_steps, source, count, module=self.module, split="train"
            )
        # One exchange a call carries all that the processes have to agree on.
        stop = float(self.stop_requested())
        strategy = self.strategy
        exchange = float(own[:, len(FIGURES) :].sum())
        ranks = np.zeros(strategy.processes if strategy.times_exchange else 0)
        if ranks.size:
            ranks[strategy.rank] = call.seconds - input_seconds - exchange
        rest = (call.seconds, call.cpu_seconds, input_seconds, exchange, stop)
        total = strategy.sum([*own.ravel(), *rest, *ranks])
        figures = total[: own.size].reshape(own.shape)
        seconds, cpu_seconds, input_seconds, exchange, stops = total[own.size :][: len(rest)]
        call.seconds = seconds / strategy.processes
        logger.debug("%d steps in one call of %.3f s", count, call.seconds)
        check_finite(
            figures[:, 0],
            own[:, 0],
            progress=state.progress,
            batch_size=self.data.batch_size,
            stream=stream,
        )
        return CallResult(
            losses=figures[:, 1],
            scores=figures[:, 2],
            seconds=call.seconds,
            input_seconds=input_seconds / strategy.processes,
            exchange_seconds=exchange / strategy.processes,
            rank_seconds=total[own.size + len(rest) :],
            cpu_seconds=cpu_seconds,
            stop_requested=stops > 0,
        )

    def learning_rate(self) -> float:
        """Return the learning rate of the step to come."""
        try:
            return float(self.optimizer.learning_rate)
        except Exception as error:
            if not self.module.optimizer or is_foreign(error):
                raise
            raise UserError(
                subject=f"optimizer of {self.module.name}",
                problem=f"its learning rate is no number: {describe(error)}",
            ) from error

    def evaluate(self, split: Split | None = None) -> Evaluation | None:
        """Evaluate on the data of all processes.

        Args:
            split: Validation or test data; by default that which is watched during the training.

        Returns:
            None if a process was asked to stop meanwhile.
        """
        split = split or self.data.watched
        assert split is not None
        data = self.data.splits[split]
        self.strategy.average(self._moving_averages)
        evaluation: Evaluation | None = call_reading_data(
            data.stream, self._evaluate, data.dataset, split, module=self.module, split=split
        )
        return evaluation

    def _make_model(self) -> keras.Model:
        model: keras.Model = self.module.keras_model(self.job.hparams)
        if not self.module.is_builtin:
            dry_step.check_model(self.module, model)
        return model

    def _make_task(self) -> RunTask:
        spec = self.data.train.dataset.element_spec
        if not self.module.is_builtin:
            dry_step.check_outputs(self.module, self.model, spec)
            dry_step.check_evaluated(self.module, self.model, self.data)
        return run_task_of(self.job, self.module, self.model, spec)

    def _settings(self) -> dict[str, StatedValue]:
        """Return what all processes must have alike: settings, and the number of examples found."""
        data = self.data.descriptions
        counts: dict[str, Any] = {
            f"--{split}": f"{data[split]['examples']} examples" if split in data else "no data"
            for split in selection.SPLITS
        }
        if spec := self.data.train.spec:
            names = ", ".join(self.data.class_names)
            counts["--train"] += f" of {spec.text}" + (f" in classes {names}" if names else "")
        counts["--precision"] = self.job.hparams.precision
        return {name: public_value(text) for name, text in counts.items()} | compared_flags(
            self.job
        )


def _begin_keras(hparams: Hparams) -> None:
    """Set seed and precision, and have Keras number names from the beginning.

    It numbers them through the whole process; they have to be those that a checkpoint of an earlier
    run has.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(hparams.seed)
    keras.config.set_dtype_policy(POLICIES[hparams.precision])
