"""Amazon S3, as moto has it, over real connections."""

# ruff: noqa: E402

from __future__ import annotations

import dataclasses
from urllib.parse import unquote

import pytest

# Before it is imported, for its assertions to be explained.
pytest.register_assert_rewrite("object_stores")

from moto_server import moto_server
from object_stores import SECRET, Contract, Store, files, serving, write

from trainer.config.errors import UserError
from trainer.storage.errors import StorageError
from trainer.storage.store_options import StorageOptions
from trainer.storage.transfer import download_objects, upload_folder

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")


class S3(Store):
    scheme, sends, looks, times = "s3", "PUT", "HEAD", 2
    short = "FlexibleChecksumError"
    listing = "list-type=2"

    def content(self, key: str) -> str:
        return f"/{self.bucket}/{key}"

    def name_sent(self, request: tuple[str, str]) -> str:
        return unquote(request[1].partition("?")[0]).removeprefix(f"/{self.bucket}/")


@pytest.fixture(scope="module")
def server():
    with moto_server() as port, serving(port) as proxy:
        yield proxy


@pytest.fixture
def new_store(server, monkeypatch):
    import s3fs

    def settings(port: int) -> dict:
        return {
            "key": "AKIAEXAMPLE",
            "secret": SECRET,
            "endpoint_url": f"http://127.0.0.1:{port}",
            "client_kwargs": {"region_name": "us-east-1"},
            # One try each, so that what is tried again is tried again by us.
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
        }

    def make() -> S3:
        direct = s3fs.S3FileSystem(**settings(server.upstream), use_listings_cache=False)
        store = S3(server, direct, settings)
        direct.call_s3("create_bucket", Bucket=store.bucket)
        return store

    yield make
    server.spoil = lambda method, path: None


@pytest.fixture
def store(new_store):
    return new_store()


@pytest.fixture
def other(new_store):
    return new_store()


class TestS3(Contract):
    pass


def test_a_short_upload_is_noticed(store, tmp_path):
    store.spoil("lose", method="PUT")
    expected = f"--model-dir {store.url}/d/a: failed 4 times, at last with 50 of 100 bytes"
    with pytest.raises(StorageError) as caught:
        upload_folder(write(tmp_path, {"a": b"a" * 100}), f"{store.url}/d", options=store.options)
    assert str(caught.value) == expected
    store.spoil("lose", method="PUT", times=1)
    upload_folder(tmp_path, f"{store.url}/d", options=store.options)
    assert store.read_all() == {"d/a": b"a" * 100}


def test_what_is_there_already_costs_a_list_and_no_more(store, tmp_path):
    store.write_all({"d/a": b"a", "d/b": b"b"})
    download_objects([f"{store.url}/d/"], tmp_path, options=store.options)
    store.reset()
    download_objects([f"{store.url}/d/"], tmp_path, options=store.options)
    assert [method for method, _ in store.proxy.requests] == ["GET"]
    assert store.listing in store.proxy.requests[0][1]


def test_endpoint_and_credentials_of_the_environment_are_found(store, tmp_path, monkeypatch):
    store.write_all({"d/a": b"a"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.proxy.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    (folder,) = download_objects([f"{store.url}/d"], tmp_path)
    assert list(map(str, files(tmp_path))) == [f"s3/{store.bucket}/d/a"]
    assert folder.endswith(f"/s3/{store.bucket}/d")


def test_no_credentials_are_reported_in_one_line(store, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    options = StorageOptions(s3={"endpoint_url": store.proxy.url})
    with pytest.raises(UserError) as caught:
        download_objects([f"{store.url}/d"], tmp_path, options=options)
    assert str(caught.value) == (
        f"--train {store.url}/d: no valid credentials were found (NoCredentialsError); "
        "sign in (aws configure, gcloud auth application-default login), or give this job a role "
        "or service account"
    )
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(UserError, match=r"no valid credentials were found \(ProfileNotFound\)"):
        download_objects(
            [f"{store.url}/e"], tmp_path, options=StorageOptions(s3={"use_ssl": False})
        )


def test_nobody_listening_is_reported_in_one_line(store, tmp_path):
    settings = {**store.options.s3, "endpoint_url": "http://127.0.0.1:1"}
    options = dataclasses.replace(store.options, s3=settings)
    with pytest.raises(StorageError) as caught:
        download_objects([f"{store.url}/d"], tmp_path, options=options)
    assert str(caught.value) == (
        f"--train {store.url}/d: failed 4 times, at last with EndpointConnectionError"
    )
