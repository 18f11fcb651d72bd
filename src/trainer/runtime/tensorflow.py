"""Import TensorFlow late, quietly, and with the threads and GPUs asked for."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from trainer.runtime import cuda, keras_settings
from trainer.runtime.late_modules import late


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
        quiet: True to drop what TensorFlow's C++ parts print.
        deterministic: True if a GPU must give the same result each time; a CPU does anyway.
        device: `cpu` to use no GPU.
        gpu: Which of this host's GPUs to use, counted from 0 and over again where there are not so
            many; None for all.
        start: True to start TensorFlow's runtime now, while its output is dropped; collective
            operations have to be configured before the runtime starts.
        check: Called with the module after its GPUs are chosen, before the runtime starts.
        say: Called with a line that names the settings of Keras that are not used.

    Returns:
        The module.

    Raises:
        UserError: Keras, which TensorFlow imports, could not start with the user's settings.
    """
    not_used = keras_settings.claim()
    if not_used and say:
        say(f"not used: {', '.join(not_used)}: the trainer gives Keras its defaults and TensorFlow")
    _prepare(quiet=quiet, device=device)
    # The import creates a million objects that all stay. Collecting garbage among them takes a
    # sixth of the time, and each later collection would take it again.
    gc.disable()
    with _without_stderr() if quiet else contextlib.nullcontext():
        with late():
            import tensorflow as tf

        keras_settings.reset()
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            if start:
                # Not with collective operations: one that waits for another host keeps its thread.
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


def _prepare(*, quiet: bool, device: str) -> None:
    """Set what TensorFlow reads when it is imported; see `import_tensorflow`."""
    if quiet:
        # The library reads it once, when it is loaded. 3: fatal errors only.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if device == "cpu":
        # Set before the driver starts, so that not even a context is made on a GPU.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    else:
        cuda.preload()


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Drop what is written to file descriptor 2 in a block, unless the block raises an error.

    TensorFlow prints its first lines before its own log level has an effect.
    """
    sys.stderr.flush()
    real = os.dup(2)
    # In memory, as a container may have no folder for temporary files.
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
    """Choose the GPUs that this process uses, and how it uses them; see `import_tensorflow`.

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
        # Allocate memory as it is needed, not all at once: other processes may share the GPU.
        tf.config.experimental.set_memory_growth(one, True)
    if chosen and deterministic:
        tf.config.experimental.enable_op_determinism()
