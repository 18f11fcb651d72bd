import pytest

from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.data.reading import names_in, read_options


def test_a_job_says_how_its_data_is_read(tmp_path):
    names = tmp_path / "classes.txt"
    names.write_text("cat\nbig dog\n\n")
    job = Job(
        image_size="32,48", pixel_range="-1,1", feature=("image=img",), classes=str(names),
        skip_corrupt=3,
    )  # fmt: skip
    options = read_options(job, class_names=("a", "b", "c"))
    assert options.image_size == (32, 48)
    assert options.pixel_range == (-1.0, 1.0)
    assert options.features == (("image", "img"),)
    assert options.skip_corrupt
    # A file comes before what the training data says.
    assert (options.classes, options.class_names) == (2, ("cat", "big dog"))


def test_the_training_data_names_the_classes_of_the_test_data():
    options = read_options(Job(), class_names=("cat", "dog"))
    assert (options.classes, options.class_names) == (2, ("cat", "dog"))
    assert read_options(Job(classes="7")).classes == 7
    assert read_options(Job()).classes is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "has 0 names, expected 2 to 65536, one a line"),
        (b"one\n", "has 1 names"),
        (b"a\n\nb\n", "line 2 is empty, expected a name"),
        (b"a\nb\na\n", "has the name a twice"),
        (b"\xff\xfe\x00", "is no text in UTF-8"),
    ],
)
def test_a_file_of_names_that_is_not_as_expected_is_refused(tmp_path, content, problem):
    path = tmp_path / "names"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"--classes {path}: {problem}"):
        names_in(path)


def test_a_file_of_names_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"--classes .*/none: cannot be read: No such file"):
        read_options(Job(classes=str(tmp_path / "none")))
