"""Talks to one PLC by Modbus TCP: polls its registers, feeds its watchdog, writes its mailbox.

In come the site's register map and, by `write`, commands that `interlocks.py` has let pass; out go
`ReadingsReceived` (one a poll), `SourceReached` and `SourceLost`, `CommandAnswered` and counted
`Rejected` events. What the words mean is `registers.py`'s to say; whether a command was obeyed,
`confirmations.py`'s.

Laws of this file:
1. A new connection reads the whole plant before it writes anything.
2. A command is written once. It is never queued for an absent PLC, and never written again.
3. The watchdog is fed only while the journal takes what is read here: a centre that can no longer
   decide must look silent to the PLC.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from causeway.cancellation import heed_cancellation
from causeway.clock import NS, Clock
from causeway.commands import NotSent
from causeway.events import (
    Address,
    AnyCommand,
    AnyEvent,
    CommandAnswered,
    Quality,
    ReadingsReceived,
    Reason,
    Rejected,
    SourceLost,
    SourceReached,
    WatchdogObserved,
    target_of,
)
from causeway.site import Plc, Site
from scada.registers import (
    MAILBOX_WORDS,
    Answer,
    Block,
    Misfit,
    blocks_of,
    cells_of,
    decode,
    decode_answer,
    decode_mailbox,
    encode_mailbox,
    halves_of,
    raw_of,
)

Put = Callable[[AnyEvent], Awaitable[asyncio.Future[int]]]

BACK_OFF_S = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # of the wall's clock, before each new attempt
FAILURES_MAX = 2  # in a row, before the PLC counts as lost
WATCHDOG_S = 1.0
JOURNAL_SILENT_S = (
    5.0  # of the wall's clock, without an acknowledgement, before the watchdog starves
)
CLOCK_SKEW_S = 5.0  # a quarter of what a command lives; the PLC's clock counts whole seconds
CLOCK_STILL_S = 5.0  # a PLC whose clock stands still answers from memory: its program is halted
REPORT_S = 10.0  # between two Rejected events of one reason

ILLEGAL = {1: "illegal function", 2: "illegal data address", 3: "illegal data value"}
BUSY = {5: "acknowledge", 6: "device busy"}
UNREACHED = {10: "gateway path unavailable", 11: "gateway target does not respond"}


class PlcSilent(Exception):
    """The PLC does not answer; the text says how that showed."""


class CommandNotWritten(NotSent):
    """A command did not verifiably reach its mailbox; `certain` when it surely did not."""

    def __init__(self, plc: str, command: AnyCommand, address: Address, why: str, certain: bool):
        self.plc = plc
        self.target = target_of(command)
        self.sequence = command.sequence
        self.address = address
        self.why = why
        self.certain = certain
        known = "" if certain else "; whether the PLC took it is unknown"
        super().__init__(f"{plc}: {self.target} sequence {self.sequence}: {why}{known}")


class Refused(Exception):
    """The PLC answered with a Modbus exception; `code` is the protocol's."""

    def __init__(self, code: int) -> None:
        self.code = code
        word = ILLEGAL.get(code) or BUSY.get(code) or "failure"
        super().__init__(f"exception {code} ({word})")


