"""What a data source is, as configuration says it: a table with a key, fields and a freshness.

    [[data_source]]
    name = "nutrition"
    title = "영양 성분"
    key = "barcode"            # kind of item key that its rows are joined by
    fresh_for_days = 365

    [data_source.fields.energy_kcal]
    type = "number"
    title = "열량"
    unit = "kcal"
    column = "열량(kcal)"      # the file's name for it, if it is another

Whoever shows a fact needs no more than this: titles, units and types are part of it.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass
from dataclasses import fields as fields_of
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

from promolens_catalog import barcodes
from promolens_catalog.column_types import storable
from promolens_catalog.items import BARCODE, MAX_KEY_CHARACTERS
from promolens_catalog.records import Record
from promolens_runtime.errors import InputError

MAX_DECLARATION_BYTES = 256 * 2**10
MAX_SOURCES = 50
MAX_FIELDS = 100
MAX_TEXT_CHARACTERS = 2000
# The largest integer that every reader of JSON keeps exactly.
MAX_INTEGER = 2**53 - 1
BUILT_IN = "promotions"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_INTEGER = re.compile(r"-?(?:\d{1,16}|\d{1,3}(?:,\d{3})+)(?:\.0+)?", re.ASCII)
_NUMBER = re.compile(r"-?(?:\d{1,16}|\d{1,3}(?:,\d{3})+)(?:\.\d{1,16})?", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "y": True, "예": True, "있음": True}
_BOOLEANS |= {"false": False, "0": False, "n": False, "아니오": False, "없음": False}


class FieldType(StrEnum):
    """What a field's values are; in JSON they are strings, numbers, booleans, `YYYY-MM-DD`."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"


@dataclass(frozen=True)
class Field:
    """One field of a data source.

    Attributes:
        name: `[a-z][a-z0-9_]*`, as programs see it.
        title: as people see it; the name, if empty.
        unit: `kcal`, `mg`, `원`; may be empty.
        column: what a file calls it, in any case; the name, if empty.
        required: a row without it is a bad one.
    """

    name: str
    type: FieldType
    title: str = ""
    unit: str = ""
    column: str = ""
    required: bool = False


@dataclass(frozen=True)
class DataSource:
    """A table that a scan is joined to.

    Attributes:
        key: kind of item key: `barcode`, `class`, or one of your own.
        key_column: what a file calls it; `key`, if empty.
        fresh_for_days: how long after loading its rows are taken for true.
        attribution: who must be named where its facts are shown.
    """

    name: str
    key: str
    fields: tuple[Field, ...]
    fresh_for_days: int
    title: str = ""
    key_column: str = ""
    attribution: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be stored or joined."""
        _check_name(self.name, "a data source")
        _check_name(self.key, f"the key of {self.name}")
        for field in self.fields:
            _check_name(field.name, f"a field of {self.name}")
        columns = [self.column_of_key, *(column_of(field) for field in self.fields)]
        if len(set(columns)) < len(columns):
            _refuse(f"a column of its own for the key and each field of {self.name}", columns)
        if not 1 <= len(self.fields) <= MAX_FIELDS:
            _refuse(f"1 to {MAX_FIELDS} fields in {self.name}", len(self.fields))
        if not 1 <= self.fresh_for_days <= 36500:
            _refuse(f"fresh_for_days of {self.name} from 1 to 36500", self.fresh_for_days)

    @property
    def column_of_key(self) -> str:
        """What a file calls the key, lower case."""
        return (self.key_column or self.key).strip().casefold()


class BadValueError(ValueError):
    """A cell is not what its field says; the text says what was expected and received."""


def column_of(field: Field) -> str:
    """Return what a file calls a field, lower case."""
    return (field.column or field.name).strip().casefold()


def read_declarations(path: Path) -> tuple[DataSource, ...]:
    """Read the data sources that a TOML file declares.

    Raises:
        InputError: it is no TOML, or a declaration is wrong.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_DECLARATION_BYTES + 1)
    if len(data) > MAX_DECLARATION_BYTES:
        _refuse(f"at most {MAX_DECLARATION_BYTES} bytes of declarations in {path.name}", "more")
    try:
        found = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        _refuse(f"TOML in {path.name}", str(error)[:150])
    tables = found.pop("data_source", None)
    if found or not isinstance(tables, list) or not 1 <= len(tables) <= MAX_SOURCES:
        _refuse(
            f"1 to {MAX_SOURCES} tables [[data_source]] in {path.name}", sorted(found) or "none"
        )
    sources = tuple(source_of(table) for table in tables)
    names = [source.name for source in sources]
    if len(set(names)) < len(names) or BUILT_IN in names:
        _refuse(f"names that differ, and none {BUILT_IN!r}, which is built in", names)
    return sources


