"""The units and the timer in `deploy/` call what there is, when the daemon would."""

from __future__ import annotations

import configparser
import re
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
