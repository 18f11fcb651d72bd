"""Tensors one after the other, with cycles that are far too long for them to wait for."""

import os
import sys
from pathlib import Path

os.environ |= {"HOROVOD_WAKE_ON_ENQUEUE": "1", "HOROVOD_CYCLE_TIME": "5000"}

import horovod.tensorflow as hvd
import numpy as np
import tensorflow as tf

hvd.init()
# Some whose like has been answered before, and some that are new.
sums = [
    float(hvd.allreduce(tf.constant(float(hvd.rank() + 1)), op=hvd.Sum, name=f"{name}"))
    for name in [*range(20), *[0] * 20]
]
hvd.shutdown()
np.savez(Path(sys.argv[1]) / f"rank{os.environ['HOROVOD_RANK']}.npz", sums=sums)
