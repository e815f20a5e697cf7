"""The OpenAPI document, made once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from promolens_server.examples import NoExampleError, example_of
from promolens_server.models.problem import ProblemModel, problem_example
from promolens_server.problems import MEDIA_TYPE

DESCRIPTION = """What is on promotion where: by barcode, by name, by a recogniser's label; with the
nearest stores, and everything that a phone needs to keep a copy.

Every answer tells what it is of: *promotions*, *no promotion* (with the day of the list that says
so), *unknown product*, or *source unavailable* (with since when). Silence is never a no.
"""
TAGS = [
    {"name": "products", "description": "One product: by barcode, id or label."},
    {"name": "promotions", "description": "Lists of promotions."},
    {"name": "search", "description": "Products by free text."},
    {"name": "stores", "description": "Stores near a place."},
    {"name": "sync", "description": "A copy of the catalog that is kept right."},
    {"name": "pictures", "description": "Questions that are asked with a picture."},
    {"name": "bundles", "description": "The recogniser that phones load."},
    {"name": "galleries", "description": "New products for a recogniser, without training."},
    {"name": "service", "description": "The service itself."},
]


_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from (one for one in methods.values() if "responses" in one)


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document with the shape of problems and the key in it."""
    found = app.openapi()
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = ProblemModel.model_json_schema()
    # The framework's own shape of validation errors is never sent.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    for operation in _operations(found):
        for parameter in operation.get("parameters", []):
            parameter["schema"] = _without_null(parameter["schema"])
            _give_example(parameter, schemas)
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")):
                answer["content"] = {MEDIA_TYPE: _problem(int(status), answer)}
            else:
                for content in answer.get("content", {}).values():
                    _give_example(content, schemas)
    found["security"] = [{}, {"key": []}]
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: one that is not sent is not null, it is not there."""
    told = dict(schema)
    kinds = [one for one in told.pop("anyOf", []) if one != {"type": "null"}]
    return told | kinds[0] if len(kinds) == 1 else schema


def _problem(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    own = answer.get("content", {}).get(MEDIA_TYPE, {}).get("example")
    return {"schema": _PROBLEM, "example": own or problem_example(status)}


def _give_example(told: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Give a parameter, or the content of an answer, the example that its schema makes.

    Bytes have none. A test says that everything else has one.
    """
    if "example" in told or "examples" in told:
        return
    with contextlib.suppress(NoExampleError):
        told["example"] = example_of(told.get("schema", {}), schemas)
