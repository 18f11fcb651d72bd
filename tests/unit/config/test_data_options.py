import pytest

from trainer.config.data_options import class_count, feature_names, image_size, pixel_range
from trainer.config.errors import UserError
from trainer.config.job import Job


@pytest.mark.parametrize("text", ["32,48", " 32 , 48 ", "32x48", "32×48"])
def test_a_size_is_height_and_width(text):
    assert image_size(text) == (32, 48)


@pytest.mark.parametrize("text", ["", "32", "32,", "0,5", "5,0", "1,2,3", "a,b", "-3,4", "9,16385"])
def test_a_size_of_something_else_is_refused_with_an_example(text):
    with pytest.raises(UserError, match=r"expected HEIGHT,WIDTH, .* such as 32,32"):
        Job(image_size=text)


def test_a_range_is_two_numbers_the_smaller_first():
    assert pixel_range("-1,1") == (-1.0, 1.0)
    assert pixel_range("0, 4095") == (0.0, 4095.0)


@pytest.mark.parametrize("text", ["", "1", "1,0", "0,0", "0,1,2", "0,inf", "nan,1", "a,b"])
def test_a_range_of_something_else_is_refused_with_an_example(text):
    with pytest.raises(UserError, match=r"expected LOW,HIGH, .* such as 0,255"):
        Job(pixel_range=text)


def test_features_come_one_by_one_or_with_commas():
    pairs = (("image", "img"), ("label", "digit"))
    assert feature_names(["image=img", "label=digit"]) == pairs
    assert feature_names(["image=img, label=digit"]) == pairs
    assert feature_names([]) == ()


@pytest.mark.parametrize("items", [("image",), ("=x",), ("image=",), ("a=b", "a=c"), ("a=b,,",)])
def test_features_of_another_form_are_refused_with_an_example(items):
    with pytest.raises(UserError, match=r"--feature .*: expected NAME=NAME"):
        Job(feature=items)


def test_classes_are_a_number_or_a_file():
    assert class_count("26") == 26
    assert class_count("names.txt") is None


@pytest.mark.parametrize("text", ["1", "0", "-3", "65537", "99999999999999999999"])
def test_a_number_of_classes_that_cannot_be_is_refused(text):
    with pytest.raises(UserError, match=rf"--classes {text}: expected a number of 2 to 65536"):
        Job(classes=text)
