"""DistributedOptimizer with fit and Horovod's callbacks, as a user of script mode writes it."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import horovod.keras as hvd
import horovod.tensorflow.keras as hvd_tf
import keras
import numpy as np
from keras.optimizers import SGD, Adam

from common import BATCH, STEPS, Report, data, fit, joined, model

hvd.init()
rank, size = hvd.rank(), hvd.size()
report = Report()
mine, everyone = data(rank), joined(size)


def compare(case: str, make, wrap, *, callbacks=(), **kwargs) -> keras.Model:
    """Train on the ranks, each from weights of its own, and in one process from rank 0's."""
    trained = model(seed=rank)
    fit(
        trained,
        wrap(make()),
        mine,
        callbacks=[hvd.callbacks.BroadcastGlobalVariablesCallback(0), *callbacks],
        **kwargs,
    )
    report.weights(case, trained.weights)
    if rank == 0:
        alone = model(seed=0)
        fit(alone, make(), everyone, size=size, **kwargs)
        report.weights(f"{case}/joined", alone.weights)
    return trained


def same_names_in_groups(optimizer):
    """Groups of the variables of a model like the one that is trained, so by reference."""
    return hvd.DistributedOptimizer(optimizer, groups=2)


compare("adam", lambda: Adam(0.05), hvd.DistributedOptimizer)
compare("sgd", lambda: SGD(0.01, momentum=0.9, clipnorm=1.0), hvd_tf.DistributedOptimizer)
compare("groups", lambda: SGD(0.01), same_names_in_groups)
compare(
    "fp16",
    lambda: SGD(0.01),
    lambda o: hvd.DistributedOptimizer(o, compression=hvd.Compression.fp16),
)
compare(
    "predivide",
    lambda: SGD(0.01),
    lambda o: hvd.DistributedOptimizer(o, gradient_predivide_factor=2.0),
)
compare("accumulate", lambda: SGD(0.01, gradient_accumulation_steps=2), hvd.DistributedOptimizer)

# A sum is the average at a learning rate that many times larger.
trained = model(seed=0)
fit(trained, hvd.DistributedOptimizer(SGD(0.01 / size), op=hvd.Sum), mine)
report.weights("sum", trained.weights)

# Groups that name variables: of the second layer and the first, and a third that none names.
trained = model(seed=0)
groups = [trained.layers[1].weights, trained.layers[0].weights]
fit(trained, hvd.DistributedOptimizer(SGD(0.01), groups=groups), mine)
report.weights("named groups", trained.weights)


# Sparse gradients, alone and in a group with dense ones.
def embedding() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(20, 4),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )


tokens = [np.random.default_rng(r).integers(0, 20, (BATCH * STEPS, 3)) for r in range(size)]
targets = [t.sum(axis=1, keepdims=True).astype("float32") for t in tokens]
for case, options in (
    ("sparse", {}),
    ("sparse in groups", {"groups": 1}),
    ("sparse as dense", {"sparse_as_dense": True}),
):
    trained = embedding()
    fit(trained, hvd.DistributedOptimizer(SGD(0.01), **options), (tokens[rank], targets[rank]))
    report.weights(case, trained.weights)
if rank == 0:
    trained = embedding()
    rows = tuple(
        np.stack(part).reshape(size, STEPS, BATCH, -1).swapaxes(0, 1).reshape(-1, part[0].shape[1])
        for part in (tokens, targets)
    )
    fit(trained, SGD(0.01), rows, size=size)
    report.weights("sparse/joined", trained.weights)

# The callbacks that set the rate: warm-up over two epochs, then a decay.
checkpoint = Path(sys.argv[1]) / "best.keras"
trained = model(seed=rank)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    history = fit(
        trained,
        hvd.DistributedOptimizer(SGD(0.01, momentum=0.5)),
        mine,
        epochs=4,
        metrics=["mae"],
        validation_data=data(rank, seed=1),
        callbacks=[
            hvd.callbacks.BroadcastGlobalVariablesCallback(0),
            hvd.callbacks.MetricAverageCallback(),
            hvd.callbacks.LearningRateWarmupCallback(0.01, warmup_epochs=2),
            hvd.callbacks.LearningRateScheduleCallback(
                0.01, lambda epoch: 0.1 ** (epoch - 1), start_epoch=2, momentum_correction=False
            ),
        ]
        + [hvd.callbacks.BestModelCheckpoint(filepath=checkpoint)] * (rank == 0),
    ).history
report.weights("callbacks", trained.weights)
for name in ("loss", "val_mae", "lr"):
    report.value(f"callbacks/{name}", history[name])
report.value("callbacks/own val_mae", trained.evaluate(*data(rank, seed=1), verbose=0)[1])
report.value("callbacks/warnings", [str(w.message) for w in caught if "momentum" in str(w.message)])

# What was saved has the optimizer it was made of, and its state.
if rank == 0:
    plain = keras.models.load_model(checkpoint)
    report.value("saved/optimizer", plain.optimizer.__class__ is SGD)
distributed = trained.optimizer
report.value("saved/iterations", int(distributed.iterations))
trained.save(Path(sys.argv[1]) / f"saved{rank}.keras")
again = hvd.load_model(Path(sys.argv[1]) / f"saved{rank}.keras")
report.value("loaded/iterations", int(again.optimizer.iterations))
again.fit(*mine, batch_size=BATCH, shuffle=False, verbose=0)
report.weights("loaded", again.weights)

# Half precision: an overflow on one rank alone skips the step on both.
trained = model(seed=rank, dtype="mixed_float16")
optimizer = hvd.DistributedOptimizer(
    keras.optimizers.LossScaleOptimizer(Adam(0.01), initial_scale=256.0)
)
overflowing = (mine[0].copy(), mine[1])
if rank == size - 1:
    overflowing[0][BATCH + 1] = 1e30
fit(
    trained,
    optimizer,
    overflowing,
    epochs=1,
    callbacks=[hvd.callbacks.BroadcastGlobalVariablesCallback(0)],
)
report.weights("loss scale", trained.weights)
report.value("loss scale/iterations", int(optimizer.iterations))
report.value("loss scale/scale", float(optimizer.dynamic_scale))

# One layer of its own on each rank, the others alike.
trained = model(seed=0)
own = hvd.PartialDistributedOptimizer(SGD(0.01), local_layers=trained.layers[0])
fit(trained, own, mine)
report.weights("partial/local", trained.layers[0].weights)
report.weights("partial/shared", [w for layer in trained.layers[1:] for w in layer.weights])

# What Keras does by itself where there is a GPU.
trained = model(seed=rank)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fit(
        trained,
        hvd.DistributedOptimizer(Adam(0.05)),
        mine,
        jit_compile=True,
        callbacks=[hvd.callbacks.BroadcastGlobalVariablesCallback(0)],
    )
report.weights("jit", trained.weights)
report.value("jit/warned", any("jit_compile" in str(w.message) for w in caught))

report.write()
