"""The configuration: unknown names, wrong types and unsound values end in one clear line."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from promolens_runtime.errors import InputError
from promolens_server.config import ServerConfig, load_config

WHOLE = """
host = "0.0.0.0"
port = 8080
workers = 4
docs = false
[limits]
body_bytes = 1000
request_s = 3
[rate]
per_s = 5
burst = 10
[cors]
origins = ["https://shop.example"]
[proxy]
trusted = ["10.0.0.0/8", "::1"]
[database]
pool_size = 20
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "server.toml"
    path.write_text(text, "utf-8")
    return path


def test_without_a_file_there_are_defaults() -> None:
    assert load_config(environment={}) == ServerConfig()


def test_a_file_and_the_environment(tmp_path: Path) -> None:
    environment = {
        "PROMOLENS_SERVER_CONFIG": str(_file(tmp_path, WHOLE)),
        "PROMOLENS_DATABASE_URL": "postgresql://a:secret@b/c",
        "PROMOLENS_READ_URL": "postgresql://a:secret@replica/c",
        "PROMOLENS_KEYS_FILE": "keys.json",
    }
    config = load_config(environment=environment)
    assert (config.host, config.port, config.workers, config.docs) == ("0.0.0.0", 8080, 4, False)
    assert (config.limits.body_bytes, config.limits.request_s) == (1000, 3.0)
    assert config.proxy.trusted == ("10.0.0.0/8", "::1")
    assert config.database_url == "postgresql://a:secret@b/c"
    assert config.read_url == "postgresql://a:secret@replica/c"
    assert config.keys.file == Path("keys.json")
    assert "secret" not in repr(config)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1", "'prot'"),
        ("[limits]\nbody = 1", "'body'"),
        ("port = '80'", "Expected a whole number as port"),
        ("port = true", "Expected a whole number as port"),
        ("port = 70000", "port is 70000"),
        ("workers = 0", "workers is 0"),
        ("[limits]\nrequest_s = 0", "request_s is 0"),
        ("[limits]\nrequest_s = nan", "request_s is nan"),
        ("[limits]\nrequest_s = inf", "request_s is inf"),
        ("[rate]\nburst = -1", "burst is -1"),
        ("limits = 3", "[limits] to be a table"),
        ("[cors]\norigins = ['shop.example']", "no origin"),
        ("[cors]\norigins = ['https://shop.example/']", "no origin"),
        ("[cors]\norigins = 'https://shop.example'", "Expected a list as cors.origins"),
        ("[proxy]\ntrusted = ['10.0.0.0/99']", "10.0.0.0/99"),
        ("[keys]\nrequired = true", "required without a file"),
        ("database_url = 'postgresql://a:b@c/d'", "PROMOLENS_DATABASE_URL"),
        ("port = ", "Expected TOML"),
        ("x = '\ud800'", "Expected TOML"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "server.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError) as caught:
        load_config(path, {})
    line = str(caught.value)
    assert told in line
    assert "\n" not in line
    assert line.startswith("Expected ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected a configuration at"):
        load_config(tmp_path / "none.toml", {})


def test_importing_the_application_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "promolens_server.app", raising=False)
    module = importlib.import_module("promolens_server.app")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AttributeError):
        _ = module.other
