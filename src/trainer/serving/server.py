"""The server process: it listens at once, loads models in a thread, and drains at SIGTERM."""

from __future__ import annotations

import functools
import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn

from trainer.launch import exiting_on_sigterm
from trainer.runtime import StoppedError, device, import_tensorflow
from trainer.serving.formats import registry
from trainer.serving.http.access_log import AccessLog
from trainer.serving.http.app import make_app
from trainer.serving.http.connection import Connection
from trainer.serving.http.endpoint import ServerState
from trainer.serving.http.errors import shown_value
from trainer.serving.http.limits import ConnectionLimits
from trainer.serving.http.listener import BACKLOG, listen, open_files
from trainer.serving.http.metrics import Metrics
from trainer.serving.http.uvicorn_server import GracefulServer
from trainer.serving.models.batching import Batcher
from trainer.serving.models.served_model import ServedModel
from trainer.serving.models.source import Fetch, fetch_folder, local_folder
from trainer.serving.models.store import ModelStore
from trainer.serving.models.version import AVAILABLE, END, VersionState
from trainer.serving.predict import Predictor
from trainer.serving.protocols.sagemaker import SageMakerEndpoints
from trainer.serving.protocols.tf_serving import TfServingEndpoints
from trainer.serving.settings import Settings
from trainer.serving.user_code import handlers
from trainer.serving.user_code.handlers import Handlers
from trainer.storage import is_remote

logger = logging.getLogger(__name__)

# Seconds. Longer than load balancers keep idle connections, so that the server never closes one
# just when a balancer sends the next request on it.
KEEP_ALIVE = 75
# Open files that are kept for models, libraries and pipes, and are not for connections.
OWN_FILES = 256
# Seconds in which downloads and pip have to stop.
PREPARING_STOP = 10.0
# Python lets a thread run for so long before another thread gets its turn. With the default of
# 5 ms, which is longer than a call of a small model, responses would wait for the parsing of other
# requests.
SWITCH_SECONDS = 0.0005


