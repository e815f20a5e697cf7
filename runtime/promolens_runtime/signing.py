"""Ed25519 signatures over the manifest's bytes, and where keys come from (RFC 8032).

A public key is written `ed25519:` + base64 of its 32 bytes, a private key as base64 of its 32.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from promolens_runtime.errors import InputError, SignatureError

KEY_BYTES = 32
SIGNATURE_BYTES = 64
PREFIX = "ed25519:"
PRIVATE_VARIABLE = "PROMOLENS_SIGNING_KEY"
PUBLIC_VARIABLE = "PROMOLENS_PUBLIC_KEY"
GALLERY_PRIVATE_VARIABLE = "PROMOLENS_GALLERY_SIGNING_KEY"
GALLERY_PUBLIC_VARIABLE = "PROMOLENS_GALLERY_PUBLIC_KEY"
GALLERY_KEY_FILE = "gallery-development.key"
MAX_KEY_FILE_BYTES = 1024


@dataclass(frozen=True)
class SigningKey:
    """A private key; `secret` (32 bytes) never shows in repr or in messages."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Raises InputError unless the secret has 32 bytes."""
        if len(self.secret) != KEY_BYTES:
            raise InputError(
                f"Expected a private key of {KEY_BYTES} bytes. Received {len(self.secret)} bytes. "
                "Make one with: promolens bundle keygen OUT"
            )

    @property
    def public(self) -> str:
        """The public half, `ed25519:<base64>`."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.from_private_bytes(self.secret).public_key()
        return PREFIX + base64.b64encode(key.public_bytes_raw()).decode()

    def to_text(self) -> str:
        """Return the private key as base64, for a key file or PROMOLENS_SIGNING_KEY."""
        return base64.b64encode(self.secret).decode()


@dataclass(frozen=True)
class LoadedKey:
    """A private key, where it came from (for messages), and whether it was made just now."""

    key: SigningKey
    origin: str
    created: bool = False


def generate_key() -> SigningKey:
    """Return a new random private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return SigningKey(Ed25519PrivateKey.generate().private_bytes_raw())


def sign(message: bytes, key: SigningKey) -> bytes:
    """Return the text of manifest.sig: base64 of the 64-byte signature, and a newline."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    raw = Ed25519PrivateKey.from_private_bytes(key.secret).sign(message)
    return base64.b64encode(raw) + b"\n"


def verify(message: bytes, signature_file: bytes, public_key: str) -> None:
    """Check manifest.sig (`signature_file`) over `message`. Raises SignatureError."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    raw = _decode(signature_file)
    # One text for one signature: any other spelling of the same bytes is refused.
    if len(raw) != SIGNATURE_BYTES or base64.b64encode(raw) + b"\n" != signature_file:
        raise SignatureError(
            f"Expected manifest.sig to be base64 of {SIGNATURE_BYTES} bytes and a newline. "
            f"Received {len(signature_file)} bytes that are not. Get the bundle again."
        )
    try:
        Ed25519PublicKey.from_public_bytes(public_key_bytes(public_key)).verify(raw, message)
    except InvalidSignature:
        raise SignatureError(
            f"Expected manifest.json signed by {public_key}. Received one that this key did not "
            "sign (edited, or another key). Get the bundle again, or pass the right --public-key."
        ) from None


def public_key_bytes(text: str) -> bytes:
    """Return the 32 bytes of `ed25519:<base64>` (the prefix may be missing). Raises InputError."""
    spelling = text.strip().removeprefix(PREFIX).encode()
    raw = _decode(spelling)
    # One text for one key, or a list of keys could hold the same one twice under two names.
    if len(raw) != KEY_BYTES or base64.b64encode(raw) != spelling:
        raise InputError(
            f"Expected a public key like {PREFIX}<base64 of {KEY_BYTES} bytes>. "
            f"Received {text[:80]!r}. Copy it from: promolens bundle keygen"
        )
    return raw


