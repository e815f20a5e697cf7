"""The HTML that stands for what a browser rendered: the rows of one step, and nothing around them.

```html
<!DOCTYPE html>
<html><head><meta charset="utf-8"></head>
<body>
<div id="promolens-context">... outerHTML of each element of `context_selector` ...</div>
<div id="promolens-rows">... outerHTML of each new row ...</div>
</body></html>
```

A parser finds rows by the selectors that it uses for the list request's answer. Where a row comes
from is not kept: the page's own blocks of advice beside the list are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence

CONTENT_TYPE = "text/html; charset=utf-8"
CONTEXT_ID = "promolens-context"
ROWS_ID = "promolens-rows"


def rendered_page(rows: Sequence[str], context: Sequence[str] = ()) -> bytes:
    """Return the UTF-8 bytes of such a page; a lone surrogate becomes U+FFFD.

    >>> rendered_page(["<li>a</li>"]).count(b"<li>a</li>")
    1
    """
    text = (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head>\n<body>\n'
        f'<div id="{CONTEXT_ID}">{"".join(context)}</div>\n'
        f'<div id="{ROWS_ID}">{"".join(rows)}</div>\n'
        "</body></html>\n"
    )
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")
