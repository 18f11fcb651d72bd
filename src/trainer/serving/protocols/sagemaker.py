"""SageMaker's endpoints, which Vertex AI has too, under paths of its own.

    GET  /ping                    200 once all models have answered a first call
    POST /invocations             predictions
    GET  /execution-parameters    how batch transform should send its data

Sources: SageMaker's developer guide on hosting and batch transform, its TensorFlow Serving
container, Vertex AI's custom containers for prediction.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from trainer.serving.formats import registry
from trainer.serving.http.endpoint import RequestContext, ServerState, error_response, json_response
from trainer.serving.http.errors import bad_request, shown_value
from trainer.serving.models.store import ModelStore
from trainer.serving.models.version import number_of
from trainer.serving.predict import Predictor
from trainer.serving.protocols import attributes
from trainer.serving.protocols.tf_serving import check_method
from trainer.serving.settings import Settings
from trainer.serving.user_code.handlers import Handlers

METHODS = ("predict", "classify", "regress")


class SageMakerEndpoints:
    """Endpoints of SageMaker and Vertex AI.

    Args:
        settings: The server's.
        store: The models.
        predictor: Runs the models on requests.
        state: Of the server, which may be about to end.
        missing: Returns what the server still waits for, None when it can be asked.
        handlers: The user's own code before and after the models.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: ModelStore,
        predictor: Predictor,
        state: ServerState,
        missing: Callable[[], str | None],
        handlers: Handlers,
    ) -> None:
        self._settings, self._store, self._predictor = settings, store, predictor
        self._state, self._missing, self._handlers = state, missing, handlers

    async def ping(self, context: RequestContext) -> Response:
        """Respond with 200 if requests should be sent here, else with 503."""
        missing = "the server is about to end" if self._state.draining else self._missing()
        return Response(b"", 200) if missing is None else error_response(503, missing)

    async def execution_parameters(self, context: RequestContext) -> Response:
        """Respond with the parameters that suit this server in batch transform."""
        parameters = {
            "MaxConcurrentTransforms": self._settings.max_concurrent,
            "BatchStrategy": self._settings.batch_strategy,
            # SageMaker allows 100 MB for all requests at a time; 0 would mean no limit.
            "MaxPayloadInMB": max(
                1, int(min(self._settings.max_payload_mb, 100 // self._settings.max_concurrent))
            ),
        }
        return json_response(parameters)

    async def invocations(self, context: RequestContext) -> Response:
        """Respond with predictions in any format, by way of the user's own code if there is any."""
        headers = context.request.headers
        wanted = attributes.parse(headers)
        name = wanted.get("tfs-model-name")
        version = self._store.get(name, number_of(wanted.get("tfs-model-version")))
        method = wanted.get("tfs-method", "predict")
        if method not in METHODS:
            raise bad_request(
                f"tfs-method={shown_value(method)}: expected one of {', '.join(METHODS)}"
            )
        check_method(method)
        handler = self._handlers.of(version.name)
        with version.in_use():
            if handler is not None:
                async with self._predictor.body(context, version) as body:
                    return await handler.respond(context, version, body)
            reader = registry.reader(headers.get("content-type"))
            media_type = registry.accepted(headers.get("accept"))
            async with self._predictor.body(context, version) as body:
                content = await self._predictor.predict(
                    context, version, body, reader=reader, media_type=media_type,
                    signature=wanted.get("tfs-signature-name"),
                )  # fmt: skip
        return Response(content, media_type=media_type)
