import os

import pytest

from trainer.backends import SubmitOptions, make_submission, plan_uploads
from trainer.config import UserError

from .test_submission import PLACE

BUCKET = "s3://b/jobs"


def planned(**values):
    submission = make_submission(PLACE, SubmitOptions(image="i"), values, {})
    return plan_uploads(submission, BUCKET)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data/test").mkdir(parents=True)
    for name in ("a.npy", "test/b.npy", ".hidden"):
        (tmp_path / "data" / name).write_bytes(b"12345")
    return tmp_path / "data"


def test_a_folder_is_sent_whole_without_hidden_files(data):
    submission, (upload,) = planned(train=(str(data),))
    assert submission.job.train == (upload.url,)
    assert upload.url.startswith(f"{BUCKET}/data/")
    assert list(upload.files) == ["a.npy", "test/b.npy"]
    assert upload.bytes == 10


def test_a_file_keeps_its_name(data):
    submission, (upload,) = planned(test=(str(data / "a.npy"),))
    assert submission.job.test == (f"{upload.url}/a.npy",)


def test_a_glob_becomes_a_folder_of_what_it_matches(data):
    submission, (upload,) = planned(train=(str(data / "*.npy"),))
    assert submission.job.train == (upload.url,)
    assert list(upload.files) == ["a.npy"]


def test_the_same_files_get_the_same_url_and_changed_ones_another(data):
    first = planned(train=(str(data),))[1][0].url
    assert planned(train=(str(data),))[1][0].url == first
    os.utime(data / "a.npy", ns=(1, 1))
    assert planned(train=(str(data),))[1][0].url != first


def test_what_is_in_a_store_stays_there():
    submission, uploads = planned(train=("s3://x/y",), classes="10")
    assert (submission.job.train, submission.job.classes, uploads) == (("s3://x/y",), "10", ())


def test_a_module_goes_with_what_it_imports_from_beside_it(tmp_path):
    (tmp_path / "net.py").write_text("import layers\n")
    (tmp_path / "layers.py").write_text("")
    (tmp_path / "other.py").write_text("")
    submission, (upload,) = planned(module=str(tmp_path / "net.py"))
    assert submission.job.module == f"{upload.url}/net.py"
    assert upload.url.startswith(f"{BUCKET}/code/")
    assert list(upload.files) == ["layers.py", "net.py"]


def test_a_module_of_the_image_is_passed_on_by_its_name():
    submission, uploads = planned(module="somewhere_else.model")
    assert (submission.job.module, uploads) == ("somewhere_else.model", ())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"train": ("/nowhere",)}, "--train /nowhere: nothing is there"),
        ({"train": ("/nowhere/*.npy",)}, "--train /nowhere/*.npy: nothing is there"),
        ({"module": "no/such.py"}, "--module no/such.py: no such file"),
    ],
)
def test_what_is_missing_is_named(values, expected):
    with pytest.raises(UserError) as error:
        planned(**values)
    assert str(error.value) == expected