class _Line:
    """One TCP connection, one request at a time."""

    def __init__(self, plc: Plc) -> None:
        self._turn = asyncio.Lock()
        self._plc = plc
        self._client = AsyncModbusTcpClient(
            plc.host, port=plc.port, timeout=plc.timeout_s, retries=0, reconnect_delay=0
        )

    async def open(self) -> None:
        connected = await self._client.connect()
        heed_cancellation()
        if not connected:
            raise PlcSilent(f"no connection to {self._plc.host}:{self._plc.port}")

    def close(self) -> None:
        self._client.close()

    async def read(self, table: str, address: int, count: int) -> Sequence[int]:
        """Raises PlcSilent, or Refused with the PLC's exception."""
        async with self._turn:
            return await self._read(table, address, count)

    async def write(self, address: int, words: Sequence[int]) -> None:
        """By one FC 16; raises PlcSilent, or Refused with the PLC's exception."""
        async with self._turn:
            await self._write(address, words)

    async def write_once(
        self, address: int, words: Sequence[int], leave: Callable[[], None]
    ) -> Sequence[int]:
        """Call `leave` at its turn (it may raise), write, and give what then stands there."""
        async with self._turn:
            leave()
            await self._write(address, words)
            return await self._read("holding", address, len(words))

    async def _read(self, table: str, address: int, count: int) -> Sequence[int]:
        client, unit = self._client, self._plc.unit
        match table:
            case "coil":
                answer = await self._ask(
                    lambda: client.read_coils(address, count=count, device_id=unit)
                )
            case "discrete":
                answer = await self._ask(
                    lambda: client.read_discrete_inputs(address, count=count, device_id=unit)
                )
            case "holding":
                answer = await self._ask(
                    lambda: client.read_holding_registers(address, count=count, device_id=unit)
                )
            case _:
                answer = await self._ask(
                    lambda: client.read_input_registers(address, count=count, device_id=unit)
                )
        return answer.bits if table in ("coil", "discrete") else answer.registers

    async def _write(self, address: int, words: Sequence[int]) -> None:
        client, unit = self._client, self._plc.unit
        await self._ask(lambda: client.write_registers(address, list(words), device_id=unit))

    async def _ask(self, request: Callable[[], Awaitable[ModbusPDU]]) -> ModbusPDU:
        try:
            answer = await request()
        except ModbusException as error:
            raise PlcSilent(str(error)) from error
        finally:
            heed_cancellation()
        if not answer.isError():
            return answer
        if answer.exception_code in UNREACHED:
            raise PlcSilent(UNREACHED[answer.exception_code])
        raise Refused(answer.exception_code)


