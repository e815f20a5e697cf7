"""TOML tables read into frozen dataclasses: unknown keys and wrong types end in one clear line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from datetime import time
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from promolens_crawler.schedule import clock_time
from promolens_runtime.errors import InputError

T = TypeVar("T")
MAX_FILE_BYTES = 1_000_000
_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    time: 'a time such as "06:40"',
    Path: "a path",
}


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a file.

    Raises:
        InputError: it is missing, larger than 1 MB, not UTF-8 or not TOML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"Expected a configuration at {path}. Received {error.strerror or error}. "
            "Check the path."
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"Expected a configuration of at most {MAX_FILE_BYTES} bytes. Received more in {path}."
        )
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"Expected TOML in {path}. Received: {line[:200]}.") from error


def table_of(value: object, where: str) -> dict[str, Any]:
    """Return a table; `InputError` for anything else."""
    if not isinstance(value, dict):
        raise InputError(
            f"Expected [{where}] to be a table. Received {_shown(value)}. See "
            "docs/crawling-manners.md."
        )
    return value


def fill(kind: type[T], table: Mapping[str, Any], where: str, **fixed: Any) -> T:
    """Make a frozen dataclass of a table.

    Args:
        kind: its fields are bool, int, float, str, Path, time, a tuple of these, or one of these
            or `None`; its `__post_init__` may raise ValueError.
        where: the table's name in the file.
        fixed: fields that the file does not name.

    Raises:
        InputError: an unknown key, a wrong type, or a value that the class refuses.
    """
    hints = get_type_hints(kind)
    known = [one.name for one in fields(kind) if one.name not in fixed]  # type: ignore[arg-type]
    for name in table:
        if name not in known:
            raise InputError(
                f"Expected one of {', '.join(known)} in [{where}]. Received {name[:40]!r}. "
                "Check the spelling."
            )
    values = {name: _value(hints[name], value, f"{where}.{name}") for name, value in table.items()}
    try:
        return kind(**values, **fixed)
    except ValueError as error:
        raise InputError(f"Expected sound values in [{where}]. Received: {error}.") from error


def _value(hint: Any, value: object, where: str) -> Any:
    if get_origin(hint) is tuple:
        return _values(hint, value, where)
    choices = [one for one in get_args(hint) if one is not type(None)] or [hint]
    wanted = choices[0]
    # In Python a bool is an int, in a configuration it is none.
    if wanted is float and type(value) in (int, float):
        return float(value)  # type: ignore[arg-type]
    if wanted is time and isinstance(value, str):
        return clock_time(value)
    if wanted is Path and isinstance(value, str) and value:
        return Path(value)
    if type(value) is wanted or (type(value) is str and issubclass(wanted, str)):
        return _word(wanted, value, where)
    raise InputError(
        f"Expected {_NAMES.get(wanted, 'a text')} as {where}. Received {_shown(value)}."
    )


def _word(wanted: Any, value: Any, where: str) -> Any:
    try:
        return wanted(value)
    except ValueError:
        raise InputError(
            f"Expected {where} to be one of {', '.join(wanted)}. Received {_shown(value)}."
        ) from None


def _values(hint: Any, value: object, where: str) -> tuple[Any, ...]:
    inner = get_args(hint)
    count = None if Ellipsis in inner else len(inner)
    if not isinstance(value, list) or (count is not None and len(value) != count):
        what = "a list" if count is None else f"a list of {count}"
        raise InputError(f"Expected {what} as {where}. Received {_shown(value)}.")
    return tuple(_value(inner[0], one, where) for one in value)


def _shown(value: object) -> str:
    return repr(value)[:60]
