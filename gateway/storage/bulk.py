"""Bulk inserts on PostgreSQL: columns travel as binary arrays, packed here.

`INSERT … SELECT FROM unnest(…)` costs the server a fraction of one statement a row. psycopg packs lists value by value
in Python, which costs more than the insert itself; the few types that every row here has are packed faster below.
Wire format: PostgreSQL's `array_recv` and each type's receive function (src/backend/utils/adt).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from psycopg import Connection
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format
from sqlalchemy.dialects import postgresql

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEAD = Struct("!5i")  # dimensions, whether there are NULLs, element type, length, lower bound
_LENGTH = Struct("!i")
_TIME = Struct("!iq")
_NULL = _LENGTH.pack(-1)
_UUID_LENGTH = _LENGTH.pack(16)


class Packed:
    """A whole array in PostgreSQL's binary form."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _PackedDumper(Dumper):
    format = Format.BINARY
    oid = 0  # the statement says of which type the parameter is

    def dump(self, obj: Packed) -> Buffer:
        return obj.data


def register(connection: Connection[Any]) -> None:
    """Teach a new connection to send `Packed`."""
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


_PACKERS: dict[str, tuple[int, Callable[[Any], bytes]]] = {  # type → its oid, see pg_type.dat
    "UUID": (2950, _uuid),
    "BYTEA": (17, _binary),
    "TEXT": (25, _text),
    "TIMESTAMP WITH TIME ZONE": (1184, _moment),
}


def _array(kind: str, values: Sequence[Any]) -> Packed | Sequence[Any]:
    """Pack a column; what is not in the table above is left to psycopg."""
    if kind not in _PACKERS:
        return values
    oid, pack = _PACKERS[kind]
    nulls = None in values
    packed = [_NULL if value is None else pack(value) for value in values] if nulls else map(pack, values)
    return Packed(_HEAD.pack(1, nulls, oid, len(values), 1) + b"".join(packed))


class _Uuids(sa.types.UserDefinedType[Any]):
    """`uuid[]`, packed as above."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name."""
        return "UUID[]"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], Any]:
        """Pack the values of one execution."""

        def pack(values: Sequence[UUID], /) -> Any:
            return _array("UUID", values)

        return pack


def _packed(values: Sequence[UUID]) -> sa.Cast[Any]:
    return sa.cast(sa.bindparam(None, values, type_=_Uuids()), _Uuids())


def any_uuid(column: sa.ColumnElement[Any], values: Sequence[UUID]) -> sa.ColumnElement[bool]:
    """Return `column = ANY (values)`: one statement and one plan, whatever their number."""
    return column == sa.any_(_packed(values))


def each_uuid(values: Sequence[UUID]) -> sa.TableValuedAlias:
    """Return the values as a table of one column, `id`."""
    return sa.func.unnest(_packed(values)).table_valued(sa.column("id", sa.Uuid), name="given").render_derived()


class BulkInsert:
    """One shape of insert: a table, its columns in order, and what to do with a key that is already there."""

    def __init__(
        self,
        table: sa.Table,
        columns: Sequence[str],
        *,
        ignore_conflicts: bool = False,
        add_up: str | None = None,
        returning: str | None = None,
    ) -> None:
        self._table, self._columns = table, columns
        self._kinds = {column: _type_name(table.c[column].type) for column in columns}
        self._tail = _conflict(table, ignore_conflicts, add_up)
        if returning:
            self._tail += f" RETURNING {table.name}.{returning}"
        self._statements: dict[tuple[str, ...], str] = {}

    def prepare(self, rows: Sequence[Mapping[str, Any]]) -> tuple[str, tuple[Any, ...]]:
        """Return the statement and its parameters. What is equal in all rows travels once."""
        arrays = {column: [row[column] for row in rows] for column in self._columns}
        once = tuple(column for column, values in arrays.items() if _all_equal(values))
        many = [column for column in self._columns if column not in once]
        if once not in self._statements:
            self._statements[once] = self._statement(once, many)
        singles = (arrays[column][0] for column in once)
        return self._statements[once], (*singles, *(_array(self._kinds[column], arrays[column]) for column in many))

    def _statement(self, once: Sequence[str], many: Sequence[str]) -> str:
        kinds = self._kinds
        chosen = ", ".join([*(f"%b::{kinds[c]}" for c in once), *(f"given.{c}" for c in many)])
        arrays = ", ".join(f"%b::{kinds[c]}[]" for c in many)
        return (
            f"INSERT INTO {self._table.name} ({', '.join([*once, *many])})"  # noqa: S608  our own names
            f" SELECT {chosen} FROM unnest({arrays}) AS given({', '.join(many)}){self._tail}"
        )


def _conflict(table: sa.Table, ignore: bool, add_up: str | None) -> str:
    if add_up:
        keys = ", ".join(column.name for column in table.primary_key.columns)
        total = f"{table.name}.{add_up} + excluded.{add_up}"
        return f" ON CONFLICT ({keys}) DO UPDATE SET {add_up} = {total}"
    return " ON CONFLICT DO NOTHING" if ignore else ""


def _all_equal(values: list[Any]) -> bool:
    first = values[0]
    # The last one first: columns that differ mostly differ there, and comparing all of them would cost.
    return len(values) > 1 and bool(values[-1] == first) and values.count(first) == len(values)


def _type_name(kind: sa.types.TypeEngine[Any]) -> str:
    dialect: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return str(kind.compile(dialect=dialect))
