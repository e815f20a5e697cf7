"""Pictures as they come in: a raw body, or two fields of a form. Nothing goes to disk."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from promolens_server.problems import Problem, shown

FORM = "multipart/form-data"
ZIPS = ("application/zip", "application/octet-stream")
PICTURES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "application/octet-stream")
_BINARY = {"schema": {"type": "string", "format": "binary"}}


class _InMemoryParser(MultiPartParser):
    """Starlette's parser, which else writes large parts to temporary files."""

    # The gate has bounded the whole body.
    spool_max_size = 1 << 40


async def picture_body(request: Request) -> bytes:
    """Return the body, whose size the gate bounds.

    Raises:
        Problem: 415, it does not say that it is a picture.
    """
    check_type(request, PICTURES)
    return await request.body()


async def two_pictures(request: Request) -> tuple[bytes, bytes]:
    """Return the fields `one` and `other` of a form.

    Raises:
        Problem: 415, it is no form; 422, it cannot be read or has other fields.
    """
    check_type(request, (FORM,))
    try:
        parser = _InMemoryParser(request.headers, request.stream(), max_files=2, max_fields=0)
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        # A missing boundary is a KeyError there.
        said = getattr(error, "message", "no boundary")
        raise _bad_form(f"a form that cannot be read ({said})") from None
    try:
        return await _field(form, "one"), await _field(form, "other")
    finally:
        await form.close()


def check_type(request: Request, allowed: tuple[str, ...]) -> None:
    """Check Content-Type and Content-Encoding; raises Problem 415."""
    given = request.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind not in allowed:
        raise Problem(
            415,
            "unsupported-media-type",
            f"Expected Content-Type {' or '.join(allowed)}. Received {shown(given or 'none')}. "
            f"Name what is sent, with curl: -H 'Content-Type: {allowed[0]}'.",
            headers={"accept": ", ".join(allowed)},
        )
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise Problem(
            415,
            "unsupported-content-encoding",
            f"Expected a body without Content-Encoding. Received {shown(coding)}. "
            "Send it as it is: pictures are compressed already.",
        )


def body_of(*media_types: str, description: str) -> dict[str, Any]:
    """Return the part of an operation in the OpenAPI document for a raw body."""
    content = dict.fromkeys(media_types, _BINARY)
    return {"requestBody": {"required": True, "description": description, "content": content}}


def form_of_two() -> dict[str, Any]:
    """Return the part of an operation in the OpenAPI document for a form of two pictures."""
    picture = {"type": "string", "format": "binary"}
    schema = {
        "type": "object",
        "required": ["one", "other"],
        "additionalProperties": False,
        "properties": {"one": picture, "other": picture},
    }
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}}}}


async def _field(form: FormData, name: str) -> bytes:
    found = form.getlist(name)
    if len(found) != 1 or not isinstance(found[0], UploadFile):
        raise _bad_form(f"{len(found)} of {name!r}")
    return await found[0].read()


def _bad_form(received: str) -> Problem:
    return Problem(
        422,
        "bad-form",
        f"Expected a form with one picture in each of the fields 'one' and 'other'. Received "
        f"{received}. Send both, with curl: -F one=@a.jpg -F other=@b.jpg.",
    )
