"""The admin pages in a real Chromium that runs no script: what people at a desk or a phone do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as until
from selenium.webdriver.support.ui import WebDriverWait

from admin_support import MIN, TOKENS, hold_cu, propose_links, publish_cu
from catalog_support import NOW
from promolens_catalog import link_review, snapshots
from promolens_catalog.chains import Chain
from promolens_server.factory import create_app
from promolens_server.services import open_services
from server_support import config_for, running

DRIVER = "/usr/bin/chromedriver"
WAIT_S = 60
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(DRIVER).is_file() or shutil.which("chromium") is None,
        reason="Chromium and its driver are not installed (Debian: chromium, chromium-driver)",
    ),
]


@pytest.fixture
def chromium() -> Iterator[webdriver.Chrome]:
    options = Options()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--accept-lang=ko"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(WAIT_S)
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield driver
    driver.quit()


def _click(driver: webdriver.Chrome, selector: str) -> None:
    """Press a button and wait for the page after it."""
    page = driver.find_element(By.TAG_NAME, "html")
    driver.find_element(By.CSS_SELECTOR, selector).click()
    WebDriverWait(driver, WAIT_S).until(until.staleness_of(page))


def _width_px(driver: webdriver.Chrome) -> int:
    return int(driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["width"])


def test_decisions_on_a_phone_without_javascript(
    tmp_path: Path, sqlite_template: Path, chromium: webdriver.Chrome
) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(sqlite_template.read_bytes())
    config = config_for(str(path), admin_token=TOKENS)
    services = open_services(config, clock=lambda: NOW)
    db: Any = services.primary
    publish_cu(db)
    number = hold_cu(db, name="<script>document.title='x'</script>아주아주긴이름의과자" * 3)
    propose_links(db)
    with running(create_app(services)) as server:
        chromium.get(f"{server.url}/admin/snapshots/{number}")
        chromium.find_element(By.ID, "token").send_keys(MIN)
        _click(chromium, "button.main")
        assert chromium.current_url == f"{server.url}/admin/snapshots/{number}"
        assert chromium.find_element(By.TAG_NAME, "html").get_attribute("lang") == "ko"
        for page in ("", "/snapshots", f"/snapshots/{number}", "/review", "/bundles", "/galleries"):
            chromium.get(f"{server.url}/admin{page}")
            assert _width_px(chromium) <= 360, page
        chromium.get(f"{server.url}/admin/snapshots/{number}")
        _click(chromium, "form[action$='/approve'] button")
        assert "발행했습니다" in chromium.find_element(By.CSS_SELECTOR, "[role=status]").text
        chromium.get(f"{server.url}/admin/review")
        _click(chromium, "button[value=accept]")
        assert "같은 상품으로" in chromium.find_element(By.CSS_SELECTOR, "[role=status]").text
        published = snapshots.published_snapshot(db, Chain.CU)
        assert published is not None
        assert published.id == number
        assert link_review.count_open(db) == 1
        _click(chromium, "form[action$='/logout'] button")
        chromium.get(f"{server.url}/admin")
        assert "/admin/login" in chromium.current_url
        blocked = [
            one for one in chromium.get_log("browser") if "Content Security" in one["message"]
        ]
        assert blocked == []
