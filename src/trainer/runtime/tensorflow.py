"""TensorFlow, imported late, quietly and with the threads asked for."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from trainer.runtime import cuda, keras_settings


def import_tensorflow(
    *,
    threads: int = 0,
    quiet: bool = True,
    deterministic: bool = False,
    device: str = "auto",
    gpu: int | None = None,
    start: bool = True,
    check: Callable[[Any], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Any:
    """Import TensorFlow.

    Args:
        threads: For one operation and for all together; 0 leaves TensorFlow's default.
        quiet: Whether to drop what TensorFlow's C++ parts print.
        deterministic: Whether a GPU must give the same result each time; a CPU does anyway.
        device: `cpu` to use no GPU.
        gpu: Which of this host's GPUs to use, counted from 0 and over again where there are not so
            many; None for all.
        start: Whether to start its runtime now, which prints; collective operations have to be
            configured before.
        check: Called with the module when its GPUs are chosen, and before it starts.
        say: Called with a line that names the settings of Keras that are not used.

    Returns:
        The module.

    Raises:
        UserError: Keras, which TensorFlow imports, could not start with the user's settings.
    """
    not_used = keras_settings.claim()
    if not_used and say:
        say(f"not used: {', '.join(not_used)}: the trainer gives Keras its defaults and TensorFlow")
    if quiet:
        # Read once, when the library is loaded. 3: fatal errors only.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if device == "cpu":
        # Read when the driver is started, so that not even a context is made on a GPU.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    else:
        cuda.preload()
    # Importing makes a million objects that all stay: looking for garbage among them takes a sixth
    # of the time, and later looks would take it again.
    gc.disable()
    with _without_stderr() if quiet else contextlib.nullcontext():
        import tensorflow as tf

        keras_settings.reset()
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            if start:
                # An operation that waits for another host would keep its thread.
                tf.config.threading.set_inter_op_parallelism_threads(threads)
        choose_gpus(tf, device=device, gpu=gpu, deterministic=deterministic)
    gc.freeze()
    gc.enable()
    if check:
        check(tf)
    if start:
        with _without_stderr() if quiet else contextlib.nullcontext():
            tf.constant(0)
    return tf


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Keep what is written to file descriptor 2 out of the log, unless an error comes of it.

    TensorFlow's first lines do not heed its own log level: they come before its logging is up.
    """
    sys.stderr.flush()
    real = os.dup(2)
    # In memory, as there may be no folder for temporary files.
    with os.fdopen(os.memfd_create("stderr"), "w+b") as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(real, kept.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


def choose_gpus(tf: Any, *, device: str, gpu: int | None, deterministic: bool) -> None:
    """Say which GPUs this process uses, and how; see `import_tensorflow`.

    Args:
        tf: TensorFlow, whose runtime has not started.
        device: As of `import_tensorflow`.
        gpu: As of `import_tensorflow`.
        deterministic: As of `import_tensorflow`.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return
    chosen = [] if device == "cpu" else gpus if gpu is None else [gpus[gpu % len(gpus)]]
    if chosen != gpus:
        tf.config.set_visible_devices(chosen, "GPU")
    for one in chosen:
        # Take what is needed, not all there is: other processes may share the GPU.
        tf.config.experimental.set_memory_growth(one, True)
    if chosen and deterministic:
        tf.config.experimental.enable_op_determinism()
