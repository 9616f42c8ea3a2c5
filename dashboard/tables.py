"""Decides what of a set of tables has changed since it was last told, field by field.

`put` and `drop` change rows; `take_delta` gives the fields that changed since the last call and
forgets them. A row that goes and comes back between two deltas is dropped first and then set
whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
Row = dict[str, Value]
Rows = dict[str, Row]


class Delta(NamedTuple):
    """Rows to merge field by field, and rows to drop before that."""

    set: dict[str, Rows]
    drop: dict[str, list[str]]


class Tables:
    """Tables of rows by key, and what changed in them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.rows: dict[str, Rows] = {name: {} for name in names}
        self._changed: dict[str, dict[str, dict[str, None]]] = {}  # insertion order, no sets
        self._dropped: dict[str, dict[str, None]] = {}

    def put(self, table: str, key: str, **fields: Value) -> None:
        """Set fields of a row, made where it is not; a field that stays the same is no change."""
        row = self.rows[table].setdefault(key, {})
        changed = [name for name, value in fields.items() if name not in row or row[name] != value]
        if changed:
            row.update(fields)
            self._changed.setdefault(table, {}).setdefault(key, {}).update(dict.fromkeys(changed))

    def drop(self, table: str, key: str) -> None:
        if self.rows[table].pop(key, None) is not None:
            self._changed.get(table, {}).pop(key, None)
            self._dropped.setdefault(table, {})[key] = None

    def take_delta(self) -> Delta | None:
        """What changed since the last call; None where nothing did."""
        if not self._changed and not self._dropped:
            return None
        changed, dropped = self._changed, self._dropped
        self._changed, self._dropped = {}, {}
        return Delta(
            {
                table: {
                    key: {name: self.rows[table][key][name] for name in names}
                    for key, names in rows.items()
                }
                for table, rows in changed.items()
                if rows
            },
            {table: list(keys) for table, keys in dropped.items()},
        )
