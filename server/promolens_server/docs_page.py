"""The page /docs: every address with its parameters, answers and examples, as plain HTML.

Made of the OpenAPI document on the server. It loads nothing from another host and runs no script;
what can be tried out is a form that asks for the answer itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import quote, urlencode

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { margin-bottom: 0 } h2 { margin-top: 3rem; border-bottom: 1px solid var(--line) }
code, pre, input { font: 14px/1.5 ui-monospace, monospace }
pre { overflow-x: auto; padding: .8rem; border: 1px solid var(--line); border-radius: 4px }
details { border: 1px solid var(--line); border-radius: 4px; margin: .6rem 0; padding: .4rem .8rem }
summary { cursor: pointer } summary b { display: inline-block; min-width: 3.5rem }
summary span { color: var(--dim) } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0 }
tr + tr td { border-top: 1px solid var(--line) } input { width: 100%; box-sizing: border-box }
button { font: inherit; padding: .2rem 1rem } .wide { overflow-x: auto }
"""
_HASH = base64.b64encode(sha256(_STYLE.encode("utf-8")).digest()).decode("ascii")
CSP = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_METHODS = ("get", "post", "put", "patch", "delete")


def page(document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    info = document["info"]
    about = "".join(
        f"<p>{_text(part)}</p>" for part in str(info.get("description", "")).split("\n\n")
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])}</h1>{about}"
        '<p>The same for programs: <a href="openapi.json">openapi.json</a></p>'
        f"{''.join(_groups(document))}</html>\n"
    )


def _text(text: str) -> str:
    return escape(" ".join(text.split()).replace("*", ""))


def _groups(document: Mapping[str, Any]) -> Iterator[str]:
    groups: dict[str, list[str]] = {one["name"]: [] for one in document.get("tags", [])}
    about = {one["name"]: one.get("description", "") for one in document.get("tags", [])}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                tag = (operation.get("tags") or ["more"])[0]
                groups.setdefault(tag, []).append(_operation(document, path, method, operation))
    for name, parts in groups.items():
        if parts:
            yield f"<h2 id='{escape(name)}'>{escape(name)}</h2><p>{_text(about.get(name, ''))}</p>"
            yield from parts


def _operation(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]
) -> str:
    parameters = [_resolved(document, one) for one in operation.get("parameters", [])]
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
        f"<span>{escape(operation.get('summary', ''))}</span></summary>"
        f"<p>{_text(operation.get('description', ''))}</p>"
        f"{_form(path, method, parameters)}{''.join(_answers(document, operation))}</details>"
    )


def _form(path: str, method: str, parameters: list[Mapping[str, Any]]) -> str:
    """Return the parameters with a link that asks for an example; as a form where one can ask."""
    rows = "".join(_parameter(one) for one in parameters)
    table = f"<div class='wide'><table>{rows}</table></div>" if rows else ""
    if method != "get":
        return table
    link = _link(path, parameters)
    if "{" in path:
        return table + link
    return f"<form action='{escape(path.lstrip('/'))}'>{table}<button>Ask</button></form>{link}"


def _link(path: str, parameters: list[Mapping[str, Any]]) -> str:
    """Return a link that asks with examples: of what is needed, and of what has few values."""
    filled, query = path, []
    for one in parameters:
        if one["in"] == "path":
            filled = filled.replace(
                "{" + one["name"] + "}", quote(_written(_example(one)), safe="")
            )
        elif one["in"] == "query" and (one.get("required") or "default" in one["schema"]):
            query.append((one["name"], _written(_example(one))))
    address = escape(filled.lstrip("/") + (f"?{urlencode(query)}" if query else ""))
    return f"<p>For example <a href='{address}'><code>/{address}</code></a></p>"


def _written(value: Any) -> str:
    """Return a value as an address has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _example(parameter: Mapping[str, Any]) -> Any:
    """Return a parameter's example; of a repeatable one its first value."""
    found = parameter.get(
        "example", next(iter(parameter.get("schema", {}).get("examples", [])), "")
    )
    return found[0] if isinstance(found, list) and found else found


def _parameter(one: Mapping[str, Any]) -> str:
    schema = one.get("schema", {})
    name = escape(one["name"])
    needed = "" if one.get("required") else "<br>not needed"
    hint = escape(_written(_example(one)))
    field = f"<code>{hint}</code>"
    # A form without a script sends what is empty too, and nothing allows that.
    value = _example(one) if one.get("required") else schema.get("default")
    if one["in"] == "query" and value not in (None, []):
        field = (
            f"<input name='{name}' value='{escape(_written(value))}' placeholder='{hint}' "
            f"aria-label='{name}'>"
        )
    return (
        f"<tr><td><code>{name}</code><br>{escape(one['in'])}{needed}</td>"
        f"<td>{_text(one.get('description', ''))}<br>{_limits(schema)}</td><td>{field}</td></tr>"
    )


def _limits(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_limits(one) for one in schema["anyOf"] if one.get("type") != "null")
    words = [str(schema.get("type", ""))]
    for key in ("minimum", "maximum", "minLength", "maxLength", "pattern", "enum", "default"):
        if schema.get(key) is not None:
            words.append(f"{key} {json.dumps(schema[key], ensure_ascii=False)}")
    return escape(", ".join(word for word in words if word))


def _answers(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
    for status, answer in operation.get("responses", {}).items():
        found = _resolved(document, answer)
        code = next((one["code"] for one in _problems(found)), "")
        told = f" <code>{escape(code)}</code>" if code else ""
        yield f"<p><b>{escape(status)}</b> {_text(found.get('description', ''))}{told}</p>"
        if not status.startswith("2"):
            continue
        for media_type, content in found.get("content", {}).items():
            for example in _examples(document, content):
                shown = json.dumps(example, ensure_ascii=False, indent=1)
                yield f"<p>{escape(media_type)}</p><pre>{escape(shown)}</pre>"


def _problems(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return the examples of a problem."""
    for content in answer.get("content", {}).values():
        example = content.get("example")
        if isinstance(example, Mapping) and "code" in example:
            yield example


def _examples(document: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[Any]:
    if "example" in content:
        yield content["example"]
        return
    named = content.get("examples")
    if named:
        yield from (one.get("value") for one in named.values())
        return
    schema = _resolved(document, content.get("schema", {}))
    yield from list(schema.get("examples", []))[:2]


def _resolved(document: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a `$ref` within the document leads to."""
    reference = value.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return value
    found: Any = document
    for part in reference[2:].split("/"):
        found = found[part]
    return dict(found)
