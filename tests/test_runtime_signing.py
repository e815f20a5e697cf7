"""Keys stay private and are never overwritten; a signature fits one message and one key."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promolens_runtime.errors import InputError, SignatureError
from promolens_runtime.signing import (
    LoadedKey,
    SigningKey,
    delegated_gallery_key,
    development_key_path,
    gallery_signing_key,
    generate_key,
    public_key_bytes,
    read_key_file,
    sign,
    signing_key,
    verification_key,
    verify,
    write_key_file,
)

KEY = SigningKey(bytes(range(32)))


def test_published_vector() -> None:
    # RFC 8032, section 7.1, test 2.
    key = SigningKey(
        bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    assert public_key_bytes(key.public).hex() == (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    assert base64.b64decode(sign(b"\x72", key)).hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


@settings(max_examples=50)
@given(st.binary(max_size=200), st.integers(0, 10**6), st.integers(1, 255))
def test_any_changed_byte_breaks_the_signature(message: bytes, at: int, change: int) -> None:
    signature = sign(message, KEY)
    verify(message, signature, KEY.public)
    whole = bytearray(message + signature)
    whole[at % len(whole)] ^= change
    with pytest.raises(SignatureError):
        verify(bytes(whole[: len(message)]), bytes(whole[len(message) :]), KEY.public)


def test_wrong_key_and_wrong_spelling() -> None:
    signature = sign(b"x", KEY)
    with pytest.raises(SignatureError, match="did not sign"):
        verify(b"x", signature, generate_key().public)
    for other in (signature.strip(), b" " + signature, b"", b"x" * 89, base64.b64decode(signature)):
        with pytest.raises(SignatureError, match="base64 of 64 bytes"):
            verify(b"x", other, KEY.public)
    with pytest.raises(InputError, match="public key like"):
        verify(b"x", signature, "ed25519:short")


def test_a_public_key_has_one_spelling() -> None:
    text = KEY.public  # 32 bytes leave two bits of the last letter unused
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = f"{text[:-2]}{letters[letters.index(text[-2]) + 1]}="
    assert base64.b64decode(other.removeprefix("ed25519:")) == public_key_bytes(text)
    for spelling in (other, text.replace(":", ": "), text[:20] + "\n" + text[20:]):
        with pytest.raises(InputError, match="public key like"):
            public_key_bytes(spelling)


def test_secret_is_not_in_repr() -> None:
    assert KEY.to_text() not in repr(KEY)
    assert "secret" not in repr(KEY)


def test_development_key_is_made_once(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert verification_key(environ=environ) is None
    first, second = signing_key(environ), signing_key(environ)
    assert (first.created, second.created) == (True, False)
    assert first.key == second.key
    path = development_key_path(environ)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["development.key"]
    assert verification_key(environ=environ) == first.key.public


def test_environment_comes_before_the_development_key(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "PROMOLENS_SIGNING_KEY": KEY.to_text()}
    assert signing_key(environ).key == KEY
    assert not list(tmp_path.iterdir())
    environ["PROMOLENS_PUBLIC_KEY"] = KEY.public.removeprefix("ed25519:")
    assert verification_key(environ=environ) == KEY.public
    other = generate_key().public
    assert verification_key(other, environ) == other
    with pytest.raises(InputError, match="PROMOLENS_SIGNING_KEY to hold base64"):
        signing_key({"PROMOLENS_SIGNING_KEY": "no key"})


def test_key_files_are_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_text("mine")
    with pytest.raises(InputError, match="never overwritten"):
        write_key_file(path, KEY)
    assert path.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.key"]


@pytest.mark.skipif(os.name != "posix", reason="file modes of POSIX")
def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    write_key_file(path, KEY)
    assert read_key_file(path) == KEY
    path.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        read_key_file(path)


class TestGalleryKeys:
    def test_a_machine_makes_one_of_its_own(self, tmp_path: Path) -> None:
        here = {"XDG_CONFIG_HOME": str(tmp_path)}
        made = gallery_signing_key(here)
        assert made.created
        assert made.key != signing_key(here).key
        assert gallery_signing_key(here) == LoadedKey(made.key, made.origin)
        assert delegated_gallery_key(signing_key(here), here) == made.key.public

    def test_production_keys_vouch_for_nothing_by_accident(self, tmp_path: Path) -> None:
        there = {"XDG_CONFIG_HOME": str(tmp_path), "PROMOLENS_SIGNING_KEY": KEY.to_text()}
        assert delegated_gallery_key(signing_key(there), there) is None
        gallery = generate_key()
        private = there | {"PROMOLENS_GALLERY_SIGNING_KEY": gallery.to_text()}
        public = there | {"PROMOLENS_GALLERY_PUBLIC_KEY": gallery.public}
        for environ in (private, public):
            assert delegated_gallery_key(signing_key(environ), environ) == gallery.public
        assert gallery_signing_key(private).key == gallery
        with pytest.raises(InputError):
            delegated_gallery_key(None, {"PROMOLENS_GALLERY_PUBLIC_KEY": "ed25519:no"})
