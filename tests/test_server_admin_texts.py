"""Every code that a crawl is held or fails for has words on the pages, in both languages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import promolens_crawler
from promolens_crawler.daemon import RETRIED
from promolens_server.admin.texts import LANGUAGES, REASONS

CRAWLER = Path(promolens_crawler.__file__).parent
GROUPS = ("kind", "category")


def codes_of(tree: ast.AST) -> Iterator[str]:
    """Yield the codes of findings, and the reasons of errors and results, that code can make."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name("Finding" | "_count"), args=[first, *_]):
                yield from spelled(first)
            case ast.Assign(targets=[ast.Name("reason")], value=ast.Constant(str(code))):
                yield code
            case ast.keyword(arg="reason", value=ast.Constant(str(code))):
                yield code
            case _:
                pass


def spelled(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    # `count-{name}`, where the name is that of a group.
    assert ast.unparse(node) in ("f'count-{name}'", "code"), ast.unparse(node)
    return [f"count-{group}" for group in GROUPS] if isinstance(node, ast.JoinedStr) else []


def all_codes() -> set[str]:
    files = sorted(CRAWLER.rglob("*.py"))
    found = {code for file in files for code in codes_of(ast.parse(file.read_text("utf-8")))}
    return {code for code in found | set(RETRIED) if code}


def test_every_code_has_words_in_both_languages() -> None:
    codes = all_codes()
    # The search finds what is there: a finding, one made of parts, an error's, a result's.
    assert {"sections", "count-kind", "source-gone", "refused", "disk"} <= codes
    for language in LANGUAGES:
        assert codes - set(REASONS[language]) == set()
        assert all(words.strip() for words in REASONS[language].values())
    korean = REASONS["ko"].values()
    assert all(any("가" <= letter <= "힣" for letter in words) for words in korean)


def test_no_words_are_kept_for_a_code_that_is_gone() -> None:
    # `storage` and `held` are the service's and the result's own words.
    assert set(REASONS["ko"]) - all_codes() - {"held", "storage", "total", "end"} == set()
