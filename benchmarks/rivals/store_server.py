"""A server of S3's or Google's protocol in a process of its own; prints its address.

python -m benchmarks.rivals.store_server s3|gs
"""

from __future__ import annotations

import logging
import sys
import urllib.request


def main(kind: str) -> None:
    """Serve until standard input ends."""
    logging.disable(logging.CRITICAL)
    if kind == "s3":
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        url = "http://{}:{}".format(*server.get_host_and_port())
        made = urllib.request.Request(f"{url}/bucket", method="PUT")
    else:
        from gcp_storage_emulator.server import create_server

        server = create_server("127.0.0.1", 0, in_memory=True)
        server.start()
        url = f"http://127.0.0.1:{server._api._httpd.server_address[1]}"
        made = urllib.request.Request(
            f"{url}/storage/v1/b?project=none", data=b'{"name": "bucket"}', method="POST",
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
    urllib.request.urlopen(made, timeout=30).close()
    print(url, flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main(sys.argv[1])
