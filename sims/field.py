"""The processes of the simulated field: its water with PLCs and gauges, its traffic with cabinets
and cameras.

Each `..._main` is one process, started by `causeway`; both are given the same site, scenario,
clock and work folder, and share nothing but one small file in it. They talk to the centre as a
real field would, by MQTT and Modbus TCP, go on without it, and end cleanly on SIGTERM.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from causeway.clock import Clock, clock_of
from causeway.site import Site, load_site
from sims.cabinets import HEARD_BY_CABINETS, Message
from sims.devices import Uplink
from sims.pace import BEHIND_S_MAX, Pace, say
from sims.plc import Line, PlcServer
from sims.plc_program import PlcProgram
from sims.scenario import NS, Scenario, load_scenario
from sims.street_water import StreetWaterReader, StreetWaterWriter

if TYPE_CHECKING:
    from sims.shutters import Shutters

SCAN_S = 0.2  # of the PLCs
TURN_S = 0.25  # of the lamps
WATER_FILE = "street-water"
WAITING_MAX = 64  # messages on their way out, from which no picture is taken
PICTURES_MAX = 32  # a turn
PICTURES_BEHIND_MAX = 3  # and while the traffic cannot keep up
END_S_MAX = 15  # for a parent that is gone; one that lives has less patience
SWITCH_S = 0.0005  # or each message sent waits 5 ms for the thread that builds views

Address = tuple[str, int]


def water_main(
    site_folder: Path,
    scenario_file: Path,
    mqtt_url: str,
    clock_spec: str,
    workdir: Path,
    plc_addresses: Mapping[str, Address] | None = None,
) -> int:
    """The water process, until SIGTERM; `plc_addresses` stand in for the site's."""
    site, scenario, clock = _begin(site_folder, scenario_file, clock_spec, workdir)
    return asyncio.run(
        _water(site_folder, site, scenario, mqtt_url, clock, workdir, plc_addresses or {})
    )


def traffic_main(
    site_folder: Path,
    scenario_file: Path,
    mqtt_url: str,
    clock_spec: str,
    workdir: Path,
    cameras: bool = True,
    elsewhere: Sequence[str] = (),
) -> int:
    """The traffic process, until SIGTERM; other sources stand in for the cameras `elsewhere`."""
    site, scenario, clock = _begin(site_folder, scenario_file, clock_spec, workdir)
    site = _without(site, elsewhere)
    return asyncio.run(_traffic(site, scenario, mqtt_url, clock, workdir, cameras))


def _begin(
    site_folder: Path, scenario_file: Path, clock_spec: str, workdir: Path
) -> tuple[Site, Scenario, Clock]:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # says so of every client's mistake
    workdir.mkdir(parents=True, exist_ok=True)
    site = load_site(site_folder)
    return site, load_scenario(scenario_file, site), clock_of(clock_spec)


def _without(site: Site, cameras: Sequence[str]) -> Site:
    """The site without some of its cameras."""
    left = tuple(camera for camera in site.cameras if camera.id not in cameras)
    return msgspec.structs.replace(site, cameras=left)


def _from_now(scenario: Scenario, now_ns: int) -> Scenario:
    """For a model that begins at the scenario's start: a process may begin (again) at any time."""
    return msgspec.structs.replace(scenario, start=datetime.fromtimestamp(now_ns / NS, UTC))


