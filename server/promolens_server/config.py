"""How the service runs: a TOML file for what may be seen, the environment for secrets.

Every table of the file is one frozen dataclass here; what is not named keeps its default. Secrets
come only from the environment, so that the file can be in git.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path

from promolens_catalog.toml_tables import fill, read_toml
from promolens_runtime.errors import InputError
from promolens_server.feedback.config import FeedbackConfig
from promolens_server.recognition.config import RecognitionConfig
from promolens_server.stores.config import StoresConfig

CONFIG_VARIABLE = "PROMOLENS_SERVER_CONFIG"
DATABASE_VARIABLE = "PROMOLENS_DATABASE_URL"
READ_VARIABLE = "PROMOLENS_READ_URL"
KEYS_VARIABLE = "PROMOLENS_KEYS_FILE"
ADMIN_VARIABLE = "PROMOLENS_ADMIN_TOKEN"
KAKAO_VARIABLE = "KAKAO_REST_API_KEY"
STORE_VARIABLE = "PROMOLENS_BUNDLE_STORE"
APP_VARIABLE = "PROMOLENS_APP"
DEFAULT_DATABASE = "promotions.db"
# No signs that could end a directive of a content security policy.
_HOST = re.compile(r"https?://[A-Za-z0-9.*-]{1,200}(:[0-9]{1,5})?")


@dataclass(frozen=True)
class LimitsConfig:
    """What one request may cost; what is over it is refused with a clear answer.

    Attributes:
        header_bytes: request line and headers together.
        header_s: from the connection, or the last answer, to the end of the headers.
        url_bytes: path and query.
        query_parameters: number of them.
        body_bytes: of a request.
        body_s: from the end of the headers to the end of the body.
        request_s: to the start of the answer, and between two parts of it.
        connections: at once in one worker; further ones are closed with 503.
        requests: being answered at once in one worker; further ones get 503.
        keep_alive_s: how long an idle connection is kept.
        stop_s: how long running requests may take when the service is stopped.
    """

    header_bytes: int = 16_384
    header_s: float = 10.0
    url_bytes: int = 8_192
    query_parameters: int = 100
    body_bytes: int = 1_000_000
    body_s: float = 20.0
    request_s: float = 15.0
    connections: int = 2_000
    requests: int = 500
    keep_alive_s: float = 30.0
    stop_s: float = 10.0

    def __post_init__(self) -> None:
        _positive(self)


@dataclass(frozen=True)
class RateConfig:
    """How many requests one address or one key may send; 429 beyond it.

    Attributes:
        enabled: without it there is no limit.
        per_s: requests a second, over time.
        burst: requests at once after a pause.
        key_per_s: the same for a key that has no rate of its own.
        key_burst: the same for a key.
        clients: addresses and keys remembered in one worker; those silent longest are forgotten.
    """

    enabled: bool = True
    per_s: float = 20.0
    burst: int = 60
    key_per_s: float = 100.0
    key_burst: int = 300
    clients: int = 50_000

    def __post_init__(self) -> None:
        _positive(self)


@dataclass(frozen=True)
class KeysConfig:
    """API keys: where their hashes are, and whether a request needs one.

    Attributes:
        file: written by `promolens keys` (or PROMOLENS_KEYS_FILE); without one no key is known.
        required: refuse requests under /v1 without a key.
    """

    file: Path | None = None
    required: bool = False

    def __post_init__(self) -> None:
        if self.required and self.file is None:
            raise ValueError("required without a file of keys")


@dataclass(frozen=True)
class CorsConfig:
    """Which pages of other origins may read answers in a browser.

    Attributes:
        origins: such as `https://shop.example`, or `*` alone for all.
        max_age_s: how long a browser remembers the answer.
    """

    origins: tuple[str, ...] = ()
    max_age_s: int = 600

    def __post_init__(self) -> None:
        for origin in self.origins:
            sound = origin == "*" or (
                origin.startswith(("https://", "http://")) and origin.count("/") == 2
            )
            if not sound or not origin.isascii() or not origin.isprintable():
                raise ValueError(f"{origin[:60]!r} is no origin such as https://shop.example")


@dataclass(frozen=True)
class ProxyConfig:
    """What stands in front of the service.

    Attributes:
        trusted: addresses or networks whose X-Forwarded-For is believed.
    """

    trusted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for one in self.trusted:
            ip_network(one, strict=False)


@dataclass(frozen=True)
class LogConfig:
    """What is written to stderr.

    Attributes:
        requests: one JSON line a request.
    """

    requests: bool = True


@dataclass(frozen=True)
class MetricsConfig:
    """Who may read /metrics.

    Attributes:
        allow: addresses or networks; others get 404.
    """

    allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128")

    def __post_init__(self) -> None:
        for one in self.allow:
            ip_network(one, strict=False)


@dataclass(frozen=True)
class DatabaseConfig:
    """Connections to the catalog.

    Attributes:
        pool_size: connections kept open in one worker.
        pool_overflow: further ones for a peak.
        pool_wait_s: how long a request waits for one.
        statement_s: how long PostgreSQL works on one statement.
        threads: requests of one worker that use the database at once.
        pooler: the address is PgBouncer's, in transaction mode; then `statement_s` is for the role.
    """

    pool_size: int = 8
    pool_overflow: int = 8
    pool_wait_s: float = 5.0
    statement_s: float = 10.0
    threads: int = 16
    pooler: bool = False

    def __post_init__(self) -> None:
        _positive(self, zero=("pool_overflow",))


@dataclass(frozen=True)
class BundlesConfig:
    """The bundles that phones download.

    Attributes:
        store: folder that `promolens bundle publish` writes to (or PROMOLENS_BUNDLE_STORE);
            without one no bundles are served.
    """

    store: Path | None = None


@dataclass(frozen=True)
class SyncConfig:
    """What phones begin a copy with.

    Attributes:
        folder: for bootstrap files, which can be made again at any time; by default below
            CACHE_DIRECTORY, XDG_CACHE_HOME or ~/.cache.
    """

    folder: Path | None = None


@dataclass(frozen=True)
class AppConfig:
    """The camera app, at /app/.

    Attributes:
        folder: what `make app` built (`android_assets/www`); without one there is no /app/.
        bundle: what came with it (`android_assets/bundle`), at /bundle/.
        hosts: origins of map tiles, where the app's own configuration names a map of others.
    """

    folder: Path | None = None
    bundle: Path | None = None
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host[:60]!r} is no origin such as https://tile.example")


@dataclass(frozen=True)
class TlsConfig:
    """HTTPS without a proxy in front: for a demo or a small shop.

    Attributes:
        certificate: PEM, the service's own first; without one the service speaks plain HTTP.
        key: PEM, of that certificate.
        authority: PEM of who signed it, sent at /authority.crt so that phones can install it.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if self.authority is not None and self.certificate is None:
            raise ValueError("authority without a certificate")


