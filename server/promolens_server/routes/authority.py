"""/authority.crt: who signed the service's own certificate, for phones to install."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from promolens_runtime.errors import InputError
from promolens_server.services import Services

# What Android and iOS offer to install.
_MEDIA_TYPE = "application/x-x509-ca-cert"


def router(services: Services) -> APIRouter:
    """Return the route; none where no authority is configured.

    Raises:
        InputError: the file is no certificate in PEM. A key is never sent by mistake.
    """
    routes = APIRouter(include_in_schema=False)
    path = services.config.tls.authority
    if path is None:
        return routes
    data = path.read_bytes()
    if not data.startswith(b"-----BEGIN CERTIFICATE-----") or b"PRIVATE" in data:
        raise InputError(
            f"Expected a certificate in PEM at {path}. Received something else. "
            "Correct authority in [tls]."
        )

    def send() -> Response:
        return Response(data, media_type=_MEDIA_TYPE, headers={"cache-control": "no-store"})

    routes.add_api_route("/authority.crt", send, response_class=Response)
    return routes
