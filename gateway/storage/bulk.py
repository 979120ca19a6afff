"""Bulk inserts on PostgreSQL: each column is sent as one array in PostgreSQL's binary form.

`INSERT … SELECT FROM unnest(…)` costs the server a fraction of one statement per row. psycopg packs lists value by
value in Python, which costs more than the insert itself; this module packs the few types that the gateway's rows have.
Wire format: `array_recv` and the receive function of each type in PostgreSQL's src/backend/utils/adt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from psycopg.abc import AdaptContext
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format
from sqlalchemy.dialects import postgresql

from gateway.storage.inserts import InsertOptions

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEAD = Struct("!5i")  # dimensions, 1 if there are NULLs, element type, length, lower bound
_LENGTH = Struct("!i")
_TIME = Struct("!iq")
_NULL = _LENGTH.pack(-1)
_UUID_LENGTH = _LENGTH.pack(16)


class Packed:
    """One array in PostgreSQL's binary form."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _PackedDumper(Dumper):
    format = Format.BINARY
    oid = 0  # unknown: the statement casts the parameter

    def dump(self, obj: Packed) -> Buffer:
        return obj.data


def register(connection: AdaptContext) -> None:
    """Register `Packed` with the adapters of a new connection."""
    connection.adapters.register_dumper(Packed, _PackedDumper)


def _uuid(value: UUID) -> bytes:
    return _UUID_LENGTH + value.int.to_bytes(16, "big")


def _binary(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


def _text(value: str) -> bytes:
    data = value.encode()
    return _LENGTH.pack(len(data)) + data


def _moment(value: datetime) -> bytes:
    return _TIME.pack(8, (value - _EPOCH) // _MICROSECOND)


# SQL type → its oid (src/include/catalog/pg_type.dat) and the function that packs one value. Any: a value of that type.
_PACKERS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    "UUID": (2950, _uuid),
    "BYTEA": (17, _binary),
    "TEXT": (25, _text),
    "TIMESTAMP WITH TIME ZONE": (1184, _moment),
}


def _array(kind: str, values: Sequence[object]) -> Packed | Sequence[object]:
    """Pack the values of a column; return them as they are, for psycopg, if their type is not in `_PACKERS`."""
    if kind not in _PACKERS:
        return values
    oid, pack = _PACKERS[kind]
    nulls = None in values
    packed = [_NULL if value is None else pack(value) for value in values] if nulls else map(pack, values)
    return Packed(_HEAD.pack(1, nulls, oid, len(values), 1) + b"".join(packed))


class _Uuids(sa.types.UserDefinedType[Sequence[UUID]]):
    """The type `uuid[]`, sent as `Packed`."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the name of the type in SQL."""
        return "UUID[]"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Sequence[UUID] | None], object]:
        """Return the function that packs a parameter."""

        def pack(values: Sequence[UUID] | None, /) -> object:
            return None if values is None else _array("UUID", values)

        return pack


def _packed(values: Sequence[UUID]) -> sa.Cast[Sequence[UUID]]:
    return sa.cast(sa.bindparam(None, values, type_=_Uuids()), _Uuids())


def any_uuid(column: sa.ColumnElement[UUID], values: Sequence[UUID]) -> sa.ColumnElement[bool]:
    """Return the condition `column = ANY (values)`: one statement and one plan for any number of values."""
    return column == sa.any_(_packed(values))


def each_uuid(values: Sequence[UUID]) -> sa.TableValuedAlias:
    """Return the values as a table with one column, `id`."""
    return sa.func.unnest(_packed(values)).table_valued(sa.column("id", sa.Uuid), name="chosen").render_derived()


class BulkInsert:
    """An insert into one table with fixed columns and options; it caches its statements."""

    def __init__(self, table: sa.Table, columns: Sequence[str], options: InsertOptions) -> None:
        self._table = table
        self._columns = columns
        self._kinds = {column: _type_name(table.c[column].type) for column in columns}
        self._tail = _conflict(table, options)
        if options.returning:
            self._tail += f" RETURNING {table.name}.{options.returning}"
        self._statements: dict[tuple[str, ...], str] = {}

    def prepare(self, rows: Sequence[Mapping[str, object]]) -> tuple[str, tuple[object, ...]]:
        """Return the statement and its parameters. If all rows have the same value in a column, it is sent once."""
        arrays = {column: [row[column] for row in rows] for column in self._columns}
        once = tuple(column for column, values in arrays.items() if _all_equal(values))
        many = [column for column in self._columns if column not in once]
        if once not in self._statements:
            self._statements[once] = self._statement(once, many)
        singles = (arrays[column][0] for column in once)
        return self._statements[once], (*singles, *(_array(self._kinds[column], arrays[column]) for column in many))

    def _statement(self, once: Sequence[str], many: Sequence[str]) -> str:
        kinds = self._kinds
        selected = ", ".join([*(f"%b::{kinds[c]}" for c in once), *(f"chosen.{c}" for c in many)])
        arrays = ", ".join(f"%b::{kinds[c]}[]" for c in many)
        return (
            f"INSERT INTO {self._table.name} ({', '.join([*once, *many])})"  # noqa: S608  names of our own tables and columns
            f" SELECT {selected} FROM unnest({arrays}) AS chosen({', '.join(many)}){self._tail}"
        )


def _conflict(table: sa.Table, options: InsertOptions) -> str:
    if add_up := options.add_up:
        keys = ", ".join(column.name for column in table.primary_key.columns)
        total = f"{table.name}.{add_up} + excluded.{add_up}"
        return f" ON CONFLICT ({keys}) DO UPDATE SET {add_up} = {total}"
    return " ON CONFLICT DO NOTHING" if options.ignore_conflicts else ""


def _all_equal(values: list[object]) -> bool:
    first = values[0]
    # Compare the last value first: it differs in most columns whose values differ, and counting all values costs more.
    return len(values) > 1 and values[-1] == first and values.count(first) == len(values)


def _type_name(kind: sa.types.TypeEngine[object]) -> str:
    dialect: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return str(kind.compile(dialect=dialect))
