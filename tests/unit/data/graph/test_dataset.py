"""The data set without Python: what it gives, locally and on a worker that has no Python."""

import gzip
import itertools
import json
import socket
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest
from processes import environment

from trainer.config.errors import DataError
from trainer.data.files import open_tables
from trainer.data.formats import idx, protobuf
from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.shard import Shard
from trainer.data.stream import Stream

COUNT = 500

CACHED, STREAMED = {"cache_mb": 10}, {"cache_mb": 0, "piece_examples": 128}
either = pytest.mark.parametrize("options", [CACHED, STREAMED], ids=["cached", "streamed"])


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


@pytest.fixture(scope="module")
def graph_dataset(tf):
    from trainer.data.graph.dataset import graph_dataset

    return graph_dataset


@pytest.fixture(scope="module")
def reference(tf):
    """One pass of our own reader over some paths."""
    from trainer.data.pipeline import make_dataset

    return lambda paths: gathered(
        make_dataset(Stream(open_tables(paths, split="test"), batch_size=64, training=False))
    )


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, 28, 28, 1), np.uint8)
    # The first pixels number the examples.
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.divmod(np.arange(COUNT), 256)
    return images, rng.integers(0, 10, COUNT).astype(np.uint8)


@pytest.fixture
def sources(tmp_path, data):
    """The same examples in files of every kind, each in a folder: its path by its name."""
    images, labels = data
    for name in ("tfrecord", "mixed", "idx", "gzip", "npy", "packed"):
        (tmp_path / name).mkdir()
    for part, rows in enumerate(np.split(np.arange(COUNT), [100, 300])):
        path = records(tmp_path / f"tfrecord/{part}.tfrecords", images[rows], labels[rows])
        raw = (bytes, gzip.compress, zlib.compress)[part](path.read_bytes())
        (tmp_path / f"packed/{part}.tfrecords").write_bytes(raw)
    lines = [
        frame(np.frombuffer(row.tobytes() + feature(b"x" * (i % 7)), np.uint8)[None]).tobytes()
        for i, row in enumerate(encode_examples(images, labels))
    ]
    (tmp_path / "mixed/a.tfrecords").write_bytes(b"".join(lines))
    for name, open_file, end in [("idx", open, ""), ("gzip", gzip.open, ".gz")]:
        for what, array in [("images-idx3", images[..., 0]), ("labels-idx1", labels)]:
            with open_file(tmp_path / name / f"{what}-ubyte{end}", "wb") as file:
                file.write(idx.pack(array))
    np.save(tmp_path / "npy/x.npy", images)
    np.save(tmp_path / "npy/y.npy", labels.astype(">i8"))
    return {path.name: [str(path)] for path in tmp_path.iterdir()}


def records(path, images, labels):
    path.write_bytes(frame(encode_examples(images, labels)).tobytes())
    return path


def feature(value):
    """One more feature of a record, of any length."""
    message = protobuf.field(1, protobuf.field(1, value))
    return protobuf.field(
        1, protobuf.field(1, protobuf.field(1, b"name") + protobuf.field(2, message))
    )


