"""Four ranks: all of them together, then in two process sets of two."""

from __future__ import annotations

import horovod.tensorflow.keras as hvd
from horovod.tensorflow import ProcessSet
from keras.optimizers import SGD

from common import Report, data, fit, joined, model

halves = [ProcessSet([0, 1]), ProcessSet([2, 3])]
hvd.init(process_sets=halves)
rank, size = hvd.rank(), hvd.size()
report = Report()

trained = model(seed=rank)
fit(
    trained,
    hvd.DistributedOptimizer(SGD(0.01)),
    data(rank),
    callbacks=[hvd.callbacks.BroadcastGlobalVariablesCallback(0)],
)
report.weights("all", trained.weights)
if rank == 0:
    alone = model(seed=0)
    fit(alone, SGD(0.01), joined(size), size=size)
    report.weights("all/joined", alone.weights)

trained = model(seed=0)
fit(trained, hvd.DistributedOptimizer(SGD(0.01), process_set=halves[rank // 2]), data(rank))
report.weights("halves", trained.weights)
if rank == 0:
    alone = model(seed=0)
    fit(alone, SGD(0.01), joined(2), size=2)
    report.weights("halves/joined", alone.weights)

report.write()
