"""TensorFlow Serving's REST paths, so that its clients need no change.

    GET  /v1/models/<name>[/versions/<n>]             states
    GET  /v1/models/<name>[/versions/<n>]/metadata    signatures
    POST /v1/models/<name>[/versions/<n>]:predict     predictions

Source: TensorFlow Serving's `model_servers/http_rest_api_handler.cc`.
"""

from __future__ import annotations

import re

from starlette.responses import Response

from trainer.serving.formats import registry
from trainer.serving.http.endpoint import RequestContext, json_response
from trainer.serving.http.errors import bad_request, shown_value
from trainer.serving.models.store import ModelStore
from trainer.serving.models.version import number_of
from trainer.serving.predict import Predictor

_MODEL = r"(?i:/v1/models)/([^/:]+)(?:/versions/(\d+))?"
_POST = re.compile(_MODEL + r":(classify|regress|predict)", re.ASCII)
_GET = re.compile(_MODEL + r"(/metadata)?", re.ASCII)


class TfServingEndpoints:
    """Endpoints of TensorFlow Serving's REST interface.

    Args:
        store: The models.
        predictor: Runs the models on requests.
    """

    def __init__(self, store: ModelStore, predictor: Predictor) -> None:
        self._store, self._predictor = store, predictor

    async def post(self, context: RequestContext) -> Response:
        """Respond with predictions; a body of no media type of ours is read as JSON."""
        request = context.request
        match = _POST.fullmatch(context.path)
        if match is None:
            raise bad_request(f"Malformed request: POST {shown_value(context.path)}")
        name, version_text, method = match.groups()
        version = self._store.get(name, number_of(version_text))
        check_method(method)
        media_type = registry.tf_accepted(request.headers.get("accept"))
        with version.in_use():
            async with self._predictor.body(context, version) as body:
                reader = registry.tf_reader(request.headers.get("content-type"))
                content = await self._predictor.predict(
                    context, version, body, reader=reader, media_type=media_type
                )
        return Response(content, media_type=media_type)

    async def get(self, context: RequestContext) -> Response:
        """Respond with the states of versions, or the signatures of one."""
        path = context.path
        if path.rstrip("/").lower() == "/v1/models":
            raise bad_request("Missing model name in request.")
        match = _GET.fullmatch(path)
        if match is None:
            raise bad_request(f"Malformed request: GET {shown_value(path)}")
        name, version_text, metadata = match.groups()
        number = number_of(version_text)
        content = self._metadata(name, number) if metadata else self._status(name, number)
        return json_response(content, indent=True)

    def _status(self, name: str, number: int | None) -> dict[str, object]:
        return {
            "model_version_status": [
                {
                    "version": str(n),
                    "state": state.state,
                    "status": {"error_code": state.code, "error_message": state.message},
                }
                for n, state in self._store.status(name, number).items()
            ]
        }

    def _metadata(self, name: str, number: int | None) -> dict[str, object]:
        version = self._store.get(name, number)
        spec = {"name": version.name, "signature_name": "", "version": str(version.number)}
        metadata: dict[str, object] = {"signature_def": {"signature_def": version.model.metadata}}
        if version.model.class_names:
            metadata["class_names"] = list(version.model.class_names)
        return {"model_spec": spec, "metadata": metadata}


def check_method(method: str) -> None:
    """Raise an error for a method that this server does not serve.

    Raises:
        HTTPError: The method is not `predict`.
    """
    if method != "predict":
        raise bad_request(
            f":{method} is not served here, whatever the method_name of a signature is; ask the "
            "signature with :predict, which takes the inputs that /metadata lists"
        )