def source_of(table: object) -> DataSource:
    """Return the data source that a TOML table, or the JSON in the catalog, declares.

    Raises:
        InputError: something is missing, unknown or of the wrong type.
    """
    values = _checked(table, DataSource, "a data source")
    tables = values.pop("fields")
    where = f"fields of {values['name']}"
    if isinstance(tables, Mapping):
        tables = [{"name": name, **_mapping(one, where)} for name, one in tables.items()]
    if not isinstance(tables, list):
        _refuse(f"{where} as tables [data_source.fields.NAME]", type(tables).__name__)
    return DataSource(**values, fields=tuple(_field(one, where) for one in tables))


def as_table(source: DataSource) -> dict[str, Any]:
    """Return a declaration as JSON that `source_of` reads back, its fields in order."""
    table = asdict(source)
    # A list: PostgreSQL keeps no order of an object's members.
    table["fields"] = list(table["fields"])
    return table


def read_row(source: DataSource, record: Record) -> tuple[str, dict[str, Any]]:
    """Return the key and the fields of a file's row; fields without a value are left out.

    Raises:
        BadValueError: the row cannot be read, has no key, or a value is not of its type.
    """
    if record.fault:
        raise BadValueError(record.fault)
    key = _key(source, record.fields.get(source.column_of_key))
    found: dict[str, Any] = {}
    for field in source.fields:
        value = record.fields.get(column_of(field))
        if value is None or (isinstance(value, str) and not value.strip()):
            if field.required:
                raise BadValueError(f"expected a value as {field.name}, received none")
        else:
            found[field.name] = _value(field, value)
    return key, found


def _key(source: DataSource, value: object) -> str:
    text = str(value).strip() if isinstance(value, str | int) else ""
    key = barcodes.normalise(text) if source.key == BARCODE else storable(text)
    if not key or len(key) > MAX_KEY_CHARACTERS:
        raise BadValueError(f"expected a {source.key}, received {str(value)[:40]!r}")
    return key


def _value(field: Field, value: object) -> str | int | float | bool:
    """Return a cell, text of CSV or a value of JSON, as the field's type."""
    text = value.strip() if isinstance(value, str) else ""
    found: str | int | float | bool | None = None
    match field.type:
        case FieldType.TEXT if text and len(text) <= MAX_TEXT_CHARACTERS:
            found = storable(text)
        case FieldType.INTEGER | FieldType.NUMBER:
            found = _number(field.type, text if text else value)
        case FieldType.BOOLEAN:
            found = value if isinstance(value, bool) else _BOOLEANS.get(text.casefold())
        case FieldType.DATE:
            found = _date(text)
    if found is None:
        received = str(value)[:40]
        raise BadValueError(f"expected {field.type} as {field.name}, received {received!r}")
    return found


def _number(kind: FieldType, value: object) -> int | float | None:
    if isinstance(value, str):
        pattern = _INTEGER if kind is FieldType.INTEGER else _NUMBER
        if not pattern.fullmatch(value):
            return None
        value = float(value.replace(",", "")) if "." in value else int(value.replace(",", ""))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -MAX_INTEGER <= value <= MAX_INTEGER or not math.isfinite(value):
        return None
    if kind is FieldType.NUMBER:
        return value
    return int(value) if value == int(value) else None


def _date(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def _field(table: object, where: str) -> Field:
    values = _checked(table, Field, where)
    if values["type"] not in list(FieldType):
        _refuse(f"type of {values['name']} as one of {', '.join(FieldType)}", values["type"])
    return Field(**{**values, "type": FieldType(values["type"])})


def _mapping(table: object, where: str) -> Mapping[str, Any]:
    if not isinstance(table, Mapping):
        _refuse(f"a table as {where}", type(table).__name__)
    return table


_TYPES = {"str": str, "int": int, "bool": bool, "FieldType": str}


def _checked(table: object, form: type, where: str) -> dict[str, Any]:
    """Return a table's values, each known to `form`, of its type and none missing."""
    values = dict(_mapping(table, where))
    known = {field.name: field for field in fields_of(form)}
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            _refuse(f"{', '.join(known)} in {where}", f"{name}{' for ' + near[0] if near else ''}")
    for name, field in known.items():
        wanted = _TYPES.get(str(field.type))
        if name not in values:
            if field.default is MISSING:
                _refuse(f"{name} in {where}", f"only {', '.join(values) or 'nothing'}")
        elif wanted and type(values[name]) is not wanted:
            _refuse(f"{name} in {where} as {wanted.__name__}", type(values[name]).__name__)
    return values


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        _refuse(f"small letters, digits and _ as the name of {what}", repr(name[:60]))


def _refuse(expected: str, received: object) -> NoReturn:
    shown = ", ".join(map(str, received)) if isinstance(received, list | tuple) else str(received)
    raise InputError(f"Expected {expected}. Received {shown[:300]}. Correct the declaration.")
