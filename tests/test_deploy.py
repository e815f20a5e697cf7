"""The units and the timer in `deploy/` call what there is, when the daemon would."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from promolens_cli.main import COMMANDS, command_parser
from promolens_crawler.schedule import SchedulePlan

DEPLOY = Path(__file__).parent.parent / "deploy"
SERVICES = sorted(DEPLOY.glob("promolens-crawl*.service"))


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_unit_calls_a_command_that_there_is(path: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.read_string(path.read_text("utf-8"))
    program, name, *words = unit["Service"]["ExecStart"].split()
    assert program.endswith("/promolens")
    command = next(one for one in COMMANDS if one.name == name)
    args = command_parser(command)[0].parse_args(words)
    assert args.config == Path("/etc/promolens/crawl.toml")
    # Nothing else is writable: the guide says to keep the archive there.
    assert unit["Service"]["WorkingDirectory"] == "/var/lib/promolens"
    guide = (DEPLOY.parent / "docs" / "crawling.md").read_text("utf-8")
    assert 'archive = "/var/lib/promolens/' in guide


def test_the_timer_keeps_the_times_of_the_daemon() -> None:
    text = (DEPLOY / "promolens-crawl.timer").read_text("utf-8")
    found = re.findall(r"OnCalendar=\*-\*-(\S+) (\d\d:\d\d):00 Asia/Seoul", text)
    plan = SchedulePlan()
    days = ",".join(f"{day:02}" for day in plan.turn_days)
    wanted = [("*", str(at)[:5]) for at in plan.daily_at]
    wanted += [(days, str(at)[:5]) for at in plan.turn_at]
    assert found == wanted


ALL_UNITS = sorted(DEPLOY.glob("promolens-*.service"))
MAX_EXPOSURE = {"promolens-serve.service": 2.0}


def analyzed(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    return subprocess.run([program, *words], capture_output=True, text=True)


@pytest.mark.parametrize("path", ALL_UNITS, ids=lambda path: path.name)
def test_systemd_understands_a_unit(path: Path, tmp_path: Path) -> None:
    """Only the program's place is another one: nothing is installed here."""
    text = path.read_text("utf-8").replace("/opt/promolens/.venv/bin/promolens", sys.executable)
    (tmp_path / path.name).write_text(text)
    done = analyzed("verify", "--man=no", str(tmp_path / path.name))
    assert (done.returncode, path.name in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize(("name", "most"), MAX_EXPOSURE.items())
def test_a_unit_has_few_rights(name: str, most: float) -> None:
    done = analyzed("security", "--offline=yes", "--no-pager", str(DEPLOY / name))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= most


def test_the_image_has_no_secret_and_runs_without_rights() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    assert re.search(r"(?m)^USER 10001$", text)
    assert not re.search(r"TOKEN|KEY|PASSWORD|SECRET", text)
    # What is copied is let through, and nothing else is.
    copied = [
        word for line in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", text) for word in line.split()
    ]
    ignored = (DEPLOY.parent / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert sorted(line[1:] for line in rules if line.startswith("!")) == sorted(copied)
    assert {"**/.env*", "**/*.key", "**/*.pem"} <= set(rules)
