"""The ASGI application: the endpoint of each path."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from trainer.serving.http import openapi
from trainer.serving.http.endpoint import (
    Endpoint,
    Handler,
    RequestContext,
    ServerState,
    json_response,
)
from trainer.serving.http.errors import HTTPError, bad_request, shown_value
from trainer.serving.models.store import ModelStore
from trainer.serving.protocols.sagemaker import SageMakerEndpoints
from trainer.serving.protocols.tf_serving import TfServingEndpoints
from trainer.serving.settings import Settings

# The page holds all that it needs, so the browser may fetch nothing for it from elsewhere.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
img-src 'self' blob: data:; connect-src 'self'"


def make_app(
    *,
    settings: Settings,
    store: ModelStore,
    state: ServerState,
    sagemaker: SageMakerEndpoints,
    tf_serving: TfServingEndpoints,
) -> ASGIApp:
    """Return the application with all endpoints.

    Args:
        settings: The server's; it has Vertex AI's routes.
        store: The models, which the OpenAPI document describes.
        state: Shared by all endpoints.
        sagemaker: Endpoints of SageMaker and Vertex AI.
        tf_serving: Endpoints of TensorFlow Serving.
    """

    async def page(context: RequestContext) -> Response:
        headers = {"content-security-policy": POLICY, "cache-control": "no-cache"}
        return Response(_page(), 200, headers, "text/html; charset=utf-8")

    async def description(context: RequestContext) -> Response:
        return json_response(openapi.document(store))

    async def metrics(context: RequestContext) -> Response:
        return Response(state.metrics.text(), media_type=state.metrics.content_type)

    async def malformed(context: RequestContext) -> Response:
        raise bad_request(
            f"Malformed request: {context.request.method} {shown_value(context.path)}"
        )

    async def unknown(context: RequestContext) -> Response:
        raise HTTPError(404, f"Not Found: {shown_value(context.path)}; /openapi.json lists paths")

    def route(path: str, name: str, **methods: Handler) -> Route:
        return Route(path, _endpoint(name, state, methods))

    # Vertex AI may name the same path for health and for predictions.
    vertex: dict[str, dict[str, Handler]] = {}
    if settings.health_route:
        vertex.setdefault(settings.health_route, {})["get"] = sagemaker.ping
    if settings.predict_route:
        vertex.setdefault(settings.predict_route, {})["post"] = sagemaker.invocations
    others = dict.fromkeys(("put", "delete", "patch"), malformed)
    # The busiest first, as they are tried in this order.
    routes = [
        route("/invocations", "invocations", post=sagemaker.invocations),
        *(Route(path, _endpoint("vertex", state, m)) for path, m in vertex.items()),
        route("/v1{rest:path}", "models", get=tf_serving.get, post=tf_serving.post, **others),
        route("/ping", "ping", get=sagemaker.ping),
        route("/execution-parameters", "execution-parameters", get=sagemaker.execution_parameters),
        route("/metrics", "metrics", get=metrics),
        route("/openapi.json", "openapi", get=description),
        route("/", "page", get=page),
    ]
    anything = ("get", "post", "put", "delete", "patch", "options")
    other = _endpoint("other", state, dict.fromkeys(anything, unknown))
    return Router(routes, redirect_slashes=False, default=other)


def _endpoint(name: str, state: ServerState, methods: Mapping[str, Handler]) -> Endpoint:
    return Endpoint(name, state, {method.upper(): handler for method, handler in methods.items()})


@functools.cache
def _page() -> bytes:
    return resources.files("trainer.serving").joinpath("page.html").read_bytes()
