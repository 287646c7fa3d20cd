"""The OpenAPI 3.1 document: FastAPI's paths, our shapes, and errors as they really are.

FastAPI would promise its own validation error and application/json; here every error is a `Problem` in
application/problem+json. Schemas come from the types that responses are made of.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from agent.deliver.shapes import IncidentDetailView
from agent.serve.problems import MEDIA_TYPE
from agent.serve.shapes import SHAPES

_REF = "#/components/schemas/"
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def told(shape: str, *errors: int, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses`: what it answers, and the errors that are its own."""
    answers: dict[int | str, dict[str, Any]] = {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": {"$ref": _REF + shape}}},
        }
    }
    return answers | {error: _problem(HTTPStatus(error).phrase) for error in errors}


def install(app: FastAPI) -> None:
    """Make `app.openapi()` return the corrected document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    # FastAPI's documented way to change the document.
    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=app.description,
        routes=app.routes,
    )
    _, schemas = msgspec.json.schema_components((*SHAPES, IncidentDetailView), ref_template=_REF + "{name}")
    # What is left of FastAPI's own are the enums of parameters; its error schemas describe nothing we send.
    own = {
        name: schema
        for name, schema in made.get("components", {}).get("schemas", {}).items()
        if name not in {"HTTPValidationError", "ValidationError"}
    }
    made["components"] = {"schemas": own | schemas, "securitySchemes": _SCHEMES}
    made["security"] = [{"bearer": []}, {"apiKey": []}, {}]
    for operations in made["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            for status in [name for name in answers if name[0] in "45"]:
                answers[status] = _problem(answers[status]["description"])
            answers["default"] = _problem("Any other error: 401, 403, 500, 503")
    return made


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": _REF + "Problem"}}}}
