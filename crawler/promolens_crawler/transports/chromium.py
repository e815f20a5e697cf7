"""A headless Chromium of our own: a temporary profile, and its end whatever happens to us."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from promolens_runtime.errors import InputError, MissingError

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_INSTALL = "On Debian: sudo apt-get install chromium chromium-driver"
# Waits until whoever holds its standard input is gone, however that came, then kills and tidies up.
_GUARDIAN = """
read -r group
cat > /dev/null
[ -n "$group" ] && kill -s KILL -- "-$group"
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"""


@dataclass(frozen=True)
class Programs:
    """The browser and its driver."""

    chromium: Path
    chromedriver: Path


def find_programs(chromium: Path | None = None, chromedriver: Path | None = None) -> Programs:
    """Return the programs that are named, or those on the PATH.

    Raises:
        MissingError: one of them is not installed.
    """
    found = _program(chromium, _CHROMIUM), _program(chromedriver, ("chromedriver",))
    return Programs(*found)


def _program(named: Path | None, names: tuple[str, ...]) -> Path:
    for name in (str(named),) if named else names:
        path = shutil.which(name)
        if path is not None:
            return Path(path)
    raise MissingError(
        f"Expected the program {named or names[0]}. Received none. {_INSTALL}; or use plain HTTP "
        '(transport = "http").'
    )


class Chromium:
    """A running browser with one page, for one host."""

    def __init__(
        self, programs: Programs, agent: str, home: str, page_load_timeout_s: float
    ) -> None:
        """Start the browser.

        Args:
            home: the only host whose name it resolves.

        Raises:
            MissingError: browser and driver do not start together.
            InputError: it would have to run without its sandbox.
        """
        from selenium.common.exceptions import WebDriverException

        self._profile = Path(tempfile.mkdtemp(prefix="promolens-chromium-"))
        self._guardian = _Guardian(self._profile)
        try:
            options = _options(programs, agent, home, self._profile)
            self.driver, self._service = _session(programs, options, self._profile, self._guardian)
            self._connection: Any = self.driver.command_executor
            self.driver.set_page_load_timeout(page_load_timeout_s)
            _check_versions(self.driver.capabilities)
        except WebDriverException as error:
            self._guardian.finish()
            line = (error.msg or type(error).__name__).strip().splitlines()[0]
            raise MissingError(
                f"Expected Chromium and its driver to start. Received: {line[:200]}. Install both "
                f"in one version. {_INSTALL}"
            ) from error
        except BaseException:
            self._guardian.finish()
            raise

    @property
    def debugger(self) -> str:
        """`127.0.0.1:PORT` of the browser's own protocol."""
        return str(self.driver.capabilities["goog:chromeOptions"]["debuggerAddress"])

    def close(self) -> None:
        """End the browser, its driver and all their processes; never raises."""
        # Asking the driver first would wait for a page that hangs.
        self._guardian.finish()
        with contextlib.suppress(Exception):
            self._service.process.wait(timeout=5)
        with contextlib.suppress(Exception):
            self._connection.close()


class _Guardian:
    """A tiny process that outlives us just long enough to kill what we leave."""

    def __init__(self, profile: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - a constant script; the profile is quoted
            ["/bin/sh", "-c", _GUARDIAN, "promolens-guardian", str(profile)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def adopt(self, group: int) -> None:
        """Take over a process group."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{group}\n".encode())
        self._process.stdin.flush()

    def finish(self) -> None:
        """Kill the group, remove the profile; never raises."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _options(programs: Programs, agent: str, home: str, profile: Path) -> Any:
    from selenium.webdriver import ChromeOptions

    options = ChromeOptions()
    options.binary_location = str(programs.chromium)
    options.page_load_strategy = "eager"
    options.unhandled_prompt_behavior = "accept"
    # The second lock behind the interception of requests: pictures are not even asked for.
    options.add_experimental_option("prefs", {"profile.managed_default_content_settings.images": 2})
    for argument in (
        "--headless=new",
        f"--user-agent={agent}",
        f"--user-data-dir={profile / 'profile'}",
        # No other host has an address, whatever a page or the browser itself asks for.
        f"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE {urlsplit(home).hostname}",
        "--no-proxy-server",
        "--window-size=1280,1600",
        "--accept-lang=ko-KR,ko",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-gpu",
        "--disable-sync",
        "--mute-audio",
        "--no-first-run",
        *_sandbox_arguments(),
    ):
        options.add_argument(argument)
    return options


def _sandbox_arguments() -> tuple[str, ...]:
    """Keep the sandbox; Chromium refuses it to root, who is alone in a container anyway."""
    if os.geteuid() != 0:
        return ()
    if not _in_container():
        raise InputError(
            "Expected to run the browser as an ordinary user. Received root, for whom Chromium has "
            'no sandbox. Run as another user, or use plain HTTP (transport = "http").'
        )
    return ("--no-sandbox",)


def _in_container() -> bool:
    marks = (Path("/.dockerenv"), Path("/run/.containerenv"))
    return any(mark.exists() for mark in marks) or bool(os.environ.get("container"))  # noqa: SIM112 - its name


def _session(
    programs: Programs, options: Any, profile: Path, guardian: _Guardian
) -> tuple[WebDriver, Any]:
    from selenium.webdriver import Remote
    from selenium.webdriver.chrome.service import Service

    class Guarded(Service):
        """Tells the guardian whom to kill as soon as there is someone."""

        def _start_process(self, path: str) -> None:
            super()._start_process(path)
            guardian.adopt(self.process.pid)

    # Nothing of the person's own home is read or written, and nothing is left beside the profile.
    names = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR")
    homes = dict.fromkeys(names, str(profile))
    service = Guarded(
        str(programs.chromedriver),
        env={**os.environ, **homes},
        popen_kw={"start_new_session": True},
    )
    service.start()
    return Remote(service.service_url, options=options), service


def _check_versions(capabilities: dict[str, Any]) -> None:
    browser = str(capabilities.get("browserVersion", ""))
    driver = str(capabilities.get("chrome", {}).get("chromedriverVersion", ""))
    if browser.partition(".")[0] != driver.partition(".")[0]:
        raise MissingError(
            f"Expected Chromium and its driver in one version. Received {browser[:30]} and "
            f"{driver.partition(' ')[0][:30]}. {_INSTALL}"
        )
