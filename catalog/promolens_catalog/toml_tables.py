"""TOML tables read into frozen dataclasses: unknown keys and wrong types end in one clear line."""

from __future__ import annotations

import tomllib
from dataclasses import fields, is_dataclass
from datetime import time
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from promolens_catalog.calendar import clock_time
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
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise InputError(
            f"Expected a configuration at {path}. Received {said}. Check the path."
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"Expected a configuration of at most {MAX_FILE_BYTES} bytes. Received more in {path}. "
            "Name another file."
        )
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"Expected TOML in {path}. Received: {line[:200]}. Correct it there."
        ) from error


def table_of(value: object, where: str, advice: str = "Change it.") -> dict[str, Any]:
    """Return a table; `InputError` for anything else.

    Args:
        where: its name in the file.
        advice: the end of the message.
    """
    if not isinstance(value, dict):
        raise InputError(f"Expected [{where}] to be a table. Received {_shown(value)}. {advice}")
    return value


def fill(kind: type[T], table: object, where: str, **fixed: Any) -> T:
    """Make a frozen dataclass of a table, and of the tables in it.

    Args:
        kind: its fields are bool, int, float, str, Path, time, an enumeration of texts, a tuple of
            these (of a fixed length or not), one of these or `None`, or another such dataclass;
            `__post_init__` may raise ValueError.
        where: the table's name in the file; empty at its top.
        fixed: fields that the file may not name.

    Raises:
        InputError: an unknown key, a wrong type, or a value that the class refuses.
    """
    table = table_of(table, where)
    hints = get_type_hints(kind)
    known = [one.name for one in fields(kind) if one.name not in fixed]  # type: ignore[arg-type]
    place = f"[{where}]" if where else "the configuration"
    for name in table:
        if name not in known:
            raise InputError(
                f"Expected one of {', '.join(known)} in {place}. Received {str(name)[:40]!r}. "
                "Check the spelling."
            )
    prefix = f"{where}." if where else ""
    values = {name: _value(hints[name], value, prefix + name) for name, value in table.items()}
    try:
        return kind(**values, **fixed)
    except ValueError as error:
        raise InputError(f"Expected sound values in {place}. Received: {error}.") from error


def _value(hint: Any, value: object, where: str) -> Any:
    if get_origin(hint) is tuple:
        return _values(hint, value, where)
    if is_dataclass(hint):
        return fill(hint, value, where)  # type: ignore[arg-type]
    choices = [one for one in get_args(hint) if one is not type(None)] or [hint]
    wanted = choices[0]
    return _plain(wanted, value, where)


def _plain(wanted: Any, value: object, where: str) -> Any:
    # In Python a bool is an int, in a configuration it is none.
    if wanted is float and type(value) in (int, float):
        return float(value)  # type: ignore[arg-type]
    if wanted is time and isinstance(value, str):
        return clock_time(value)
    if wanted is Path and isinstance(value, str) and value:
        return Path(value)
    if type(value) is wanted:
        return value
    if type(value) is str and issubclass(wanted, str):
        return _word(wanted, value, where)
    raise InputError(
        f"Expected {_NAMES.get(wanted, 'a text')} as {where}. Received {_shown(value)}. Change it."
    )


def _word(wanted: Any, value: str, where: str) -> Any:
    try:
        return wanted(value)
    except ValueError:
        raise InputError(
            f"Expected {where} to be one of {', '.join(wanted)}. Received {_shown(value)}. "
            "Check the spelling."
        ) from None


def _values(hint: Any, value: object, where: str) -> tuple[Any, ...]:
    inner = get_args(hint)
    count = None if Ellipsis in inner else len(inner)
    if not isinstance(value, list) or (count is not None and len(value) != count):
        what = "a list" if count is None else f"a list of {count}"
        raise InputError(f"Expected {what} as {where}. Received {_shown(value)}. Change it.")
    return tuple(_value(inner[0], one, where) for one in value)


def _shown(value: object) -> str:
    return repr(value)[:60]