def serve(settings: Settings, *, fetch: Fetch = fetch_folder) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: The server's.
        fetch: Downloads a remote model folder.

    Returns:
        0, after SIGTERM or SIGINT.

    Raises:
        UserError: There is no model, the port is taken, or the user's code cannot be imported.
    """
    # As process 1 of a container, the process would ignore signals that have no handler.
    with (
        exiting_on_sigterm(),
        local_folder(settings.model_dir) as folder,
        listen(settings.host, settings.port) as listener,
    ):
        serving = Serving(settings, folder, listener.getsockname()[1], fetch)
        serving.run(listener)
    sys.stdout.flush()
    if serving.busy:
        # Python would wait for the user's code, and unload what TensorFlow's threads still use.
        os._exit(0)
    return 0


class Serving:
    """The parts of one server, and how it starts and ends.

    Args:
        settings: The server's.
        folder: The model folder on local disk, or an empty one to fetch it into.
        port: The port that it listens at.
        fetch: Downloads a remote model folder.
    """

    def __init__(self, settings: Settings, folder: Path, port: int, fetch: Fetch) -> None:
        self._settings, self._folder, self._port = settings, folder, port
        self._fetch = fetch
        self._stop = threading.Event()
        self._failure: Exception | None = None
        # The reason why the server cannot answer requests; None when it can.
        self._missing: str | None = "loading"
        self._preparing = True
        registry.load()
        self._metrics = Metrics()
        self._log = AccessLog() if settings.access_log else None
        self._state = ServerState(self._metrics, self._log, settings.timeout)
        self._store = ModelStore(
            folder=folder,
            name=settings.model_name,
            keep=settings.versions,
            make_batcher=self._make_batcher,
            batching=settings.may_batch,
            sizes=tuple(sorted({1, min(2, settings.max_batch), settings.max_batch})),
            drain=settings.timeout,
        )
        if not is_remote(settings.model_dir):
            self._store.check()
        self._predictor = Predictor(settings.max_payload)
        self._handlers = Handlers(
            predictor=self._predictor, port=port, max_queue=settings.max_queue
        )
        self._server = self._make_server()
        self._loader = threading.Thread(target=self._load, name="loader", daemon=True)

    @property
    def busy(self) -> bool:
        """True if a model, the user's code or the loader is still at work."""
        return self._loader.is_alive() or self._store.calling or self._handlers.calling

    def run(self, listener: socket.socket) -> None:
        """Serve until SIGTERM or SIGINT.

        Args:
            listener: The listening socket.
        """
        # Replace the handlers of `ending` before the loader imports anything: an exception raised
        # by a handler can leave an import's lock taken for ever. They are not restored, as the
        # process ends after this.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._server.handle_exit)
        self._loader.start()
        try:
            self._server.run(sockets=[listener])
        finally:
            self._stop.set()
            if self._log is not None:
                self._log.close()
            # The folder that is being fetched into is removed next, and no child may outlive us.
            self._loader.join(timeout=PREPARING_STOP if self._preparing else 1)
        if self._failure is not None:
            raise self._failure

    def _load(self) -> None:
        """Load the models, then look for new versions until the server ends; runs in a thread."""
        settings = self._settings
        begun = time.monotonic()
        try:
            self._prepare()
            tf = import_tensorflow(threads=settings.threads)
            unused = device.why_gpu_unused(tf, settings.gpu_expected)
            if unused:
                logger.warning("%s; requests are computed on the CPU", unused)
            sys.setswitchinterval(SWITCH_SECONDS)
            self._handlers.load(self._folder)
            self._store.refresh(first=True)
            if not self._store.names():
                raise RuntimeError(f"no model in {self._folder} could be loaded")
        except StoppedError:
            return
        except Exception as error:
            self._failure = error
            self._server.should_exit = True
            return
        self._missing = None
        names = ", ".join(self._store.names())
        seconds = time.monotonic() - begun
        logger.info("serving %s at port %d after %.2f s", names, self._port, seconds)
        while settings.poll and not self._stop.wait(settings.poll):
            try:
                self._store.refresh()
            except Exception as error:
                # The loaded models are served on, and the next look may succeed.
                kind = type(error).__name__
                logger.warning("%s: %s: %s", self._folder, kind, shown_value(error, 300))

    def _prepare(self) -> None:
        """Fetch models and install packages; platforms restart a server that listens late."""

        def stopped() -> bool:
            return self._server.should_exit

        if is_remote(self._settings.model_dir):
            url = self._settings.model_dir
            self._folder = self._fetch(url, self._folder, stopped=stopped)
            self._store.folder = self._folder
            self._store.check()
        handlers.install(self._folder, stopped=stopped)
        self._preparing = False

    def _make_batcher(self, name: str, model: ServedModel) -> Batcher:
        settings = self._settings
        return Batcher(
            model.call,
            max_batch=settings.max_batch,
            max_queue=settings.max_queue,
            wait=settings.batch_wait_ms / 1000,
            threads=settings.batch_threads,
            observe=self._metrics.rows_of(name),
        )

    def _make_server(self) -> GracefulServer:
        store, settings = self._store, self._settings
        self._metrics.gauge(
            "trainer_queue_requests", "Requests that wait or are being answered",
            ("model", "version"), store.waiting,
        )  # fmt: skip
        self._metrics.gauge(
            "trainer_model_available", "1 for each version that is loaded", ("model", "version"),
            # Unloaded versions are left out, as their number only grows.
            lambda: [
                (key, 1.0 if s.state == AVAILABLE else 0.0)
                for key, s in store.states()
                if s != VersionState(END)
            ],
        )  # fmt: skip
        sagemaker = SageMakerEndpoints(
            settings=settings,
            store=store,
            predictor=self._predictor,
            state=self._state,
            missing=lambda: self._missing,
            handlers=self._handlers,
        )
        app = make_app(
            settings=settings,
            store=store,
            state=self._state,
            sagemaker=sagemaker,
            tf_serving=TfServingEndpoints(store, self._predictor),
        )
        logging.getLogger("uvicorn").setLevel(logging.ERROR)
        files = open_files()
        limits = ConnectionLimits(
            connections=min(settings.max_connections, files - min(OWN_FILES, files // 2)),
            header_seconds=settings.header_timeout,
            stalled_seconds=max(settings.timeout, KEEP_ALIVE),
        )
        # uvicorn takes a class here, and only calls it.
        protocol: Any = functools.partial(Connection, limits=limits)
        config = uvicorn.Config(
            app, http=protocol, loop="uvloop", ws="none", lifespan="off", log_config=None,
            access_log=False, server_header=False, backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=max(1, round(settings.grace)),
        )  # fmt: skip
        return GracefulServer(config, self._state, settings.linger)
