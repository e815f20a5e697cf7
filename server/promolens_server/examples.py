"""Examples of whole answers for the OpenAPI document, put together from those of their fields.

Each field of a model has its example where the field is declared; here they only become one value.
So an example cannot have a field that an answer has not, nor lack one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
_PREFIX = "#/components/schemas/"


class NoExampleError(ValueError):
    """A schema from which no example can be put together: a field without one of its own."""


def example_of(schema: Schema, components: Mapping[str, Schema]) -> Any:
    """Return an example of a schema of the OpenAPI document (JSON Schema 2020-12).

    A schema's own example counts first; then its only or first allowed value; then, for objects and
    lists, the examples of what they hold.

    Args:
        schema: a schema.
        components: the document's `components.schemas`, for references.

    Raises:
        NoExampleError: it, or something in it, has none.
    """
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    for name in ("example", "const"):
        if name in schema:
            return schema[name]
    if "$ref" in schema:
        return example_of(components[schema["$ref"].removeprefix(_PREFIX)], components)
    for name in ("anyOf", "allOf", "oneOf"):
        if name in schema:
            return example_of(schema[name][0], components)
    if schema.get("type") == "array" and "items" in schema:
        return [example_of(schema["items"], components)]
    if "properties" in schema:
        return _object(schema["properties"], components)
    raise NoExampleError(f"no example of {schema.get('title') or dict(schema)}")


def _object(properties: Mapping[str, Schema], components: Mapping[str, Schema]) -> dict[str, Any]:
    made = {}
    for name, one in properties.items():
        try:
            made[name] = example_of(one, components)
        except NoExampleError as error:
            raise NoExampleError(f"{name}: {error}") from None
    return made
