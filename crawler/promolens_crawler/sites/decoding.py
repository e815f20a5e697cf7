"""From the bytes of an answer to text: strictly, so that a wrong charset is noticed."""

from __future__ import annotations

import re
from email.message import Message

from promolens_crawler.errors import PageDriftError
from promolens_crawler.pages import Answer

_CODECS = {
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "ksc5601": "cp949",
    "cp949": "cp949",
    "ms949": "cp949",
    "windows-949": "cp949",
}
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w-]{1,40})", re.IGNORECASE)
# Where HTML says that a charset must be declared.
_META_WITHIN_BYTES = 1024
_REPLACED = "\ufffd"
# One may stand for a lone surrogate in a name; two in a row are bytes that nobody could read.
_MAX_REPLACED = 20


def text_of(answer: Answer) -> str:
    """Return the text of an answer.

    The charset is the header's, else that of a BOM or of the page's `meta`, else UTF-8; nothing
    that cannot be decoded is ever replaced.

    Raises:
        PageDriftError: status other than 200, another charset than UTF-8 or EUC-KR (CP949), bytes
            that are not of the declared charset, or text that a browser decoded wrongly.
    """
    if answer.status != 200:
        raise PageDriftError(
            f"Expected status 200. Received {answer.status}. Look at the archived answer."
        )
    name = _declared(answer)
    codec = _CODECS.get(name)
    if codec is None:
        raise _wrong("UTF-8 or EUC-KR", f"the declared charset {name[:40]!r}")
    try:
        text = answer.body.decode(codec)
    except UnicodeDecodeError as error:
        raise _wrong(f"text in {name}", f"other bytes at {error.start}") from error
    if codec == "cp949" and not answer.body.isascii() and _is_utf8(answer.body):
        raise _wrong(f"text in {name}", "UTF-8")
    if answer.rendered and (_REPLACED * 2 in text or text.count(_REPLACED) > _MAX_REPLACED):
        raise _wrong("text that the browser could read", "replaced characters")
    return text


def _declared(answer: Answer) -> str:
    header = Message()
    header["content-type"] = re.sub(r"[^\x20-\x7e]", "", answer.content_type[:200])
    declared = header.get_param("charset")
    if isinstance(declared, str) and declared:
        return declared.strip().lower()
    if answer.body.startswith(b"\xef\xbb\xbf"):
        return "utf-8"
    meta = _META.search(answer.body[:_META_WITHIN_BYTES])
    return meta[1].decode("ascii").lower() if meta else "utf-8"


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _wrong(expected: str, received: str) -> PageDriftError:
    return PageDriftError(
        f"Expected {expected}. Received {received}. Look at the archived page: its charset changed."
    )
