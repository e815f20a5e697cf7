"""HTTPS on one's own network: an authority of this machine, and certificates that it signs.

A browser hands out the camera only over HTTPS. The authority may sign for private addresses and
`localhost` and for nothing else (name constraints, RFC 5280 4.2.1.10), so that whoever installs it
on a phone trusts this machine with nothing on the internet.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AUTHORITY_DAYS = 365
SERVER_DAYS = 60
# Renewed this long before the end, so that no demo ends in the middle.
RENEW_DAYS = 14
# Clocks of phones are wrong.
_SLACK = timedelta(days=1)
_PRIVATE = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


@dataclass(frozen=True)
class LocalCertificate:
    """Files for a server, PEM.

    Attributes:
        certificate: the server's, followed by the authority's.
        key: the server's, mode 0600.
        authority: what a phone installs.
        fingerprint: SHA-256 of the authority, in pairs of hex digits: to compare on the phone.
        expires_at: of the server's certificate, UTC.
        made: false where all of it was there already.
    """

    certificate: Path
    key: Path
    authority: Path
    fingerprint: str
    expires_at: datetime
    made: bool


def local_certificate(
    folder: Path, addresses: Sequence[IPv4Address], now: datetime
) -> LocalCertificate:
    """Return a certificate for this machine; made or renewed only where it has to be.

    Args:
        folder: for keys and certificates; made with mode 0700.
        addresses: of this machine in its networks; loopback and `localhost` are always in it.
        now: UTC.

    Raises:
        InputError: a key there can be read by others, or a file there is damaged.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _Pair(folder / "authority.crt", folder / "authority.key")
    server = _Pair(folder / "server.crt", folder / "server.key")
    made = False
    lasts = authority.good_until(now, SERVER_DAYS + RENEW_DAYS)
    if not (lasts and _may_sign(authority, addresses)):
        authority.write(*_new_authority(addresses, now))
        made = True
    if made or not (server.good_until(now, RENEW_DAYS) and _covers(server, authority, addresses)):
        server.write(*_new_server(authority, addresses, now))
        made = True
    return LocalCertificate(
        certificate=server.certificate,
        key=server.key,
        authority=authority.certificate,
        fingerprint=_fingerprint(authority.read()),
        expires_at=server.read().not_valid_after_utc,
        made=made,
    )


@dataclass(frozen=True)
class _Pair:
    """A certificate file, which may go on with further certificates, and the key of the first."""

    certificate: Path
    key: Path

    def good_until(self, now: datetime, days: float) -> bool:
        """Tell whether both are there and valid for so long."""
        if not (self.certificate.is_file() and self.key.is_file()):
            return False
        self.secret()
        return self.read().not_valid_after_utc >= now + timedelta(days=days)

    def read(self) -> x509.Certificate:
        from cryptography.x509 import load_pem_x509_certificate

        try:
            return load_pem_x509_certificate(self.certificate.read_bytes())
        except ValueError as error:
            raise _damaged(self.certificate) from error

    def secret(self) -> EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        mode = stat.S_IMODE(self.key.stat().st_mode)
        if os.name == "posix" and mode & 0o077:
            raise InputError(
                f"Expected {self.key} to be readable by its owner only. Received mode {mode:04o}. "
                f"Run: chmod 600 {self.key}"
            )
        try:
            key = load_pem_private_key(self.key.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise _damaged(self.key) from error
        if not isinstance(key, EllipticCurvePrivateKey):
            raise _damaged(self.key)
        return key

    def write(self, certificates: bytes, key: EllipticCurvePrivateKey) -> None:
        """Replace both; the certificate last, since it is what says that there is a pair."""
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.certificate.unlink(missing_ok=True)
        _write(self.key, pem, 0o600)
        _write(self.certificate, certificates, 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _damaged(path: Path) -> InputError:
    return InputError(
        f"Expected a key or certificate in PEM at {path}. Received something else. "
        f"Remove {path.parent}: it is made anew, and phones have to install it anew."
    )


def _networks(addresses: Sequence[IPv4Address]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return what an authority may sign for: private networks, and these very addresses."""
    others = [ip_network(one) for one in addresses if not any(one in net for net in _PRIVATE)]
    return (*_PRIVATE, *others)


def _may_sign(authority: _Pair, addresses: Sequence[IPv4Address]) -> bool:
    from cryptography import x509

    found = authority.read().extensions.get_extension_for_class(x509.NameConstraints).value
    permitted = [one.value for one in found.permitted_subtrees or []]
    networks = [one for one in permitted if isinstance(one, IPv4Network)]
    return all(any(address in network for network in networks) for address in addresses)


def _covers(server: _Pair, authority: _Pair, addresses: Sequence[IPv4Address]) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    certificate = server.read()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    try:
        certificate.verify_directly_issued_by(authority.read())
    except (ValueError, TypeError, InvalidSignature):
        return False
    same_key = certificate.public_key() == server.secret().public_key()
    return same_key and set(addresses) <= set(names.get_values_for_type(x509.IPAddress))


def _new_authority(
    addresses: Sequence[IPv4Address], now: datetime
) -> tuple[bytes, EllipticCurvePrivateKey]:
    import socket

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"promolens demo of {socket.gethostname()}"[:64])
    permitted = [
        x509.DNSName("localhost"),
        *(x509.IPAddress(network) for network in _networks(addresses)),
    ]
    builder = (
        _builder(subject, subject, key, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
    )
    return _pem(builder.sign(key, SHA256())), key


def _new_server(
    authority: _Pair, addresses: Sequence[IPv4Address], now: datetime
) -> tuple[bytes, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    issuer, secret = authority.read(), authority.secret()
    loopback = (ip_address("127.0.0.1"), ip_address("::1"))
    names = [
        x509.DNSName("localhost"),
        *(x509.IPAddress(one) for one in (*loopback, *addresses)),
    ]
    builder = (
        _builder(issuer.subject, _name("promolens demo"), key, now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(secret.public_key()), critical=False
        )
    )
    return _pem(builder.sign(secret, SHA256())) + _pem(issuer), key


def _builder(
    issuer: x509.Name, subject: x509.Name, key: EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _fingerprint(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.hashes import SHA256

    return certificate.fingerprint(SHA256()).hex(":").upper()
