"""npz files: the parts of a data set in one file, stored or compressed, whole or damaged."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from trainer.config.errors import DataError
from trainer.config.splits import PARTS_OF
from trainer.data.files import holds_split, open_tables
from trainer.data.formats.npz import open_split
from trainer.data.formats.read_options import ReadOptions

TRAIN, TEST = ReadOptions(), ReadOptions(split="test")


def arrays(counts, names="x_{0} y_{0}", shape=(28, 28)):
    """Return images and labels, under names of their part, with a number of examples each."""
    rng = np.random.default_rng(0)
    found = {}
    for part, count in counts.items():
        images, labels = (name.format(part) for name in names.split())
        found[images] = rng.integers(0, 256, (count, *shape), np.uint8)
        found[labels] = rng.integers(0, 10, count)
    return found


def saved(path, save=np.savez, **named):
    save(path, **named)
    return path


def error_of(path, options=TRAIN):
    with pytest.raises(DataError) as caught:
        open_split(path, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("names", "test"),
    [("x_{0} y_{0}", "test"), ("{0}_images {0}_labels", "test"), ("{0}X {0}Y", "test"),
     ("{0}_data {0}_labels", "eval"), ("x{0} y{0}", "val")],
)  # fmt: skip
def test_each_split_is_found_by_its_name(tmp_path, save, names, test):
    held = arrays({"train": 70, test: 30}, names)
    path = saved(tmp_path / "a.npz", save, **held)
    values = list(held.values())
    for options, (images, labels) in (ReadOptions(), values[:2]), (TEST, values[2:]):
        table = open_split(path, options)
        assert len(table) == len(labels)
        found = table.read(0, len(table))
        np.testing.assert_array_equal(found[0][..., 0], images)
        np.testing.assert_array_equal(found[1], labels)
    assert holds_split([str(path)], "test")
    assert holds_split([str(tmp_path)], "test")


def test_one_file_is_both_splits_and_named_for_each(tmp_path):
    path = str(saved(tmp_path / "mnist.npz", **arrays({"train": 70, "test": 30})))
    for where in path, str(tmp_path):
        [train], [test] = (open_tables([where], split=split) for split in ("train", "test"))
        assert (len(train), len(test)) == (70, 30)
        assert train.name == f"{path} (x_train with y_train)"
        assert test.name == f"{path} (x_test with y_test)"


def test_a_test_split_comes_before_one_for_validation(tmp_path):
    held = arrays({"train": 10, "val": 20, "test": 30}, "{0}_images {0}_labels")
    assert len(open_split(saved(tmp_path / "a.npz", **held), TEST)) == 30
    held = arrays({"train": 10, "val": 20}, "{0}_images {0}_labels")
    assert len(open_split(saved(tmp_path / "b.npz", **held), TEST)) == 20


def test_three_splits_in_one_file_are_used_for_what_they_are(tmp_path):
    held = arrays({"train": 10, "val": 20, "test": 30}, "{0}_images {0}_labels")
    path = saved(tmp_path / "pathmnist.npz", **held)
    sizes = {split: len(open_split(path, ReadOptions(split=split))) for split in PARTS_OF}
    assert sizes == {"train": 10, "validation": 20, "test": 30}


@pytest.mark.parametrize("keys", ["x y", "images labels", "data target", "features targets", "X Y"])
def test_a_file_of_one_part_is_any_split(tmp_path, keys):
    path = saved(tmp_path / "a.npz", **arrays({"": 20}, keys))
    assert len(open_split(path)) == len(open_split(path, TEST)) == 20
    assert not holds_split([str(path)], "test")
    path = saved(tmp_path / "b.npz", **arrays({"train": 20}))
    assert len(open_split(path, TEST)) == 20


def test_arrays_without_names_are_known_by_their_shape(tmp_path):
    images, labels = arrays({"": 20}, "x y").values()
    np.savez(tmp_path / "a.npz", labels, images)
    found = open_split(tmp_path / "a.npz").read(0, 20)
    np.testing.assert_array_equal(found[0][..., 0], images)
    np.testing.assert_array_equal(found[1], labels)


def test_other_arrays_do_not_matter(tmp_path):
    held = arrays({"train": 20, "test": 10})
    path = saved(tmp_path / "a.npz", **held, ids=np.arange(20), names=np.array(["a", None], object))
    assert len(open_split(path)) == 20


def test_names_can_be_given(tmp_path):
    held = arrays({"train": 20, "test": 10}, "scan_{0} kind_{0}")
    path = saved(tmp_path / "a.npz", **held, kind2_train=np.arange(20), kind2_test=np.arange(10))
    assert "holds scan_train, kind_train, " in error_of(path)
    assert error_of(path).endswith("name them: --feature image=NAME,label=NAME")
    features = (("image", "scan"), ("label", "kind"))
    assert len(open_split(path, ReadOptions(features=features))) == 20
    assert len(open_split(path, ReadOptions(features=features, split="test"))) == 10


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_fortran_order_and_floats_are_read_here_as_well(tmp_path, save):
    images, labels = arrays({"": 130}, "x y", (9, 11, 3)).values()
    floats = np.asfortranarray((images / 255).astype(np.float32))
    table = open_split(saved(tmp_path / "a.npz", save, x=floats, y=np.eye(10)[labels]))
    found = table.read(64, 128)
    np.testing.assert_allclose(found[0], images[64:128] / 255, atol=1e-6)
    np.testing.assert_array_equal(found[1], labels[64:128])
    assert (table.spec.low, table.spec.high) == (0, 1)


def test_objects_are_never_unpickled(tmp_path):
    held = arrays({"": 5}, "x y")
    path = saved(tmp_path / "a.npz", x=held["x"], y=held["y"].astype(object))
    assert error_of(path).startswith(f"{path}: y: npy of object [5], expected numbers; ")


def test_what_is_not_there_is_listed(tmp_path):
    assert "holds x_train and x_test; expected images and labels, such as x and y" in error_of(
        saved(tmp_path / "a.npz", x_train=np.zeros((3, 28, 28)), x_test=np.zeros((3, 28, 28)))
    )
    assert "holds no arrays; " in error_of(saved(tmp_path / "b.npz"))
    path = saved(tmp_path / "c.npz", **arrays({"train": 3, "val": 4}))
    table = open_split(path, TEST)
    assert len(table) == 4
    held = arrays({"test": 3, "val": 4})
    message = error_of(saved(tmp_path / "d.npz", **held))
    assert message.endswith("d.npz: holds test and validation data, but no train data")


def test_counts_that_differ_are_named(tmp_path):
    path = saved(tmp_path / "a.npz", x=np.zeros((5, 28, 28), np.uint8), y=np.zeros(4, int))
    assert error_of(path) == f"{path}: x has 5 images, but {path}: y has 4 labels"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("left", [40, 400, 4000, -30, -1])
def test_a_file_that_is_cut_short_is_reported(tmp_path, save, left):
    path = saved(tmp_path / "a.npz", save, **arrays({"": 20}, "x y"))
    path.write_bytes(path.read_bytes()[:left])
    for report in (error_of(path), error_of_paths(path)):
        assert report == (
            f"{path}: damaged npz file (File is not a zip file); fetch the file again"
        )


def error_of_paths(path):
    with pytest.raises(DataError) as caught:
        open_tables([str(path)], split="train")
    return str(caught.value)


def members(path, **bodies):
    """Write an archive of members by hand: name to bytes, or to bytes and their claimed size."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in bodies.items():
            archive.writestr(f"{name}.npy", body)
    return path


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_a_header_that_lies_costs_no_memory(tmp_path):
    images = npy(np.zeros((10, 28, 28), np.uint8))
    body = images.replace(b"(10, 28, 28)", b"(2147483648,)")
    path = members(tmp_path / "a.npz", x=body, y=npy(np.zeros(10, int)))
    assert "bytes, but the header calls for 2147483648" in error_of(path)
    long = b"\x93NUMPY\x02\x00" + (2**31 - 1).to_bytes(4, "little") + b" " * 1000
    path = members(tmp_path / "b.npz", x=long, y=npy(np.zeros(10, int)))
    assert "npy header cannot be read (EOF" in error_of(path)


def test_an_archive_made_to_fill_a_disk_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    fake = npy(np.zeros(10, np.uint8)).replace(b"(10,), }        ", b"(4000000000,), }")
    raw = members(tmp_path / "b.npz", x=fake, y=npy(np.zeros(10, int))).read_bytes()
    claimed = (len(fake) - 10 + 4_000_000_000).to_bytes(4, "little")
    path.write_bytes(raw.replace(len(fake).to_bytes(4, "little"), claimed))
    assert "x: unpacks to 4,000,000,128 bytes, out of all proportion to its file's " in error_of(
        path, ReadOptions(features=(("image", "x"), ("label", "y")))
    )


@settings(deadline=None, max_examples=300)
@given(data=st.data(), save=st.sampled_from([np.savez, np.savez_compressed]))
def test_a_flipped_byte_is_reported_or_read_but_never_crashes(tmp_path_factory, data, save):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    saved(path, save, **arrays({"": 3}, "x y", (8, 8)))
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    try:
        table = open_split(path)
        images, labels = table.read(0, len(table))
    except DataError as error:
        assert "\n" not in str(error)
        assert str(error).startswith(str(path))
    else:
        assert len(images) == len(labels)
