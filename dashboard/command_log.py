"""Decides what the wall says of each command: asked by whom, how far it has come, what came of it.

In come the command events of the journal; out go rows of the `commands` table and the `wanted`
field of the commanded asset, which stands from the command until the field shows it or the
command has failed.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from causeway import events as e
from causeway.events import Address, AnyCommand, AnyEvent, Now, target_of
from dashboard.chains import NS, Chains, what
from dashboard.tables import Tables, Value

COMMANDS_MAX = 200
STAGES_MAX = 100  # retimed all the time, they must not push a pump's command out of sight
_ROUTINE = "stage"


class CommandLog:
    """The last commands and refusals."""

    hears: ClassVar[tuple[type, ...]] = (
        e.PumpCommanded,
        e.GateCommanded,
        e.StageCommanded,
        e.SignCommanded,
        e.LightingCommanded,
        e.CommandRefused,
        e.CommandSent,
        e.CommandAnswered,
        e.CommandExpired,
        e.CommandConfirmed,
        e.CommandUnconfirmed,
    )

    def __init__(self, tables: Tables, chains: Chains) -> None:
        self._tables = tables
        self._chains = chains
        self._open: dict[str, str] = {}  # `target sequence` -> row key

    def take(self, event: AnyEvent, now: Now) -> None:
        """Fold one command event in."""
        match event:
            case (
                e.PumpCommanded()
                | e.GateCommanded()
                | e.StageCommanded()
                | e.SignCommanded()
                | e.LightingCommanded()
            ):
                self._commanded(event, now)
            case e.CommandRefused():
                self._refused(event, now)
            case e.CommandSent():
                self._moved(event.command, "sent")
            case e.CommandAnswered():
                self._answered(event)
            case e.CommandConfirmed():
                took_ms = event.took_ns // 1_000_000
                self._moved(event.command, "confirmed", took_ms=took_ms)
                self._wanted(event.target, None)
            case e.CommandExpired():
                self._moved(event.command, "expired", outcome=event.why)
                self._wanted(event.target, None)
            case e.CommandUnconfirmed():
                self._moved(event.command, "unconfirmed", outcome=event.why)
                self._wanted(event.target, None)
            case _:
                pass

    def observed(self, table: str, key: str, name: str, value: Value) -> None:
        """The field shows a value: what was wanted of it is wanted no more."""
        row = self._tables.rows[table][key]
        wanted = row.get("wanted")
        if wanted in (None, "") or (table, name) not in _SHOWS_WANTED:
            return
        if wanted == value or (
            name == "opening"
            and isinstance(value, float)
            and isinstance(wanted, float)
            and abs(value - wanted) <= 0.02
        ):
            self._wanted(key, None)

    def _commanded(self, command: AnyCommand, now: Now) -> None:
        target = target_of(command)
        asker = self._chains.asker(command.because)
        key = f"{now.address.step}-{now.address.index}"
        self._open[f"{target} {command.sequence}"] = key
        self._put(
            key,
            target=target,
            kind=_kind(command),
            what=what(command),
            by="" if asker is None else asker.by,
            state="commanded",
            why="" if asker is None else _reason(asker.text),
            outcome="",
            at=now.at_ns / NS,
            took_ms=None,
        )
        self._wanted(target, command)

    def _refused(self, event: e.CommandRefused, now: Now) -> None:
        asker = self._chains.asker(event.because)
        self._put(
            f"{now.address.step}-{now.address.index}",
            target=event.target,
            kind="" if asker is None else asker.kind.removesuffix("Requested").lower(),
            what="" if asker is None else _what(asker.text, event.target),
            by=event.by,
            state="refused",
            why="" if asker is None else _reason(asker.text),
            outcome=f"{event.interlock}: {event.why}",
            at=now.at_ns / NS,
            took_ms=None,
        )

    def _answered(self, event: e.CommandAnswered) -> None:
        key = self._open.get(f"{event.target} {event.sequence}")
        row = None if key is None else self._tables.rows["commands"].get(key)
        if key is None or row is None:
            return
        if not event.accepted:
            self._tables.put("commands", key, state="refused", outcome=event.result)
            self._wanted(event.target, None)
        elif row["state"] in ("commanded", "sent"):
            self._tables.put("commands", key, state="accepted")

    def _moved(self, command: Address, state: str, **fields: Value) -> None:
        key = f"{command.step}-{command.index}"
        if key in self._tables.rows["commands"]:
            self._tables.put("commands", key, state=state, **fields)

    def _wanted(self, target: str, command: AnyCommand | None) -> None:
        """What an asset was last told to do; None where nothing is outstanding."""
        for table in ("pumps", "gates", "signals", "signs", "circuits"):
            if target in self._tables.rows[table]:
                nothing = "" if table == "signals" else None
                value = nothing if command is None else _value(command)
                self._tables.put(table, target, wanted=value)

    def _put(self, key: str, **fields: Value) -> None:
        rows = self._tables.rows["commands"]
        self._tables.put("commands", key, **fields)
        stages = [k for k, row in rows.items() if row["kind"] == _ROUTINE]
        if len(stages) > STAGES_MAX:
            self._tables.drop("commands", stages[0])
        elif len(rows) > COMMANDS_MAX:
            self._tables.drop("commands", next(iter(rows)))
        while len(self._open) > 2 * COMMANDS_MAX:
            del self._open[next(iter(self._open))]

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._open)

    def restore(self, state: bytes) -> None:
        self._open = msgspec.msgpack.decode(state, type=dict[str, str])


_SHOWS_WANTED = (
    ("pumps", "running"),
    ("gates", "opening"),
    ("signals", "stage"),
    ("signs", "text"),
    ("circuits", "level_ratio"),
)


def _kind(command: AnyCommand) -> str:
    return type(command).__name__.removesuffix("Commanded").lower()


def _value(command: AnyCommand) -> Value:
    match command:
        case e.PumpCommanded():
            return command.run
        case e.GateCommanded():
            return command.opening_ratio
        case e.StageCommanded():
            return command.stage
        case e.SignCommanded():
            return command.text
        case e.LightingCommanded():
            return command.level_ratio


def _reason(text: str) -> str:
    """The `why` of a request's note, which is `TARGET WHAT: WHY`."""
    return text.partition(": ")[2]


def _what(text: str, target: str) -> str:
    return text.partition(": ")[0].removeprefix(target).strip(" “”")
