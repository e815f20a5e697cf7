"""The certificate of `promolens demo --https`: what it covers, and what it is not for."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from promolens_cli.local_certificates import local_certificate
from promolens_runtime.errors import InputError

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
HOME = (IPv4Address("192.168.0.12"),)


def chain(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def trusted(server: Path, authority: Path, name: str, at: datetime = NOW) -> None:
    """Verify as a client that trusts the authority; raises VerificationError."""
    subject: x509.DNSName | x509.IPAddress
    try:
        subject = x509.IPAddress(ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    verifier = PolicyBuilder().store(Store(chain(authority))).time(at)
    leaf, *rest = chain(server)
    verifier.build_server_verifier(subject).verify(leaf, rest)


@pytest.mark.parametrize("name", ["192.168.0.12", "127.0.0.1", "::1", "localhost"])
def test_it_is_for_this_machine_by_each_of_its_names(tmp_path: Path, name: str) -> None:
    made = local_certificate(tmp_path, HOME, NOW)
    trusted(made.certificate, made.authority, name)
    with pytest.raises(VerificationError):
        trusted(made.certificate, made.authority, "192.168.0.13")


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    local_certificate(tmp_path / "new", HOME, NOW)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    for key in (tmp_path / "new").glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (tmp_path / "new/authority.key").chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        local_certificate(tmp_path / "new", HOME, NOW)


def test_it_is_kept_until_shortly_before_its_end(tmp_path: Path) -> None:
    made = local_certificate(tmp_path, HOME, NOW)
    assert made.made
    assert made.expires_at == NOW + timedelta(days=60)
    # 60 days, renewed 14 before: still good after 46.
    again = local_certificate(tmp_path, HOME, NOW + timedelta(days=46))
    assert (again.made, again.expires_at) == (False, made.expires_at)
    later = local_certificate(tmp_path, HOME, NOW + timedelta(days=47))
    assert later.made
    # Phones have that authority installed.
    assert later.fingerprint == made.fingerprint


def test_another_address_is_another_certificate_of_the_same_authority(tmp_path: Path) -> None:
    made = local_certificate(tmp_path, HOME, NOW)
    moved = local_certificate(tmp_path, (IPv4Address("10.0.0.7"),), NOW)
    assert (moved.made, moved.fingerprint) == (True, made.fingerprint)
    trusted(moved.certificate, moved.authority, "10.0.0.7")


def test_an_address_that_is_not_private_takes_another_authority(tmp_path: Path) -> None:
    made = local_certificate(tmp_path, HOME, NOW)
    public = local_certificate(tmp_path, (IPv4Address("203.0.113.9"),), NOW)
    assert public.fingerprint != made.fingerprint
    names = chain(public.authority)[0].extensions.get_extension_for_class(x509.NameConstraints)
    assert "203.0.113.9/32" in {str(one.value) for one in names.value.permitted_subtrees or []}


def test_the_authority_lasts_longer_than_what_it_signs(tmp_path: Path) -> None:
    made = local_certificate(tmp_path, HOME, NOW)
    # 365 days, renewed 60 + 14 before: 292 days on there are 73 left.
    late = local_certificate(tmp_path, HOME, NOW + timedelta(days=292))
    assert late.fingerprint != made.fingerprint
    leaf, authority = chain(late.certificate)
    assert authority.not_valid_after_utc > leaf.not_valid_after_utc


def test_the_authority_vouches_for_nothing_on_the_internet(tmp_path: Path) -> None:
    """What somebody with its key could sign for a bank is trusted by no client."""
    made = local_certificate(tmp_path, HOME, NOW)
    (authority,) = chain(made.authority)
    limits = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    secret = load_pem_private_key((tmp_path / "authority.key").read_bytes(), None)
    assert isinstance(secret, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    for index, name in enumerate((x509.DNSName("bank.example"), x509.DNSName("localhost"))):
        stolen = (
            x509.CertificateBuilder()
            .issuer_name(authority.subject)
            .subject_name(x509.Name([]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(secret.public_key()), False
            )
            .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .sign(secret, SHA256())
        )
        verifier = PolicyBuilder().store(Store([authority])).time(NOW).build_server_verifier(name)
        if index == 0:
            with pytest.raises(VerificationError):
                verifier.verify(stolen, [])
        else:
            verifier.verify(stolen, [])


@pytest.mark.parametrize("name", ["authority.crt", "authority.key", "server.crt", "server.key"])
def test_a_damaged_file_is_said_and_not_overwritten(tmp_path: Path, name: str) -> None:
    local_certificate(tmp_path, HOME, NOW)
    path = tmp_path / name
    path.write_bytes(b"-----BEGIN nothing")
    with pytest.raises(InputError, match="Received something else"):
        local_certificate(tmp_path, HOME, NOW)
    assert path.read_bytes() == b"-----BEGIN nothing"


def test_a_run_that_was_stopped_between_two_files_goes_on(tmp_path: Path) -> None:
    made = local_certificate(tmp_path, HOME, NOW)
    made.certificate.unlink()
    again = local_certificate(tmp_path, HOME, NOW)
    assert again.made
    trusted(again.certificate, again.authority, "localhost")


def test_a_key_in_place_of_the_authority_is_never_sent(tmp_path: Path) -> None:
    from promolens_server.config import ServerConfig, TlsConfig
    from promolens_server.routes.authority import router
    from promolens_server.services import open_services

    made = local_certificate(tmp_path, HOME, NOW)
    mixed = tmp_path / "mixed.pem"
    mixed.write_bytes(made.authority.read_bytes() + (tmp_path / "authority.key").read_bytes())
    tls = TlsConfig(made.certificate, made.key, mixed)
    services = open_services(ServerConfig(database_url=str(tmp_path / "c.db"), tls=tls))
    try:
        with pytest.raises(InputError, match=r"authority in \[tls\]"):
            router(services)
    finally:
        services.close()


@pytest.mark.parametrize("half", [{"certificate": "a"}, {"key": "a"}, {"authority": "a"}])
def test_half_a_configuration_of_tls_is_refused(half: dict[str, str], tmp_path: Path) -> None:
    from promolens_server.config import load_config

    file = tmp_path / "server.toml"
    file.write_text("[tls]\n" + "".join(f'{name} = "{value}"\n' for name, value in half.items()))
    with pytest.raises(InputError, match=r"\[tls\]"):
        load_config(file, {})
