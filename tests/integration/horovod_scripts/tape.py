"""A training loop of one's own: DistributedGradientTape, broadcast_variables, elastic state."""

from __future__ import annotations

import horovod.tensorflow as hvd
import keras
import tensorflow as tf
from horovod.tensorflow.keras.elastic import KerasState

from common import BATCH, STEPS, Report, data, joined, model

hvd.init()
rank, size = hvd.rank(), hvd.size()
report = Report()


def train(trained: keras.Model, optimizer, rows, wrap, *, batch: int = BATCH) -> None:
    """One epoch by hand."""

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(trained(x) - y))
        gradients = wrap(tape).gradient(loss, trained.trainable_variables)
        optimizer.apply_gradients(zip(gradients, trained.trainable_variables, strict=True))

    for i in range(STEPS):
        step(*(part[i * batch : (i + 1) * batch] for part in rows))


for case, options in (
    ("tape", {}),
    ("fp16", {"compression": hvd.Compression.fp16}),
    ("groups", {"groups": 2}),
):
    trained, optimizer = model(seed=rank), keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(trained.trainable_variables)
    hvd.broadcast_variables(trained.variables, root_rank=0)
    hvd.broadcast_variables(optimizer.variables, root_rank=0)
    train(
        trained,
        optimizer,
        data(rank),
        lambda tape, options=options: hvd.DistributedGradientTape(tape, **options),
    )
    report.weights(case, trained.weights)
if rank == 0:
    alone, optimizer = model(seed=0), keras.optimizers.SGD(0.01, momentum=0.9)
    train(alone, optimizer, joined(size), lambda tape: tape, batch=BATCH * size)
    report.weights("tape/joined", alone.weights)

trained = model(seed=0)
train(
    trained,
    keras.optimizers.SGD(0.01),
    data(rank),
    lambda tape: hvd.PartialDistributedGradientTape(tape, local_layers=trained.layers[0]),
)
report.weights("partial/local", trained.layers[0].weights)
report.weights("partial/shared", [w for layer in trained.layers[1:] for w in layer.weights])

# Two models in one step, each with a tape.
pair = [model(seed=0), model(seed=1)]
optimizers = [keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01)]


@tf.function
def step_of_two(x, y):
    for one, optimizer in zip(pair, optimizers, strict=True):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(one(x) - y))
        tape = hvd.DistributedGradientTape(tape)
        optimizer.apply(tape.gradient(loss, one.trainable_variables), one.trainable_variables)


step_of_two(*data(rank))
report.weights("two tapes", pair[0].weights + pair[1].weights)

# All that a model has, random seeds too, in both ways of broadcasting.
for inplace in (False, True):
    keras.utils.set_random_seed(rank)
    trained = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5), keras.layers.Dropout(0.5), keras.layers.Dense(5)]
    )
    variables = trained.weights if inplace else trained.variables
    report.weights(f"broadcast {inplace}/before", variables)
    hvd.broadcast_variables(variables, root_rank=size - 1, inplace=inplace)
    report.weights(f"broadcast {inplace}", variables)

# Elastic state: what a rank holds is rank 0's after sync, what it was after restore.
trained, optimizer = model(seed=rank), keras.optimizers.Adam(0.01)
state = KerasState(trained, optimizer=optimizer, epoch=rank + 5)
report.value("elastic/built", optimizer.built)
state.sync()
report.weights("elastic/synced", [*trained.weights, *optimizer.variables])
report.value("elastic/epoch", state.epoch)
trained.compile(optimizer=optimizer, loss="mse", metrics=["mae"])
trained.fit(*data(rank), verbose=0)
state.epoch += 1
report.weights("elastic/trained", [*trained.weights, *optimizer.variables])
state.restore()
report.weights("elastic/restored", [*trained.weights, *optimizer.variables])
report.value("elastic/restored epoch", state.epoch)
trained.fit(*data(rank), verbose=0)
state.commit()
state.sync()
report.weights("elastic/synced again", [*trained.weights, *optimizer.variables])

report.write()