def flip(path, *numbers, of):
    """Damage some of a file's records."""
    raw = bytearray(path.read_bytes())
    for number in numbers:
        raw[number * (len(raw) // of) + 100] ^= 1
    path.write_bytes(raw)


def gathered(batches):
    images, labels = zip(*((x.numpy(), y.numpy()) for x, y in batches), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def numbers(images):
    """Which examples of `data` these are."""
    pixels = np.rint(images[:, 0, :2, 0] * 255).astype(int)
    return (pixels[:, 0] * 256 + pixels[:, 1]).tolist()


def train(paths, graph_dataset, *, batches, **options):
    tables = open_tables(paths, split="train")
    found = graph_dataset(tables, **{"batch_size": 32, "training": True} | options)
    return [(x, y) for x, y in itertools.islice(iter(found), batches)]


@pytest.mark.parametrize("kind", ["tfrecord", "mixed", "idx", "gzip", "npy", "packed"])
def test_one_pass_is_what_our_own_reader_gives(graph_dataset, reference, sources, kind):
    tables = open_tables(sources[kind], split="test")
    found = graph_dataset(tables, batch_size=64, training=False)
    sizes = [x.shape[0] for x, _ in found]
    assert sizes == [64] * 7 + [COUNT - 7 * 64]
    for ours, theirs in zip(gathered(found), reference(sources[kind]), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_real_digits_are_what_our_own_reader_gives(graph_dataset, reference, mnist_dir, tfrecords):
    for path in (mnist_dir, tfrecords):
        tables = open_tables([str(path)], split="test")
        found = graph_dataset(tables, batch_size=1000, training=False)
        for ours, theirs in zip(gathered(found), reference([str(path)]), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_synthetic_digits_need_no_file(graph_dataset, reference):
    found = gathered(graph_dataset(open_tables([], split="test"), batch_size=300, training=False))
    for ours, theirs in zip(found, reference([]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@either
@pytest.mark.parametrize("kind", ["tfrecord", "gzip"])
def test_epochs_hold_each_example_once_in_full_batches(graph_dataset, data, sources, kind, options):
    found = train(sources[kind], graph_dataset, batches=47, **options)
    assert {tuple(x.shape) for x, _ in found} == {(32, 28, 28, 1)}
    images, labels = gathered(found)
    seen = numbers(images)
    np.testing.assert_array_equal(labels, data[1][seen])
    np.testing.assert_allclose(images, data[0][seen] / 255, rtol=1e-6)
    epochs = [seen[start : start + COUNT] for start in (0, COUNT, 2 * COUNT)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    # Shuffled, and not only here and there.
    moved = np.abs(np.array(epochs[0]) - np.arange(COUNT))
    assert moved.mean() > 20


@either
def test_the_seed_decides_the_order(graph_dataset, sources, options):
    def order(**others):
        found = train(sources["tfrecord"], graph_dataset, batches=20, **options, **others)
        return numbers(gathered(found)[0])

    assert order(seed=7) == order(seed=7)
    assert order(seed=7) != order(seed=8)


@either
def test_shards_have_orders_of_their_own(graph_dataset, tmp_path, data, options):
    for part in range(2):
        records(tmp_path / f"{part}.tfrecords", data[0][:200], data[1][:200])
    first, second = (
        numbers(gathered(train([str(tmp_path)], graph_dataset, batches=6, **options, **shard))[0])
        for shard in ({"shard_index": i, "shard_count": 2} for i in range(2))
    )
    assert first != second


@pytest.mark.parametrize(
    ("kind", "count"), [("tfrecord", 3), ("tfrecord", 7), ("mixed", 2), ("gzip", 3), ("npy", 2)]
)
def test_an_evaluation_sees_each_example_once_over_all_shards(
    graph_dataset, data, sources, kind, count
):
    tables = open_tables(sources[kind], split="test")
    shares = []
    for index in range(count):
        options = {"shard_index": index, "shard_count": count}
        images, labels = gathered(graph_dataset(tables, batch_size=9, training=False, **options))
        shares.append(numbers(images))
        np.testing.assert_array_equal(labels, data[1][shares[-1]])
    assert sorted(itertools.chain(*shares)) == list(range(COUNT))
    assert all(share == sorted(share) for share in shares)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("count", "by", "options", "files"),
    [
        # Files of 100, 200 and 200 records: three parts of one file each would be unequal.
        (3, "auto", STREAMED, False),
        (3, "file", CACHED, True),
        (2, "file", STREAMED, True),
        (2, "record", CACHED, False),
    ],
)
def test_training_reads_its_share_by_file_or_by_record(
    graph_dataset, sources, count, by, options, files
):
    tables = open_tables(sources["tfrecord"], split="train")
    where = np.repeat([0, 1, 2], [100, 200, 200])
    shares = []
    for index in range(count):
        shard = {"shard_index": index, "shard_count": count, "shard_by": by}
        batches = graph_dataset(tables, batch_size=1, training=True, **shard, **options)
        wanted = np.arange(COUNT) % count == index
        if files:
            wanted = where % count == index
        seen = numbers(gathered(itertools.islice(iter(batches), int(wanted.sum())))[0])
        assert sorted(seen) == np.flatnonzero(wanted).tolist()
        shares += seen
    assert sorted(shares) == list(range(COUNT))


def test_files_of_equal_length_are_read_by_one_shard_each(graph_dataset, tmp_path, data):
    for part, rows in enumerate(np.split(np.arange(COUNT), 2)):
        records(tmp_path / f"{part}.tfrecords", data[0][rows], data[1][rows])
    shard = {"shard_index": 1, "shard_count": 2, "batch_size": 50}
    found = train([str(tmp_path)], graph_dataset, batches=5, **shard, **CACHED)
    assert sorted(numbers(gathered(found)[0])) == list(range(COUNT // 2, COUNT))


def test_a_shard_may_be_known_only_when_the_graph_runs(tf, graph_dataset, sources):
    tables = open_tables(sources["tfrecord"], split="test")

    @tf.function(autograph=False)
    def share(index):
        found = graph_dataset(
            tables, batch_size=COUNT, training=False, shard_index=index, shard_count=3
        )
        return next(iter(found))[0]

    seen = [numbers(share(tf.constant(i)).numpy()) for i in range(3)]
    assert sorted(itertools.chain(*seen)) == list(range(COUNT))
    with pytest.raises(tf.errors.InvalidArgumentError, match="no such part"):
        share(tf.constant(3))


def test_more_shards_than_records_is_an_error(graph_dataset, tmp_path, data):
    path = records(tmp_path / "few.tfrecords", data[0][:3], data[1][:3])
    tables = open_tables([str(path)], split="train")
    with pytest.raises(DataError, match=r"few.tfrecords: 3 records are too few for 4 workers"):
        graph_dataset(tables, batch_size=2, training=True, shard_index=0, shard_count=4)


def test_a_damaged_record_is_an_error_that_the_coordinator_can_place(tf, graph_dataset, sources):
    flip(Path(sources["tfrecord"][0], "1.tfrecords"), 37, of=200)
    tables = open_tables(sources["tfrecord"], split="test")
    found = graph_dataset(tables, batch_size=64, training=False)
    with pytest.raises(tf.errors.DataLossError):
        gathered(found)
    assert "1.tfrecords: record 37 at offset" in str(found.stream.error)
    assert "checksum" in str(found.stream.error)


def test_sound_data_has_no_error(graph_dataset, sources):
    tables = open_tables(sources["tfrecord"], split="test")
    assert graph_dataset(tables, batch_size=64, training=False).stream.error is None


@either
@pytest.mark.parametrize(
    ("width", "label", "problem"),
    [
        (28, 70_000, "record 1: label 70000, expected 0 to 65535"),
        (29, 1, "record 1: image size is 28×29×1, expected 28×28×1"),
    ],
)
def test_a_record_that_does_not_fit_is_named(
    tf, graph_dataset, tmp_path, width, label, problem, options
):
    good = records(tmp_path / "a.tfrecords", np.zeros((1, 28, 28, 1), np.uint8), np.array([3]))
    other = records(tmp_path / "b", np.zeros((1, 28, width, 1), np.uint8), np.array([label]))
    good.write_bytes(good.read_bytes() + other.read_bytes())
    other.unlink()
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"a.tfrecords: {problem}"):
        train([str(tmp_path)], graph_dataset, batches=1, **options)


@pytest.mark.parametrize("kind", ["tfrecord", "idx", "npy"])
@pytest.mark.parametrize("change", ["shorter", "longer", "gone"])
def test_a_file_other_than_the_coordinators_is_an_error_that_names_it(
    tf, graph_dataset, sources, data, kind, change
):
    tables = open_tables(sources[kind], split="test")
    name = {"tfrecord": "2.tfrecords", "idx": "images-idx3-ubyte", "npy": "x.npy"}[kind]
    path = Path(sources[kind][0], name)
    raw = path.read_bytes()
    size = len(raw) // 200 if kind == "tfrecord" else 28 * 28
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(raw[:-size] if change == "shorter" else raw + raw[-size:])
    found = graph_dataset(tables, batch_size=64, training=False)
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.NotFoundError), match=name):
        gathered(found)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress])
def test_damaged_records_may_be_left_out(graph_dataset, data, tmp_path, pack):
    path = records(tmp_path / "a.tfrecords", *data)
    flip(path, 3, 70, of=COUNT)
    path.write_bytes(pack(path.read_bytes()))
    tables = open_tables([str(path)], split="test", skip_corrupt=2)
    found = graph_dataset(tables, batch_size=64, training=False)
    expected = [n for n in range(COUNT) if n not in (3, 70)]
    images, labels = gathered(found)
    assert numbers(images) == expected
    np.testing.assert_array_equal(labels, data[1][expected])
    assert found.stream.total == COUNT - 2
    assert len(found.stream.damage) == 2


def test_input_fn_tells_of_all_the_data_whatever_the_shard(tf, sources):
    from trainer.models.mnist import input_fn
    from trainer.training.run_data import SplitData

    found = input_fn(sources["tfrecord"], "train", 32, Shard(1, 3), in_graph=True)
    description = SplitData.of(found).description
    assert (description["kind"], description["examples"], description["damaged"]) == (
        "tfrecord",
        COUNT,
        [],
    )
    assert [name.rpartition("/")[2] for name in description["files"]] == [
        f"{i}.tfrecords" for i in range(3)
    ]
    assert found.feed is None
    assert found.element_spec == (
        tf.TensorSpec((32, 28, 28, 1), tf.float32),
        tf.TensorSpec((32,), tf.int32),
    )


SERVERS = """
    import json, sys
    import tensorflow as tf

    cluster = tf.train.ClusterSpec(json.loads(sys.argv[1]))
    servers = [
        tf.distribute.Server(cluster, job_name=job, task_index=task, protocol="grpc")
        for job in cluster.jobs for task in range(cluster.num_tasks(job))
    ]
    print("ready", flush=True)
    sys.stdin.read()
"""

COORDINATOR = """
    import json, sys
    import numpy as np
    import tensorflow as tf
    from trainer.data.shard import Shard
    from trainer.models.mnist import input_fn

    cluster, path, out = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster), rpc_layer="grpc"
    )
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    worker_index = tf.distribute.coordinator.experimental_get_current_worker_index

    def per_worker(mode, batch):
        def data():
            return input_fn([path], mode, batch, Shard(worker_index(), 2), in_graph=True)

        made = coordinator.create_per_worker_dataset(tf.function(data, autograph=False))
        return iter(made)

    @tf.function(autograph=False)
    def take(batches):
        batch = batches.get_next_as_optional()
        none = lambda: (tf.zeros((0, 28, 28, 1)), tf.zeros(0, tf.int32))
        return worker_index(), *tf.cond(batch.has_value(), batch.get_value, none)

    def some(batches, count):
        values = [coordinator.schedule(take, (batches,)) for _ in range(count)]
        coordinator.join()
        return [value.fetch() for value in values]

    # One batch holds a whole share: each worker has one.
    tests, shares = per_worker("test", 10_000), {}
    while len(shares) < 2:
        shares |= {int(w): batch for w, *batch in some(tests, 2) if len(batch[1])}
    batches = some(per_worker("train", 64), 40)
    np.savez(
        out,
        **{f"test_{w}_{name}": a for w, s in shares.items() for name, a in zip("xy", s)},
        worker=[int(w) for w, _, _ in batches],
        train_x=np.stack([x for _, x, _ in batches]),
        train_y=np.stack([y for _, _, y in batches]),
    )
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for each in sockets:
        each.close()
    return ports


def test_workers_without_python_read_their_own_shares(tf, tfrecords, tmp_path):
    one, two, ps = (f"127.0.0.1:{port}" for port in free_ports(3))
    cluster = json.dumps({"worker": [one, two], "ps": [ps]})
    env = environment({"CUDA_VISIBLE_DEVICES": "-1", "GRPC_FAIL_FAST": "use_caller"})
    code = [sys.executable, "-c", textwrap.dedent(SERVERS), cluster]
    out = tmp_path / "seen.npz"
    pipe = subprocess.PIPE
    with subprocess.Popen(code, stdin=pipe, stdout=pipe, text=True, env=env) as servers:
        try:
            assert servers.stdout.readline() == "ready\n"
            code = [
                sys.executable,
                "-c",
                textwrap.dedent(COORDINATOR),
                cluster,
                str(tfrecords),
                out,
            ]
            done = subprocess.run(
                code, env=env, capture_output=True, text=True, timeout=120, check=False
            )
        finally:
            servers.kill()
    assert done.returncode == 0, done.stderr
    seen = np.load(out)
    images, labels = everything(tfrecords, "test")
    for worker in (0, 1):
        np.testing.assert_array_equal(scaled(images[worker::2]), seen[f"test_{worker}_x"])
        np.testing.assert_array_equal(labels[worker::2], seen[f"test_{worker}_y"])
    # Two files for two workers: each reads one.
    shares = [
        {(x.tobytes(), int(y)) for x, y in zip(scaled(table[0]), table[1], strict=True)}
        for table in tables_of(tfrecords, "train")
    ]
    for worker, xs, ys in zip(seen["worker"], seen["train_x"], seen["train_y"], strict=True):
        batch = {(x.tobytes(), int(y)) for x, y in zip(xs, ys, strict=True)}
        assert batch <= shares[worker]


def tables_of(path, split):
    return [table.read(0, len(table)) for table in open_tables([str(path)], split=split)]


def everything(path, split):
    return tuple(map(np.concatenate, zip(*tables_of(path, split), strict=True)))


def scaled(images):
    return images.astype(np.float32) * np.float32(1 / 255)
