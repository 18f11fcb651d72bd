"""The stores' own clients for Python, which send or fetch all files of a folder.

python -m benchmarks.rivals.store_clients s3|gs up|down FOLDER PREFIX
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WORKERS = 16
BUCKET = "bucket"


def s3(way: str, folder: Path, prefix: str) -> None:
    """Use boto3's transfer manager, and a thread for each of some files."""
    import boto3
    from botocore.config import Config

    client = boto3.client("s3", config=Config(max_pool_connections=WORKERS))

    def up(path: Path) -> None:
        client.upload_file(str(path), BUCKET, f"{prefix}/{path.name}")

    def down(key: str) -> None:
        client.download_file(BUCKET, key, str(folder / Path(key).name))

    with ThreadPoolExecutor(WORKERS) as pool:
        if way == "up":
            list(pool.map(up, sorted(folder.iterdir())))
            return
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        list(pool.map(down, [each["Key"] for page in pages for each in page["Contents"]]))


def gs(way: str, folder: Path, prefix: str) -> None:
    """Use the transfer manager of google-cloud-storage, which checks CRC32C as well."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage
    from google.cloud.storage import transfer_manager

    client = storage.Client(project="none", credentials=AnonymousCredentials())
    bucket = client.bucket(BUCKET)
    how = {"max_workers": WORKERS, "worker_type": transfer_manager.THREAD, "raise_exception": True}
    if way == "up":
        names = [path.name for path in sorted(folder.iterdir())]
        transfer_manager.upload_many_from_filenames(
            bucket, names, source_directory=str(folder), blob_name_prefix=f"{prefix}/", **how
        )
        return
    names = [blob.name.removeprefix(f"{prefix}/") for blob in bucket.list_blobs(prefix=prefix)]
    transfer_manager.download_many_to_path(
        bucket, names, destination_directory=str(folder), blob_name_prefix=f"{prefix}/", **how
    )


if __name__ == "__main__":
    {"s3": s3, "gs": gs}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]), sys.argv[4])
