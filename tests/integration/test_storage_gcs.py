"""Google Cloud Storage, as gcp-storage-emulator has it, over real connections."""

# ruff: noqa: E402

from __future__ import annotations

import logging
import types
from urllib.parse import quote

import pytest

# Before it is imported, for its assertions to be explained.
pytest.register_assert_rewrite("object_stores")

from object_stores import Contract, Store, files, serving

from trainer.config.errors import UserError
from trainer.storage.store_options import StorageOptions
from trainer.storage.transfer import download_objects

pytest.importorskip("gcsfs")
emulator = pytest.importorskip("gcp_storage_emulator.server")


class GS(Store):
    # The driver itself tries six times.
    scheme, sends, looks, times = "gs", "POST", "GET", 7
    short = "500 of 1000 bytes"
    listing = "/o?"

    def content(self, key: str) -> str:
        return f"/download/storage/v1/b/{self.bucket}/o/{quote(key, safe='')}"

    def name_sent(self, request: tuple[str, str]) -> str:
        return request[1].partition("#")[2]


@pytest.fixture(scope="module")
def server():
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    running = emulator.create_server("127.0.0.1", 0, in_memory=True)
    with running, serving(running._api._httpd.server_address[1]) as proxy:
        yield proxy


@pytest.fixture
def new_store(server, monkeypatch):
    import gcsfs.core
    import gcsfs.retry

    async def go_on(seconds: float) -> None:
        """Wait for nothing between the driver's own tries."""

    monkeypatch.setattr(gcsfs.retry, "asyncio", types.SimpleNamespace(sleep=go_on))

    def settings(port: int) -> dict:
        return {"token": "anon", "endpoint_url": f"http://127.0.0.1:{port}"}

    def make() -> GS:
        direct = gcsfs.core.GCSFileSystem(**settings(server.upstream), use_listings_cache=False)
        store = GS(server, direct, settings)
        direct.mkdir(store.bucket)
        return store

    yield make
    server.spoil = lambda method, path: None


@pytest.fixture
def store(new_store):
    return new_store()


@pytest.fixture
def other(new_store):
    return new_store()


class TestGCS(Contract):
    pass


def test_gcs_is_gs(store, tmp_path):
    store.write_all({"d/a": b"a"})
    (path,) = download_objects([f"gcs://{store.bucket}/d/a"], tmp_path, options=store.options)
    assert path == str(tmp_path / "gs" / store.bucket / "d/a")
    assert list(files(tmp_path)) == [f"gs/{store.bucket}/d/a"]


def test_no_credentials_are_reported_in_one_line(store, tmp_path):
    store.spoil("401")
    with pytest.raises(UserError) as caught:
        download_objects([f"{store.url}/d"], tmp_path, options=store.options)
    assert str(caught.value) == (
        f"--train {store.url}/d: no valid credentials were found (401); "
        "sign in (aws configure, gcloud auth application-default login), or give this job a role "
        "or service account"
    )


def test_the_endpoint_of_the_environment_is_found(store, tmp_path, monkeypatch):
    store.write_all({"d/a": b"a"})
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.proxy.url)
    download_objects([f"{store.url}/d"], tmp_path, options=StorageOptions(gs={"token": "anon"}))
    assert list(files(tmp_path)) == [f"gs/{store.bucket}/d/a"]
