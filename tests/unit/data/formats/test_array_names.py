"""What names of arrays say: images or labels, which part of the data, which pair."""

import pytest

from trainer.data.formats.array_names import array_part, array_role, pair_key


@pytest.mark.parametrize(
    "name", ["x", "X", "x_train", "trainX", "xtrain", "train_images", "TrainImages", "data",
             "features", "eval_data", "val_imgs", "images00"],
)  # fmt: skip
def test_names_of_images(name):
    assert array_role(name, (9, 10)) == "images"


@pytest.mark.parametrize(
    "name", ["y", "Y", "y_test", "testY", "ytest", "train_labels", "targets", "label", "classes",
             "data_labels", "labels00"],
)  # fmt: skip
def test_names_of_labels(name):
    assert array_role(name, (9, 100)) == "labels"
    assert array_role(name, (9,)) == "labels"


@pytest.mark.parametrize(
    ("shape", "role"),
    [((9,), "labels"), ((9, 1), "labels"), ((9, 10), "labels"), ((9, 784), "images"),
     ((9, 28, 28), "images"), ((9, 1, 28, 28), "images")],
)  # fmt: skip
def test_the_shape_decides_where_the_name_says_nothing(shape, role):
    assert array_role("arr_0", shape) == role


def test_one_number_an_example_is_a_label_by_any_name():
    assert array_role("x", (9,)) == array_role("images", (9, 1)) == "labels"


@pytest.mark.parametrize(
    ("name", "part"),
    [("x_train", "train"), ("trainX", "train"), ("ytest", "test"), ("val_images", "validation"),
     ("eval_labels", "eval"), ("x", None), ("xylophone", None)],
)  # fmt: skip
def test_the_part_of_the_data_stands_in_the_name(name, part):
    assert array_part(name) == part


@pytest.mark.parametrize(
    ("images", "labels"),
    [("x_train.npy", "y_train.npy"), ("trainX.npy", "trainY.npy"), ("xtrain.npy", "ytrain.npy"),
     ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"), ("imgs_3.npy", "targets_3.npy"),
     ("train_data.npy", "train_labels.npy"), ("trainimages.npy", "trainlabels.npy"),
     ("features.npy", "classes.npy")],
)  # fmt: skip
def test_pairs_have_the_other_words_in_common(images, labels):
    assert pair_key(images) == pair_key(labels)
    assert pair_key(images) != pair_key("x_other.npy")
