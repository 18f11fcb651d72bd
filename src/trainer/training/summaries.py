"""Scalars and hyperparameters for TensorBoard; the scalars without TensorBoard being installed."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.config import Job
from trainer.runtime import output

logger = logging.getLogger(__name__)

# The name of the plugin marks a tensor as a point of a curve: TensorBoard's
# tensorboard/plugins/scalar/metadata.py.
_PLUGIN = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
_METADATA = tf.compat.v1.SummaryMetadata(plugin_data=_PLUGIN)
HparamValue = bool | int | float | str


def hparams_shown(job: Job) -> dict[str, HparamValue]:
    """Return the hyperparameters of a run by name, with secrets masked.

    Args:
        job: Complete, see `recipes.complete`.
    """
    hparams = dataclasses.asdict(job.hparams)
    own = dict(hparams.pop("hp"))
    lengths = {"steps": job.steps, "epochs": job.epochs}
    values = {**hparams, **lengths, **{f"hp.{name}": value for name, value in own.items()}}
    shown = output.clean_value({name: v for name, v in values.items() if v is not None})
    return {name: v if isinstance(v, HparamValue) else str(v) for name, v in shown.items()}


def write_images(folder: str, step: int, images: Sequence[np.ndarray]) -> None:
    """Write the test images of the highest loss for the tab IMAGES, if TensorBoard is installed.

    Args:
        folder: The folder that TensorBoard reads.
        step: The step that the model was at.
        images: uint8 [height, width, 1 or 3] each, of one size.
    """
    if not hasattr(tf.summary, "image"):
        # It is a part of TensorBoard.
        logger.debug("no images for TensorBoard, as it is not installed")
        return
    with contextlib.closing(tf.summary.create_file_writer(folder)) as writer, writer.as_default():
        tf.summary.image("worst_test_images", np.stack(images), step, max_outputs=len(images))


class Summaries:
    """Writes points and hyperparameters to a folder, or nothing where there is none.

    Args:
        folder: The folder that TensorBoard reads; None writes nothing.
    """

    def __init__(self, folder: str | None) -> None:
        self._writer = tf.summary.create_file_writer(folder) if folder else None

    def write(self, step: int, **values: float) -> None:
        """Write some values of one step."""
        if self._writer is None:
            return
        with self._writer.as_default(step):
            for name, value in values.items():
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=_METADATA)
        # Seldom enough, and a run may be watched or killed at any time.
        self._writer.flush()

    @property
    def is_on(self) -> bool:
        """True if there is a folder."""
        return self._writer is not None

    def begin(self, step: int) -> None:
        """Make TensorBoard forget points after this step, which an earlier run of it has left.

        A run that was killed has written points of steps after its last checkpoint; the one that
        goes on from there takes these steps again.
        """
        if self._writer is None:
            return
        started = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        event = tf.compat.v1.Event(session_log=started, step=step + 1, wall_time=time.time())
        # tf.summary itself writes summaries only.
        tf.raw_ops.ImportEvent(writer=self._writer._resource, event=event.SerializeToString())
        self._writer.flush()

    def write_hparams(self, hparams: Mapping[str, HparamValue], metrics: Sequence[str]) -> None:
        """Write the hyperparameters, for the tab HPARAMS; nothing where TensorBoard is missing.

        Args:
            hparams: By name.
            metrics: The scalars by which TensorBoard compares runs.
        """
        if self._writer is None:
            return
        try:
            from tensorboard.plugins.hparams import api_pb2, summary, summary_v2
        except ImportError:
            logger.debug("no hyperparameters for TensorBoard, as it is not installed")
            return
        kinds = {bool: api_pb2.DATA_TYPE_BOOL, str: api_pb2.DATA_TYPE_STRING}
        infos = [
            api_pb2.HParamInfo(name=name, type=kinds.get(type(value), api_pb2.DATA_TYPE_FLOAT64))
            for name, value in hparams.items()
        ]
        metrics = [
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=tag)
            for tag in metrics
        ]
        self._write_raw(summary.experiment_pb(infos, metrics))
        self._write_raw(summary_v2.hparams_pb(dict(hparams)))

    def write_success(self) -> None:
        """Write that the run is finished, for the tab HPARAMS."""
        if self._writer is None:
            return
        try:
            from tensorboard.plugins.hparams import api_pb2, summary
        except ImportError:
            return
        self._write_raw(summary.session_end_pb(api_pb2.STATUS_SUCCESS))

    def _write_raw(self, message: Any) -> None:
        assert self._writer is not None
        with self._writer.as_default(0):
            tf.summary.experimental.write_raw_pb(message.SerializeToString(), step=0)
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
