"""Scalars for TensorBoard, written without TensorBoard being installed."""

from __future__ import annotations

import tensorflow as tf

# The name of the plugin marks a tensor as a point of a curve: TensorBoard's
# tensorboard/plugins/scalar/metadata.py.
_PLUGIN = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
_METADATA = tf.compat.v1.SummaryMetadata(plugin_data=_PLUGIN)


class Summaries:
    """Writes scalars to a folder, or nothing where there is none.

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

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
