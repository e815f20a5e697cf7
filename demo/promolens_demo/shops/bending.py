"""What hostile modes do to the text and bytes of an answer. Pure functions."""

from __future__ import annotations

import re

from promolens_demo.shops.modes import Modes
from promolens_demo.shops.site import Draft, StandIn
from promolens_demo.shops.view import BROKEN, BROKEN_BYTES

BOT_PAGE = """<!DOCTYPE html>
<html lang="ko"><head><meta charset="utf-8"><title>접근 차단</title></head>
<body><h1>접근이 차단되었습니다</h1>
<p>검색 로봇의 접근으로 판단되어 이용이 차단되었습니다.</p></body></html>
"""
_SHELL = """<!DOCTYPE html><html lang="ko"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{name}</title><script defer="defer" src="/static/js/chunk-vendors.js"></script>
<script defer="defer" src="/static/js/app.js"></script>
<link href="/static/css/app.css" rel="stylesheet"></head><body><noscript>
<strong>자바스크립트를 켜 주세요.</strong></noscript><div id="app"></div></body></html>
"""
_ALERTS = """<script>
setTimeout(function () { alert("접속자가 많아 연결이 늦어지고 있습니다."); }, 60);
setTimeout(function () { alert("이달의 행사를 확인하세요."); }, 900);
</script>
</body>"""
_STALE = """<script>
setInterval(function () {
  document.querySelectorAll("%s").forEach(function (list) { list.innerHTML = list.innerHTML; });
}, 250);
</script>
</body>"""


def shell_page(name: str) -> str:
    """Return the empty page of an application that draws itself in the browser."""
    return _SHELL.format(name=name)


def bent_text(draft: Draft, kind: str, site: StandIn, modes: Modes) -> str:
    """Return a draft's text as the modes that change text make it."""
    text = draft.text
    if "drift" in modes:
        text = drifted(text, site)
    if draft.media_type == "text/html":
        if kind == "document" and "alert" in modes:
            text = text.replace("</body>", _ALERTS)
        if kind == "document" and "stale" in modes:
            text = text.replace("</body>", _STALE % site.list_selector)
        if "malformed" in modes:
            text = malformed(text)
    elif kind == "list" and "malformed" in modes:
        text = text[: len(text) * 9 // 10]
    return text


def drifted(text: str, site: StandIn) -> str:
    """Return a text in which the site's own words have other names."""
    words = "|".join(re.escape(word) for word in site.drift)
    # A word ends where a name would: `prod_list` is no part of `mdprod_list`.
    pattern = re.compile(rf"(?<![\w-])({words})(?![\w-])")
    return pattern.sub(lambda found: site.drift[found[1]], text)


def malformed(text: str) -> str:
    """Return HTML with the mistakes of the real pages, which a tolerant parser reads the same."""
    text = re.sub(r"</(?:li|p|dt|dd|option)>", "", text)
    text = re.sub(r'class="([\w-]+)"', r"class=\1", text)
    text = text.replace("<div ", "<DIV ").replace('<span class="won">', '</b><span class="won">')
    return f"{text}</b></i></center><!-- <ul>"


def encoded(text: str, media_type: str, modes: Modes) -> tuple[bytes, str]:
    """Return an answer's bytes and its content type."""
    if "wrong-charset" in modes:
        body = text.encode("cp949", "replace")
    else:
        # A lone surrogate inside JSON is an escape of JSON's own.
        body = text.encode("utf-8", "backslashreplace")
    body = body.replace(BROKEN.encode(), BROKEN_BYTES)
    charset = "EUC-KR" if "euc-kr" in modes else "UTF-8"
    return body, f"{media_type};charset={charset}"