@dataclass(frozen=True)
class ServerConfig:
    """All of it.

    Attributes:
        host: address to listen on.
        port: 0 for any free one.
        workers: processes.
        docs: whether there are /docs and /openapi.json.
        database_url: the catalog (PROMOLENS_DATABASE_URL).
        read_url: a replica of it to read from (PROMOLENS_READ_URL).
        admin_token: opens the pages under /admin (PROMOLENS_ADMIN_TOKEN); `None` for no such pages.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    docs: bool = True
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    rate: RateConfig = field(default_factory=RateConfig)
    keys: KeysConfig = field(default_factory=KeysConfig)
    cors: CorsConfig = field(default_factory=CorsConfig)
    proxy: ProxyConfig = field(default_factory=ProxyConfig)
    logs: LogConfig = field(default_factory=LogConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    bundles: BundlesConfig = field(default_factory=BundlesConfig)
    stores: StoresConfig = field(default_factory=StoresConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)
    app: AppConfig = field(default_factory=AppConfig)
    recognition: RecognitionConfig = field(default_factory=RecognitionConfig)
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    tls: TlsConfig = field(default_factory=TlsConfig)
    database_url: str = field(default=DEFAULT_DATABASE, repr=False)
    read_url: str | None = field(default=None, repr=False)
    admin_token: str | None = field(default=None, repr=False)
    kakao_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port is {self.port}, not 0 to 65535")
        if not 1 <= self.workers <= 256:
            raise ValueError(f"workers is {self.workers}, not 1 to 256")
        if not self.host:
            raise ValueError("host is empty")


def load_config(
    path: Path | None = None, environment: Mapping[str, str] | None = None
) -> ServerConfig:
    """Return the configuration of a file and the environment.

    Args:
        path: the file; without one, that of PROMOLENS_SERVER_CONFIG; without that, defaults.
        environment: the process's own by default.

    Raises:
        InputError: the file cannot be read, or something in it is unknown or not sound.
    """
    given = os.environ if environment is None else environment
    if path is None and given.get(CONFIG_VARIABLE):
        path = Path(given[CONFIG_VARIABLE])
    table = read_toml(path) if path is not None else {}
    secrets = (
        ("database_url", DATABASE_VARIABLE),
        ("read_url", READ_VARIABLE),
        ("admin_token", ADMIN_VARIABLE),
        ("kakao_key", KAKAO_VARIABLE),
    )
    for name, variable in secrets:
        if name in table:
            raise InputError(
                f"Expected secrets and addresses of databases in the environment. Received {name} "
                f"in {path}. Set {variable} instead."
            )
    config = fill(ServerConfig, table, "")
    store, keys = given.get(STORE_VARIABLE), given.get(KEYS_VARIABLE)
    app = given.get(APP_VARIABLE)
    return replace(
        config,
        database_url=given.get(DATABASE_VARIABLE) or DEFAULT_DATABASE,
        read_url=given.get(READ_VARIABLE) or None,
        admin_token=given.get(ADMIN_VARIABLE) or None,
        kakao_key=given.get(KAKAO_VARIABLE) or None,
        bundles=BundlesConfig(Path(store)) if store else config.bundles,
        keys=replace(config.keys, file=Path(keys)) if keys else config.keys,
        app=built_app(Path(app), config.app) if app else config.app,
    )


def built_app(folder: Path, config: AppConfig) -> AppConfig:
    """Return where a built app is: in `folder`/www with `folder`/bundle beside it, or in `folder`.

    Raises:
        InputError: there is none.
    """
    www = folder / "www" if (folder / "www").is_dir() else folder
    if not (www / "index.html").is_file():
        raise InputError(
            f"Expected the camera app in {folder}. Received no index.html there. Build it: make app"
        )
    bundle = www.parent / "bundle"
    return replace(config, folder=www, bundle=bundle if bundle.is_dir() else config.bundle)


def _positive(config: object, zero: tuple[str, ...] = ()) -> None:
    for name, value in vars(config).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if not math.isfinite(value) or value < 0 or (value == 0 and name not in zero):
            raise ValueError(f"{name} is {value}, not a number above 0")