def parse_private_key(text: str, origin: str) -> SigningKey:
    """Read base64 of 32 bytes; `origin` names the place in the error. Raises InputError."""
    raw = _decode(text.strip().encode())
    if len(raw) != KEY_BYTES:
        raise InputError(
            f"Expected {origin} to hold base64 of {KEY_BYTES} bytes. Received something else. "
            "Make one with: promolens bundle keygen OUT"
        )
    return SigningKey(raw)


def development_key_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where this machine's development key lies (outside every repository)."""
    config = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "promolens" / "development.key"


def signing_key(environ: Mapping[str, str] = os.environ) -> LoadedKey:
    """Return the key to sign bundles with: the environment's, else this machine's development key.

    The development key is made on first use; `created` then tells the caller to say so.
    Raises InputError when the key found is damaged or readable by others.
    """
    return _found_or_made(PRIVATE_VARIABLE, development_key_path(environ), environ)


def gallery_signing_key(environ: Mapping[str, str] = os.environ) -> LoadedKey:
    """Return the key to sign galleries with, in the same way; it is never a bundle's key.

    A gallery changes every month, so its key may lie where the bundle's key must not.
    """
    path = development_key_path(environ).with_name(GALLERY_KEY_FILE)
    return _found_or_made(GALLERY_PRIVATE_VARIABLE, path, environ)


def delegated_gallery_key(
    signed_with: LoadedKey | None, environ: Mapping[str, str] = os.environ
) -> str | None:
    """Return the public key that a bundle vouches for as its galleries' key, None for none.

    PROMOLENS_GALLERY_PUBLIC_KEY where it is set; else, for bundles that are unsigned or signed with
    a development key, that of `gallery_signing_key`: production keys vouch for nothing by accident.
    Raises InputError when the one found is damaged.
    """
    text = environ.get(GALLERY_PUBLIC_VARIABLE)
    if text:
        return PREFIX + base64.b64encode(public_key_bytes(text)).decode()
    if signed_with is not None and signed_with.origin == PRIVATE_VARIABLE:
        key = environ.get(GALLERY_PRIVATE_VARIABLE)
        return parse_private_key(key, GALLERY_PRIVATE_VARIABLE).public if key else None
    return gallery_signing_key(environ).key.public


def _found_or_made(variable: str, path: Path, environ: Mapping[str, str]) -> LoadedKey:
    text = environ.get(variable)
    if text:
        return LoadedKey(parse_private_key(text, variable), variable)
    if path.exists():
        return LoadedKey(read_key_file(path), str(path))
    key = generate_key()
    try:
        write_key_file(path, key)
    except InputError:  # another process made it in between
        return LoadedKey(read_key_file(path), str(path))
    return LoadedKey(key, str(path), created=True)


def verification_key(
    given: str | None = None, environ: Mapping[str, str] = os.environ
) -> str | None:
    """Return the public key to check with: `given`, PROMOLENS_PUBLIC_KEY, or the development key's.

    None when there is none of them. Raises InputError when the one found is damaged.
    """
    text = given or environ.get(PUBLIC_VARIABLE)
    if text:
        return PREFIX + base64.b64encode(public_key_bytes(text)).decode()
    path = development_key_path(environ)
    return read_key_file(path).public if path.exists() else None


def read_key_file(path: Path) -> SigningKey:
    """Read a private key file. Raises InputError when damaged or readable by other users."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        text = file.read(MAX_KEY_FILE_BYTES)
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise InputError(
            f"Expected {path} to be readable by its owner only. "
            f"Received mode {stat.S_IMODE(mode):04o}. Run: chmod 600 {path}"
        )
    return parse_private_key(text.decode("ascii", "replace"), str(path))


def write_key_file(path: Path, key: SigningKey) -> None:
    """Write `key` to a new file of mode 0600. Raises InputError when something lies there.

    The file appears whole or not at all: it is written beside its place and then linked there.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key.to_text() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # unlike a rename, never replaces a key that is there
    except FileExistsError:
        raise InputError(
            f"Expected a name that is free. Received {path}, which exists. "
            "Keys are never overwritten: choose another name or move the old key away."
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