def _stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT; what does not end in good time after them is ended."""
    stop = asyncio.Event()

    def end() -> None:
        stop.set()
        signal.alarm(END_S_MAX)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    return stop


async def _water(
    site_folder: Path,
    site: Site,
    scenario: Scenario,
    mqtt_url: str,
    clock: Clock,
    workdir: Path,
    plc_addresses: Mapping[str, Address],
) -> int:
    from sims.drainage import Drainage  # SWMM is loaded in the one process that needs it
    from sims.waterside import Waterside

    stop = _stop_on_signals()
    now_ns = clock.now_ns()
    drainage = Drainage(site, site_folder / "truth", _from_now(scenario, now_ns), workdir)
    waterside = Waterside(site, scenario, drainage, now_ns, clock.speed)
    streets = StreetWaterWriter(workdir / WATER_FILE, site)
    ports = _Ports(site, waterside.programs, plc_addresses)
    uplink = Uplink(mqtt_url, f"field-water-{site.id}", (), lambda topic, payload: None)
    sending = asyncio.create_task(uplink.run())
    pace = Pace("water", clock, SCAN_S, stop)
    say("water", "started", at_ns=now_ns)
    while await pace.turn(drainage.at_ns):
        now_ns = clock.now_ns()
        drainage.step_to(now_ns)
        _put_all(uplink, waterside.tick(now_ns))
        streets.write(drainage.at_ns, waterside.rain_mm_h, waterside.depths_m())
        await ports.set_lines(waterside.lines)
        _fail_loudly(sending)
    sending.cancel()
    await ports.close()
    drainage.close()
    say("water", "ended", published=uplink.published, dropped=uplink.dropped)
    return 0


async def _traffic(
    site: Site, scenario: Scenario, mqtt_url: str, clock: Clock, workdir: Path, cameras: bool
) -> int:
    from sims.cameras import CameraRenderer
    from sims.roadside import Roadside
    from sims.shutters import Moment, Shutters
    from sims.traffic import Traffic

    stop = _stop_on_signals()
    now_ns = clock.now_ns()
    traffic = Traffic(site, _from_now(scenario, now_ns), workdir)
    roadside = Roadside(site, scenario, traffic, now_ns, clock.speed)
    renderer = CameraRenderer(site, traffic.network)
    shutters = Shutters(site, scenario, renderer, now_ns, clock.speed) if cameras else None
    streets = StreetWaterReader(workdir / WATER_FILE, site)
    uplink = Uplink(
        mqtt_url,
        f"field-traffic-{site.id}",
        HEARD_BY_CABINETS,
        lambda topic, payload: _put_all(uplink, roadside.hear(topic, payload, clock.now_ns())),
    )
    sending = asyncio.create_task(uplink.run())
    preparing = asyncio.create_task(_prepare(shutters))
    pace = Pace("traffic", clock, TURN_S, stop)
    say("traffic", "started", at_ns=now_ns)
    while await pace.turn(traffic.at_ns):
        now_ns = clock.now_ns()
        water = streets.read()
        clear = uplink.connected and uplink.waiting < WAITING_MAX  # of what earlier turns have said
        _put_all(uplink, roadside.tick(now_ns, water))
        if shutters is not None and clear:
            moment = Moment(
                traffic.vehicles(),
                traffic.aspects(),
                {} if water is None else roadside.depths_m(water),
                0.0 if water is None else water.rain_mm_h,
                roadside.lamps(),
            )
            behind = (now_ns - traffic.at_ns) / NS > BEHIND_S_MAX * clock.speed
            pictures_max = PICTURES_BEHIND_MAX if behind else PICTURES_MAX
            for frame in shutters.tick(now_ns, moment, roadside.camera_faults, pictures_max):
                uplink.put(frame)
                await asyncio.sleep(0)  # a command must not wait for all the pictures
        _fail_loudly(sending)
        _fail_loudly(preparing)
    preparing.cancel()
    sending.cancel()
    traffic.close()
    say(
        "traffic",
        "ended",
        published=uplink.published,
        dropped=uplink.dropped,
        missed=0 if shutters is None else shutters.missed,
        steps=traffic.steps,
        turned_away=traffic.turned_away,
        on_the_road_veh_s=round(traffic.on_the_road_veh_s),
        delay_veh_s=round(traffic.delay_veh_s),
        delay_person_s=round(traffic.delay_person_s),
    )
    return 0


def _put_all(uplink: Uplink, messages: Iterable[Message]) -> None:
    for message in messages:
        uplink.put(message)


async def _prepare(shutters: Shutters | None) -> None:
    """Build the cameras' views in a thread, while the signals go on."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    while shutters is not None and await asyncio.to_thread(shutters.prepare_next):
        pass
    sys.setswitchinterval(usual_s)


def _fail_loudly(task: asyncio.Task[None]) -> None:
    """Raise what ended a task, if anything did."""
    if task.done():
        task.result()


class _Ports:
    """The Modbus ports of the water process."""

    def __init__(
        self, site: Site, programs: Mapping[str, PlcProgram], addresses: Mapping[str, Address]
    ) -> None:
        self._servers = {
            plc.id: PlcServer(
                programs[plc.id].image,
                plc.unit,
                *addresses.get(plc.id, (plc.host, plc.port)),
            )
            for plc in site.plcs
        }
        self._refused: set[str] = set()

    async def set_lines(self, lines: Mapping[str, Line]) -> None:
        """Open, silence or close the ports; one that cannot be had is tried again."""
        for id_, line in lines.items():
            server = self._servers[id_]
            if server.line is line:
                continue
            try:
                await server.set_line(line)
                self._refused.discard(id_)
            except RuntimeError as error:
                if id_ not in self._refused:
                    self._refused.add(id_)
                    say("water", "no port", plc=id_, why=str(error))

    async def close(self) -> None:
        for server in self._servers.values():
            await server.close()