class _Rejections:
    """What was not taken, counted by reason; told at once, then at most every `REPORT_S`."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._counts: dict[Reason, int] = {}
        self._samples: dict[Reason, str] = {}
        self._told_at_ns: dict[Reason, int] = {}

    def count(self, reason: Reason, sample: str) -> None:
        self._counts[reason] = self._counts.get(reason, 0) + 1
        self._samples[reason] = sample

    def due(self, at_ns: int) -> list[Rejected]:
        """The events that are to be told now; their counts start anew."""
        events = []
        for reason, count in list(self._counts.items()):
            told = self._told_at_ns.get(reason)
            if told is not None and at_ns - told < REPORT_S * NS:
                continue
            sample = self._samples[reason]
            events.append(Rejected(source=self._source, reason=reason, count=count, sample=sample))
            del self._counts[reason]
            self._told_at_ns[reason] = at_ns
        return events


class PlcLink:
    """The centre's side of one PLC. `run` until cancelled; `write` for its command edge."""

    def __init__(self, plc: Plc, site: Site, clock: Clock, put: Put) -> None:
        self.plc = plc
        self._clock = clock
        self._put = put
        self._cells = cells_of(plc)
        self._keep_ns = {
            r.point: int(site.points[r.point].stale_after_s * NS) for r in plc.registers
        }
        self._line: _Line | None = None  # set only while the plant has been read through it
        self._blocks: list[Block] = []
        self._polls = 0
        self._reached = False
        self._told_lost = False
        self._last_good: dict[str, tuple[float, int]] = {}
        self._answer: Answer | None = None
        self._written: tuple[int, str] = (0, "")  # the mailbox's last sequence, and its target
        self._clock_moved_at_s = 0.0
        self._journalled_at_s = -JOURNAL_SILENT_S
        self._count = 0
        self._rejections = _Rejections(plc.id)

    def serves(self, command: AnyCommand) -> bool:
        """Whether the command's target hangs on this PLC."""
        return target_of(command) in self.plc.targets

    async def run(self) -> None:
        """Poll, reconnect, poll; ends only when it is cancelled."""
        failures = 0
        while True:
            polls = self._polls
            try:
                await self._serve()
            except PlcSilent as silent:
                failures = 1 if self._polls > polls else failures + 1
                if failures >= FAILURES_MAX:
                    await self._lose(str(silent))
            await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1])

    async def write(self, command: AnyCommand, address: Address) -> None:
        """Write the mailbox and read it back; raises CommandNotWritten, and never tries again."""

        def fail(why: str, *, certain: bool) -> CommandNotWritten:
            return CommandNotWritten(self.plc.id, command, address, why, certain)

        def leave() -> None:
            if line is not self._line:
                raise fail("the connection was lost", certain=True)
            if self._clock.now_ns() >= command.expires_at_ns:
                raise fail("its time is over", certain=True)
            self._written = (command.sequence, target_of(command))

        line = self._line
        if line is None:
            raise fail("not connected, or not yet read since it was", certain=True)
        try:
            words = encode_mailbox(self.plc, command)
        except Misfit as misfit:
            raise fail(str(misfit), certain=True) from misfit
        try:
            stands = tuple(await line.write_once(self.plc.mailbox, words, leave))
        except Refused as refused:
            raise fail(str(refused), certain=False) from refused
        except PlcSilent as silent:
            line.close()
            raise fail(str(silent), certain=False) from silent
        if stands != words:
            raise fail(f"read back {stands}, wrote {words}", certain=False)

    # --- one connection ----------------------------------------------------------------------

    async def _serve(self) -> None:
        """One connection's life; ends with PlcSilent."""
        line = _Line(self.plc)
        beating: asyncio.Task[None] | None = None
        try:
            await line.open()
            self._blocks = list(blocks_of(self._cells, self.plc.gap_max))
            self._answer = None
            await self._read_mailbox(line)
            due_ns = self._clock.now_ns()
            while True:
                await self._poll(line)
                beating = beating or asyncio.create_task(self._beat(line))
                if beating.done():
                    beating.result()
                    raise PlcSilent("the watchdog register was not taken")
                now_ns = self._clock.now_ns()
                due_ns = max(due_ns + int(self.plc.poll_s * NS), now_ns)  # none is made up for
                await self._clock.sleep((due_ns - now_ns) / NS)
        finally:
            self._line = None
            if beating is not None:
                beating.cancel()
            line.close()

    async def _lose(self, why: str) -> None:
        if self._reached or not self._told_lost:
            self._reached = False
            self._told_lost = True
            await self._put(SourceLost(source=self.plc.id, why=why))

    async def _read_mailbox(self, line: _Line) -> None:
        """Learn for whom the last command was, so that its answer finds its target."""
        with suppress(Refused, Misfit, IndexError):
            mailbox = decode_mailbox(await line.read("holding", self.plc.mailbox, MAILBOX_WORDS))
            if mailbox.target > 0:
                self._written = (mailbox.sequence, self.plc.targets[mailbox.target - 1])

    async def _beat(self, line: _Line) -> None:
        """Change the watchdog's count each second while the journal keeps up; ends with `line`."""
        with suppress(PlcSilent):
            while True:
                silent_s = asyncio.get_running_loop().time() - self._journalled_at_s
                if silent_s < JOURNAL_SILENT_S:
                    self._count = self._count % 0xFFFF + 1
                    try:
                        await line.write(self.plc.watchdog, (self._count,))
                    except Refused as refused:
                        where = f"watchdog {self.plc.watchdog}: {refused}"
                        self._rejections.count(Reason.REGISTER_MISMATCH, where)
                await self._clock.sleep(WATCHDOG_S)

    # --- one poll ----------------------------------------------------------------------------

    async def _poll(self, line: _Line) -> None:
        """Read everything once and put what it says; the first one opens the line for commands."""
        values: dict[str, tuple[float, Quality]] = {}
        answer: Answer | None = None
        for block in list(self._blocks):
            answer = await self._read_block(line, block, values) or answer
        at_ns = self._clock.now_ns()
        self._polls += 1
        if not self._reached:
            self._reached = True
            await self._put(SourceReached(source=self.plc.id))
        if answer is not None:
            self._check_clock(answer, at_ns)
            await self._tell_answer(answer, at_ns)
            self._line = line
        await self._tell_readings(values, at_ns)
        for rejected in self._rejections.due(at_ns):
            await self._put(rejected)

    async def _read_block(
        self, line: _Line, block: Block, values: dict[str, tuple[float, Quality]]
    ) -> Answer | None:
        """Read one block into `values`; its halves where the PLC does not hold the whole."""
        try:
            raw = await line.read(block.table, block.address, block.width)
        except Refused as refused:
            halves = halves_of(block) if refused.code in ILLEGAL else ()
            if not halves:
                self._lack(block, refused, values)
                return None
            at = self._blocks.index(block)
            self._blocks[at : at + 1] = halves
            answers = [await self._read_block(line, half, values) for half in halves]
            return next((a for a in answers if a is not None), None)
        answer = None
        for cell in block.cells:
            try:
                words = raw_of(block, cell, raw)
                if cell.register is None:
                    answer = decode_answer(words)
                else:
                    values[cell.register.point] = decode(cell.register, words), Quality.GOOD
            except Misfit as misfit:
                self._rejections.count(Reason.REGISTER_MISMATCH, str(misfit))
        return answer

    def _lack(
        self, block: Block, refused: Refused, values: dict[str, tuple[float, Quality]]
    ) -> None:
        """A refused block: a map that does not fit is rejected, a busy device only uncertain."""
        if refused.code not in BUSY:
            where = f"{block.table} {block.address} to {block.address + block.width - 1}"
            self._rejections.count(Reason.REGISTER_MISMATCH, f"{where}: {refused}")
            return
        for cell in block.cells:
            if cell.register is not None and cell.register.point in self._last_good:
                last = self._last_good[cell.register.point][0]
                values[cell.register.point] = last, Quality.UNCERTAIN

    async def _tell_readings(self, values: dict[str, tuple[float, Quality]], at_ns: int) -> None:
        """One event with all points; a bad one bears its last good value, until that is stale."""
        halted = self._halted()
        points: list[str] = []
        numbers: list[float] = []
        qualities: list[Quality] = []
        for register in self.plc.registers:
            point = register.point
            value, quality = values.get(point, (0.0, Quality.BAD))
            if quality is Quality.GOOD:
                self._last_good[point] = (value, at_ns)
            elif point not in self._last_good:
                continue
            else:
                value, good_at_ns = self._last_good[point]
                if at_ns - good_at_ns > self._keep_ns[point]:
                    continue
            points.append(point)
            numbers.append(value)
            qualities.append(Quality.BAD if halted else quality)
        if not points:
            return
        taken = await self._put(
            ReadingsReceived(
                source=self.plc.id,
                points=tuple(points),
                observed_at_ns=(at_ns,) * len(points),
                values=tuple(numbers),
                qualities=tuple(qualities),
            )
        )
        taken.add_done_callback(self._journalled)

    def _journalled(self, taken: asyncio.Future[int]) -> None:
        if not taken.cancelled() and taken.exception() is None:
            self._journalled_at_s = taken.get_loop().time()

    async def _tell_answer(self, answer: Answer, at_ns: int) -> None:
        """A change of sequence or result, and what a new connection finds, whatever it is."""
        before = self._answer
        self._answer = answer
        if before is None or before.watchdog != answer.watchdog:
            await self._put(
                WatchdogObserved(plc=self.plc.id, taken_over=answer.watchdog, observed_at_ns=at_ns)
            )
        if before is not None and before[:2] == answer[:2]:
            return
        sequence, target = self._written
        await self._put(
            CommandAnswered(
                target=target if sequence == answer.sequence and target else self.plc.id,
                sequence=answer.sequence,
                accepted=answer.result == "accepted",
                result=answer.result,
                observed_at_ns=at_ns,
            )
        )

    def _check_clock(self, answer: Answer, at_ns: int) -> None:
        """Commands expire by the PLC's clock: one that is off refuses them, or takes late ones."""
        if self._answer is None or self._answer.clock_s != answer.clock_s:
            self._clock_moved_at_s = asyncio.get_running_loop().time()
        skew_s = answer.clock_s - at_ns // NS
        if abs(skew_s) > CLOCK_SKEW_S * max(1.0, self._clock.speed):
            self._rejections.count(Reason.CLOCK_SKEW, f"the PLC's clock is off by {skew_s} s")
        elif self._halted():
            self._rejections.count(Reason.CLOCK_SKEW, "the PLC's clock stands still")

    def _halted(self) -> bool:
        """Whether the PLC's clock has stood still for so long that its program must be halted."""
        if self._answer is None:
            return False
        still_s = asyncio.get_running_loop().time() - self._clock_moved_at_s
        return still_s > CLOCK_STILL_S * max(1.0, 1 / self._clock.speed)
