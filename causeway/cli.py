"""The `causeway` command: reads arguments, starts what they name, prints what came of it.

Exit codes: 0 good, 1 the thing checked does not hold, 2 unusable arguments or configuration.
`--json` prints one JSON object as the last line of stdout; all else that is said goes to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from causeway.clock import WallClock, clock_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    from causeway.app import Address
    from causeway.centre import Summary
    from causeway.site import LonLat

ROOT = Path(__file__).parent.parent
CITIES = ROOT / "sims" / "cities"
SCENARIOS = ROOT / "sims" / "scenarios"
DEMO_DATA = Path("var") / "demo"
DEMO_RUNS_KEPT = 3
BENCHMARKS = ("store", "replay", "modbus", "wall", "detectors", "ingest", "safety", "overland")


class Unusable(Exception):
    """Arguments that nothing can be started with."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # its links say what fails
    try:
        code: int = options.run(options)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        faults = list(_leaves(error))
        if not all(isinstance(fault, _mendable()) for fault in faults):
            raise
        for fault in faults:
            _say(f"causeway: {fault}")
        return 2
    return code


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _mendable() -> tuple[type[Exception], ...]:
    """What the user can mend: said in a line, without a traceback."""
    from causeway.app import OptionInvalid
    from causeway.children import ChildUnstartable
    from causeway.journal import JournalError
    from causeway.servers import ServerUnusable
    from causeway.site import SiteInvalid
    from control.inundation.network_files import ImportRefused
    from ingest.mqtt import BrokerUrlInvalid
    from sims.scenario import ScenarioInvalid

    return (
        Unusable,
        OptionInvalid,
        SiteInvalid,
        ImportRefused,
        ScenarioInvalid,
        ServerUnusable,
        ChildUnstartable,
        JournalError,
        BrokerUrlInvalid,
        OSError,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- what the commands do ----------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    from causeway import app

    summary = asyncio.run(
        app.demo(
            app.DemoOptions(
                site_folder=_city(options.city),
                scenario_file=_scenario(options.scenario),
                data=(options.data or _new_run(DEMO_DATA)).resolve(),
                host=options.host,
                port=0 if options.headless else options.port,
                hosts=_wall_names(options),
                plans_signals=options.signals == "planner",
                forecasts=options.forecast,
                headless=options.headless,
                speed=options.speed,
                seconds=options.seconds,
                cameras=dict(_pair(text, "CAMERA=FILE") for text in options.video),
            ),
            _say,
        )
    )
    return _print_summary(summary, options.json)


def _up(options: argparse.Namespace) -> int:
    from causeway import app

    summary = asyncio.run(
        app.up(
            app.UpOptions(
                site_folder=options.site,
                data=(options.data or Path("var") / "centre").resolve(),
                host=options.host,
                port=options.port,
                hosts=_wall_names(options),
                plans_signals=options.signals == "planner",
                forecasts=options.forecast,
                counts=options.json,
                mark=options.mark,
                clock=clock_of(options.clock),
                seconds=options.seconds,
                plcs=_addresses(options.plc),
                mqtt_url=options.mqtt,
                nats_url=options.nats,
                dsn=options.database,
            ),
            _say,
        )
    )
    return _print_summary(summary, options.json)


def _field(options: argparse.Namespace) -> int:
    from causeway import app
    from causeway.clock import ScaledClock
    from sims.scenario import load_scenario

    scenario_file = _scenario(options.scenario)
    origin_ns = load_scenario(scenario_file).start_ns
    scaled = ScaledClock(origin_ns, WallClock().now_ns(), options.speed)
    mqtt_url = options.mqtt or os.environ.get(app.MQTT_URL)
    if mqtt_url is None:
        raise Unusable(f"no broker: expected --mqtt URL or {app.MQTT_URL}")
    asked = app.FieldOptions(
        site_folder=_city(options.city),
        scenario_file=scenario_file,
        data=options.data.resolve(),
        clock=clock_of(options.clock) if options.clock else scaled,
        mqtt_url=mqtt_url,
        plcs=_addresses(options.plc),
        cameras=not options.no_cameras,
        elsewhere=tuple(options.elsewhere),
    )
    asyncio.run(app.field(asked, _say))
    return 0


def _replay(options: argparse.Namespace) -> int:
    from causeway.app import replay

    found = asyncio.run(replay(options.recording, options.site or _city("saigon"), options.check))
    _say(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    if options.json:
        print(msgspec.json.encode(found).decode())
    if options.check and not found.compared:
        _say(f"causeway: no step of this version, {found.version}: nothing was compared")
    return 1 if options.check and not found.identical else 0


def _bench(options: argparse.Namespace) -> int:
    from importlib import import_module

    unknown = [what for what in options.what if what not in BENCHMARKS]
    if unknown:
        raise Unusable(f"no benchmark {unknown[0]!r}; expected some of {', '.join(BENCHMARKS)}")
    measured = {}
    for what in options.what or BENCHMARKS:
        _say(f"{what} ...")
        measured[what] = getattr(import_module(f"benchmarks.{what}"), f"{what}_bench")()
        _say(json.dumps(measured[what], indent=2))
    if options.json:
        print(json.dumps(measured))
    return 0


def _eval_signals(options: argparse.Namespace) -> int:
    return _eval(
        options,
        "benchmarks.signals.evaluation",
        folders=tuple(options.folders),
        seeds=options.seeds,
        seconds=options.seconds,
        dead=options.dead,
        lying=options.lying,
        priority=options.priority,
        **_compared(options),
    )


def _eval_drainage(options: argparse.Namespace) -> int:
    return _eval(
        options,
        "benchmarks.drainage.evaluation",
        names=tuple(dict.fromkeys(options.names)),
        perturb=options.perturb,
        runs=options.runs,
        seed=options.seed,
        **_compared(options),
    )


def _eval_overland(options: argparse.Namespace) -> int:
    return _eval(
        options, "benchmarks.inundation.evaluation", cases=tuple(options.cases), data=options.data
    )


def _eval_detectors(options: argparse.Namespace) -> int:
    return _eval(
        options,
        "benchmarks.incidents.evaluation",
        videos=tuple(options.videos),
        truth=options.truth,
        roads=options.roads,
        model=options.model,
        annotate=options.annotate,
        report=options.report,
        fps=options.fps,
        synthetic=options.synthetic,
    )


def _eval_forecast(options: argparse.Namespace) -> int:
    return _eval(
        options,
        "benchmarks.forecast.evaluation",
        city=_city(options.city),
        seeds=options.seeds,
        open_loop=options.open_loop,
        jobs=options.jobs,
        out=options.out,
    )


def _eval_tide(options: argparse.Namespace) -> int:
    return _eval(
        options,
        "benchmarks.tide.evaluation",
        files=tuple(dict.fromkeys(options.files)),
        lat_deg=options.lat,
        out=options.out,
    )


def _fit_tide(options: argparse.Namespace) -> int:
    from importlib import import_module

    fitting = import_module("benchmarks.tide.fitting")
    asked = fitting.FitOptions(
        record=options.record,
        gauge=options.gauge,
        lat_deg=options.lat,
        datum=options.datum,
        offset_m=options.offset_m,
        trend=options.trend,
        out=options.out,
    )
    fitting.fit(asked, _say)
    return 0


def _simulate_tide(options: argparse.Namespace) -> int:
    from importlib import import_module

    fitting = import_module("benchmarks.tide.fitting")
    asked = fitting.SimulateOptions(options.out, options.first, options.days, options.seed)
    fitting.simulate(asked, _say)
    return 0


def _import_swmm(options: argparse.Namespace) -> int:
    from control.inundation.network_files import ImportOptions, import_network

    if (options.crs is None) == (options.at is None):
        raise Unusable("expected --crs EPSG:CODE (VN-2000 / TM-3 105-45: 9210), or --at LON,LAT")
    if options.datum != "hon_dau" and options.offset_m is None:
        raise Unusable(f"--datum {options.datum}: expected --offset-m X, metres up to Hòn Dấu")
    asked = ImportOptions(
        file=options.file,
        site=options.site,
        crs=options.crs,
        at=options.at,
        offset_m=options.offset_m or 0.0,
        timezone=options.timezone,
    )
    import_network(asked, _say)
    return 0


def _compared(options: argparse.Namespace) -> dict[str, object]:
    """What all that compare controllers are asked."""
    asked: dict[str, object] = {"jobs": options.jobs, "out": options.out}
    return asked | {"controllers": options.controllers} if options.controllers else asked


def _eval(options: argparse.Namespace, module: str, **asked: object) -> int:
    """`evaluate` of the module with its Options; what it found is the last line with --json."""
    from importlib import import_module

    evaluation = import_module(module)
    found = evaluation.evaluate(evaluation.Options(**asked), _say)
    if options.json:
        print(msgspec.json.encode(found).decode())
    return 0


def _eval_run(module: str) -> Callable[[argparse.Namespace], int]:
    """The process of one run."""
    from importlib import import_module

    return lambda options: int(import_module(module).run_main())


def _field_water(options: argparse.Namespace) -> int:
    from sims.field import water_main

    return water_main(*_field_process(options), _addresses(options.plc))


def _field_traffic(options: argparse.Namespace) -> int:
    from sims.field import traffic_main

    cameras = not options.no_cameras
    return traffic_main(*_field_process(options), cameras, options.elsewhere)


def _field_process(options: argparse.Namespace) -> tuple[Path, Path, str, str, Path]:
    from causeway.app import MQTT_URL

    return options.site, options.scenario, os.environ[MQTT_URL], options.clock, options.work


def _vision(options: argparse.Namespace) -> int:
    from detectors.worker import worker_main

    worker_main(options.site, options.clock)
    return 0


def _signal_planner(options: argparse.Namespace) -> int:
    from control.signals.worker import worker_main

    worker_main(options.site, options.clock)
    return 0


def _forecast(options: argparse.Namespace) -> int:
    from control.inundation.worker import worker_main

    worker_main(options.site, options.clock)
    return 0


def _survey(options: argparse.Namespace) -> int:
    from causeway.site import load_site
    from sims.survey import survey_model
    from sims.watershed import load_watershed

    folder = _city(options.city)
    site = load_site(folder)
    print(survey_model(site, load_watershed(folder / "truth", site)), end="")
    return 0


def _decode(options: argparse.Namespace) -> int:
    from ingest.decoder import decode_main
    from ingest.video import SOURCE

    return decode_main(options.camera, os.environ[SOURCE], options.fps, options.clock)


# --- what the arguments mean -------------------------------------------------------------------


def _city(name: str) -> Path:
    return _one_of(CITIES, name, "city", "")


def _scenario(name: str) -> Path:
    return _one_of(SCENARIOS, name, "scenario", ".toml")


def _one_of(folder: Path, name: str, what: str, ending: str) -> Path:
    """A thing by its name in a folder of the program's, or by a path of the user's own."""
    own = Path(name)
    if (own.is_dir() and not ending) or (own.is_file() and own.suffix == ending != ""):
        return own.resolve()
    path = folder / f"{name}{ending}"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.iterdir() if not p.name.startswith("_")))
        raise Unusable(f"no {what} {name!r}; expected one of {known}, or a path")
    return path


def _new_run(folder: Path) -> Path:
    """A fresh folder for a run; of the earlier ones the newest are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = sorted((p for p in folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    for old in runs[: max(0, len(runs) - DEMO_RUNS_KEPT + 1)]:
        shutil.rmtree(old, ignore_errors=True)
    path = folder / str(int(runs[-1].name) + 1 if runs else 1)
    path.mkdir()
    return path


def _wall_names(options: argparse.Namespace) -> tuple[str, ...]:
    """The names that a browser may ask the wall under: another page's must not lead here."""
    if options.host in ("0.0.0.0", "::") and not options.wall_name:
        raise Unusable(f"--host {options.host} needs --wall-name: the name that browsers ask for")
    return tuple(options.wall_name or [options.host])


def _pair(text: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise Unusable(f"seen {text!r}, expected {form}")
    return name, value


def _addresses(texts: Sequence[str]) -> dict[str, Address]:
    addresses = {}
    for text in texts:
        plc, address = _pair(text, "PLC=HOST:PORT")
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise Unusable(f"seen {text!r}, expected PLC=HOST:PORT")
        addresses[plc] = (host, int(port))
    return addresses


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"seen {text}, expected a number above 0")
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"seen {text}, expected a whole number above 0")
    return value


def _seeds(text: str) -> tuple[int, ...]:
    seeds = tuple(int(part) for part in text.split(","))
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise argparse.ArgumentTypeError(f"seen {text}, expected different numbers: 1,2,3")
    return seeds


def _place(text: str) -> LonLat:
    from causeway.site import LonLat

    lon, lat = (float(part) for part in text.split(","))
    if not (abs(lon) <= 180 and abs(lat) <= 90):
        raise argparse.ArgumentTypeError(f"seen {text}, expected LON,LAT in degrees")
    return LonLat(lon, lat)


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _print_summary(summary: Summary, as_json: bool) -> int:
    _say(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode())
    if as_json:
        print(msgspec.json.encode(summary).decode(), flush=True)
    return 1 if summary.lost > 0 else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="causeway", description="The control room of a city that floods."
    )
    parser.add_argument("--verbose", action="store_true", help="say more on stderr")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_up(commands)
    _add_field(commands)

    replay = commands.add_parser("replay", help="what a recording holds; --check compares a replay")
    replay.set_defaults(run=_replay)
    what = "a data folder, a folder of sealed segments, or one segment"
    replay.add_argument("recording", type=Path, help=what)
    replay.add_argument("--site", type=Path, help="the site's folder (default: the demo's city)")
    what = "replay every step, compare byte for byte, exit 1 on a difference"
    replay.add_argument("--check", action="store_true", help=what)
    replay.add_argument("--json", action="store_true")

    bench = commands.add_parser("bench", help="speeds and sizes, each beside its baseline")
    bench.set_defaults(run=_bench)
    bench.add_argument("what", nargs="*", help=f"some of {', '.join(BENCHMARKS)} (default: all)")
    bench.add_argument("--json", action="store_true")

    what = "a simulated city's drainage as its engineers would model it, a SWMM project"
    survey = commands.add_parser("survey", help=what)
    survey.set_defaults(run=_survey)
    survey.add_argument("city", help="a city of sims/cities, or a folder")

    _add_eval(commands)
    _add_fit(commands)
    _add_import(commands)
    _add_children(commands)
    return parser


def _add_eval(commands: Commands) -> None:
    evaluate = commands.add_parser("eval", help="how good it is on public benchmarks")
    kinds = evaluate.add_subparsers(required=True, metavar="WHAT")
    signals = kinds.add_parser("signals", help="signal control on SUMO scenarios or a site")
    signals.set_defaults(run=_eval_signals)
    what = "a folder with a .sumocfg, or with a net and its routes; or a site, by name or folder"
    signals.add_argument("folders", nargs="+", type=Path, metavar="DIR", help=what)
    signals.add_argument("--seeds", type=_seeds, default=(1, 2, 3), help="1,2,3 (default)")
    what = "some of causeway, fixed, actuated, delay_based, maxwave, maxpressure, maxwave_1s, "
    what += "maxpressure_1s (default: all)"
    signals.add_argument("--controllers", type=_list, default=(), metavar="A,B", help=what)
    what = "simulated from the scenario's begin (default: to its end; without one 3600)"
    signals.add_argument("--seconds", type=_whole, metavar="N", help=what)
    what = "share of the lanes whose detector shows nothing"
    signals.add_argument("--dead", type=float, default=0.0, metavar="SHARE", help=what)
    what = "share of the lanes whose detector shows ghosts, or only half of the vehicles"
    signals.add_argument("--lying", type=float, default=0.0, metavar="SHARE", help=what)
    what = "share of vehicles that ask for priority (0 to 1); causeway also runs deaf to them"
    signals.add_argument("--priority", type=float, default=0.0, metavar="SHARE", help=what)
    _add_outputs(signals, "simulations")
    _add_eval_detectors(kinds)
    _add_eval_water(kinds)


def _add_eval_detectors(kinds: Commands) -> None:
    detectors = kinds.add_parser("detectors", help="camera detection on videos and pictures")
    detectors.set_defaults(run=_eval_detectors)
    detectors.add_argument("videos", nargs="+", type=Path, metavar="VIDEO|PICTURE|FOLDER")
    what = "what they show (default: truth.json, visibility.csv beside them, where there is one)"
    detectors.add_argument("--truth", type=Path, metavar="FILE", help=what)
    what = "a TOML file with the roads in single pictures, without which no water is told in them"
    detectors.add_argument("--roads", type=Path, metavar="FILE", help=what)
    what = "an ONNX file of a YOLOX network (default: objects by their movement alone)"
    detectors.add_argument("--model", type=Path, metavar="FILE", help=what)
    what = "write the video with all that was seen drawn into it"
    detectors.add_argument("--annotate", type=Path, metavar="OUT.mp4", help=what)
    what = "write a page with a picture of each hit and alarm"
    detectors.add_argument("--report", type=Path, metavar="OUT.html", help=what)
    what = "make faults on the clips as well, and play them backwards; stated apart"
    detectors.add_argument("--synthetic", action="store_true", help=what)
    what = "at most so many pictures a second (default: 10)"
    detectors.add_argument("--fps", type=_positive, default=10.0, metavar="N", help=what)
    detectors.add_argument("--json", action="store_true")


def _add_eval_water(kinds: Commands) -> None:
    drainage = kinds.add_parser("drainage", help="pump and gate control on SWMM networks")
    drainage.set_defaults(run=_eval_drainage)
    what = "theta, alpha, beta, gamma, delta, epsilon, zeta of pystorms, or a SWMM project (.inp)"
    drainage.add_argument("names", nargs="+", metavar="NAME|FILE", help=what)
    what = "some of causeway, uncontrolled, rules, equal_filling (default: all)"
    drainage.add_argument("--controllers", type=_list, default=(), metavar="A,B", help=what)
    what = "also on N storms that differ from the model: rain, a dead sensor, a stuck gate"
    drainage.add_argument("--perturb", type=int, default=0, metavar="N", help=what)
    what = "runs of SWMM that a search may take, fewer on great networks (default: 400)"
    drainage.add_argument("--runs", type=_whole, default=400, metavar="N", help=what)
    drainage.add_argument("--seed", type=int, default=1, help="draws those storms (default: 1)")
    _add_outputs(drainage, "simulations")

    forecast = kinds.add_parser("forecast", help="the flood forecast on storms in a simulated city")
    forecast.set_defaults(run=_eval_forecast)
    what = "a city of sims/cities, or a folder (default: saigon)"
    forecast.add_argument("city", nargs="?", default="saigon", metavar="CITY", help=what)
    what = "a storm each: 3, 6, ... a tide, 1, 4, ... rain, 2, 5, ... both (default: 1 to 20)"
    seeds = tuple(range(1, 21))
    forecast.add_argument("--seeds", type=_seeds, default=seeds, metavar="1,2,3", help=what)
    what = "forecast without assimilation, too, to compare (twice the time)"
    forecast.add_argument("--open-loop", action="store_true", help=what)
    _add_outputs(forecast, "storms")

    overland = kinds.add_parser("overland", help="the UK Environment Agency's 2D flood tests")
    overland.set_defaults(run=_eval_overland)
    what = "2, 4 (both by default) or 8A, which needs --data"
    overland.add_argument("cases", nargs="*", default=("2", "4"), metavar="TEST", help=what)
    what = "the folder of 8A's data set, with any LISFLOOD-FP .stage file to compare with"
    overland.add_argument("--data", type=Path, metavar="FOLDER", help=what)
    overland.add_argument("--json", action="store_true")

    tide = kinds.add_parser("tide", help="level forecasts at tide gauges, on their records")
    tide.set_defaults(run=_eval_tide)
    what = "CSV (time,level in metres), a DONAR export, or days since 1700 and millimetres"
    tide.add_argument("files", nargs="+", type=Path, metavar="FILE", help=what)
    what = "the gauges' latitude (default: 45)"
    tide.add_argument("--lat", type=float, default=45.0, metavar="DEG", help=what)
    _add_outputs(tide)


def _add_outputs(parser: argparse.ArgumentParser, runs: str = "") -> None:
    """Where an evaluation's results go, and how many of its `runs` there may be at once."""
    if runs:
        what = f"{runs} at once (default: one a core)"
        parser.add_argument("--jobs", type=_whole, metavar="N", help=what)
    what = "a folder for the table, the numbers and the plot (PNG and SVG)"
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=what)
    parser.add_argument("--json", action="store_true")


def _add_fit(commands: Commands) -> None:
    kinds = commands.add_parser("fit", help="models of a site from its records")
    tide = kinds.add_subparsers(required=True, metavar="WHAT").add_parser(
        "tide", help="a gauge's tide and surge, as a site's tide.toml holds them"
    )
    tide.set_defaults(run=_fit_tide)
    tide.add_argument("record", type=Path, metavar="RECORD", help="as `causeway eval tide` reads")
    tide.add_argument("--gauge", required=True, metavar="ID", help="the site's gauge")
    tide.add_argument("--lat", type=float, required=True, metavar="DEG", help="its latitude")
    what = "the plane the levels are above: hon_dau, or mui_nai with --offset-m"
    tide.add_argument("--datum", required=True, help=what)
    what = "metres to add to come from that plane to Hòn Dấu"
    tide.add_argument("--offset-m", type=float, metavar="X", help=what)
    what = "a yearly rise too: for records of several years"
    tide.add_argument("--trend", action="store_true", help=what)
    tide.add_argument("--out", type=Path, metavar="FILE", help="(default: stdout)")

    kinds = commands.add_parser("simulate", help="records of the simulated city")
    record = kinds.add_subparsers(required=True, metavar="WHAT").add_parser(
        "tide", help="what its tide gauge would have recorded, as CSV"
    )
    record.set_defaults(run=_simulate_tide)
    record.add_argument("out", type=Path, metavar="FILE")
    record.add_argument("--from", dest="first", default="2024-09-01", metavar="DAY")
    record.add_argument("--days", type=_whole, default=366, metavar="N")
    record.add_argument("--seed", type=int, default=1, help="of surge and noise (default: 1)")


def _add_demo(commands: Commands) -> None:
    demo = commands.add_parser("demo", help="the centre and the simulated city, all embedded")
    demo.set_defaults(run=_demo)
    demo.add_argument("--city", default="saigon", help="a city of sims/cities, or a folder")
    what = "a scenario of sims/scenarios, or a file"
    demo.add_argument("--scenario", default="king_tide_cloudburst", help=what)
    demo.add_argument("--speed", type=_positive, default=1.0, help="times real time")
    what = "no wall for people: it listens on a free port"
    demo.add_argument("--headless", action="store_true", help=what)
    what = "a video file or an rtsp:// address as a camera"
    demo.add_argument("--video", action="append", default=[], metavar="CAMERA=FILE", help=what)
    _add_centre_arguments(demo)


def _add_up(commands: Commands) -> None:
    up = commands.add_parser("up", help="the centre on configured servers")
    up.set_defaults(run=_up)
    up.add_argument("--site", type=Path, required=True, help="the site's folder")
    for name, what in (("mqtt", "broker"), ("nats", "JetStream"), ("database", "PostgreSQL")):
        variable = f"CAUSEWAY_{name.upper()}_URL"
        what = f"{what}, or {variable} (default: embedded)"
        up.add_argument(f"--{name}", default=os.environ.get(variable), metavar="URL", help=what)
    what = "another address for a PLC of the site"
    up.add_argument("--plc", action="append", default=[], metavar="PLC=HOST:PORT", help=what)
    up.add_argument("--mark", choices=("LIVE", "DEMO"), default="LIVE", help="shown on the wall")
    up.add_argument("--clock", default="wall", help=argparse.SUPPRESS)
    _add_centre_arguments(up)


def _add_field(commands: Commands) -> None:
    field = commands.add_parser("field", help="the simulated city alone, for a centre elsewhere")
    field.set_defaults(run=_field)
    field.add_argument("--city", default="saigon")
    field.add_argument("--scenario", default="king_tide_cloudburst")
    field.add_argument("--mqtt", metavar="URL", help="the broker, or CAUSEWAY_MQTT_URL")
    field.add_argument("--speed", type=_positive, default=1.0)
    field.add_argument("--data", type=Path, default=Path("var") / "field")
    field.add_argument("--plc", action="append", default=[], metavar="PLC=HOST:PORT")
    _add_picture_arguments(field)
    field.add_argument("--clock", help=argparse.SUPPRESS)


def _add_centre_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="the data folder; a run goes on from the last")
    parser.add_argument("--host", default="127.0.0.1", help="where the wall listens")
    what = "the name that browsers ask the wall under, where it is not --host"
    parser.add_argument("--wall-name", action="append", default=[], metavar="NAME", help=what)
    parser.add_argument("--port", type=int, default=8080, help="the wall's port (0: a free one)")
    what = "who times the signals: the adaptive planner, or the greedy rule alone"
    parser.add_argument("--signals", choices=("planner", "greedy"), default="planner", help=what)
    what = "do not forecast floods"
    parser.add_argument("--no-forecast", dest="forecast", action="store_false", help=what)
    what = "stop so many real seconds after the wall first answers"
    parser.add_argument("--for", dest="seconds", type=_positive, metavar="SECONDS", help=what)
    what = "a summary as the last line of stdout"
    parser.add_argument("--json", action="store_true", help=what)


def _add_picture_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-cameras", action="store_true", help="draw no pictures")
    what = "draw none of this camera, for which the centre has another source"
    parser.add_argument("--elsewhere", action="append", default=[], metavar="CAMERA", help=what)


def _add_import(commands: Commands) -> None:
    bring = commands.add_parser("import", help="what others have of the city, into a site")
    kinds = bring.add_subparsers(required=True, metavar="WHAT")
    swmm = kinds.add_parser("swmm", help="a drainage network, from a SWMM project")
    swmm.set_defaults(run=_import_swmm)
    swmm.add_argument("file", type=Path, metavar="FILE.inp")
    what = "the site's folder; made, with a site.toml, where there is none"
    swmm.add_argument("--site", type=Path, required=True, metavar="DIR", help=what)
    what = "what its coordinates are in: EPSG:9210 (VN-2000 / TM-3 105-45), EPSG:4326 (degrees)"
    swmm.add_argument("--crs", metavar="CODE", help=what)
    what = "they are in no grid: its middle is there, in metres (feet where [MAP] says so)"
    swmm.add_argument("--at", type=_place, metavar="LON,LAT", help=what)
    what = "what its levels are above; another than hon_dau needs --offset-m"
    swmm.add_argument("--datum", required=True, metavar="NAME", help=what)
    what = "metres to add to its levels, so that they are above Hòn Dấu"
    swmm.add_argument("--offset-m", type=float, metavar="X", help=what)
    what = "of a site that is made (default: Asia/Ho_Chi_Minh)"
    swmm.add_argument("--timezone", default="Asia/Ho_Chi_Minh", metavar="ZONE", help=what)


def _add_children(commands: Commands) -> None:
    """What Causeway starts by itself; not shown in the help."""
    water = commands.add_parser("field-water")
    water.set_defaults(run=_field_water)
    water.add_argument("--plc", action="append", default=[])
    traffic = commands.add_parser("field-traffic")
    traffic.set_defaults(run=_field_traffic)
    _add_picture_arguments(traffic)
    for process in (water, traffic):
        process.add_argument("--site", type=Path, required=True)
        process.add_argument("--scenario", type=Path, required=True)
        process.add_argument("--clock", required=True)
        process.add_argument("--work", type=Path, required=True)

    run = commands.add_parser("eval-signals-run")
    run.set_defaults(run=_eval_run("benchmarks.signals.evaluation"))

    run = commands.add_parser("eval-drainage-run")
    run.set_defaults(run=_eval_run("benchmarks.drainage.workers"))

    run = commands.add_parser("eval-forecast-run")
    run.set_defaults(run=_eval_run("benchmarks.forecast.evaluation"))

    watch = commands.add_parser("eval-detectors-run")
    watch.set_defaults(run=_eval_run("benchmarks.incidents.looking"))

    workers = (("vision", _vision), ("signal-planner", _signal_planner), ("forecast", _forecast))
    for name, run_it in workers:
        worker = commands.add_parser(name)
        worker.set_defaults(run=run_it)
        worker.add_argument("--site", type=Path, required=True)
        worker.add_argument("--clock", required=True)

    decode = commands.add_parser("decode")
    decode.set_defaults(run=_decode)
    decode.add_argument("camera")
    decode.add_argument("--fps", type=_positive, required=True)
    decode.add_argument("--clock", required=True)
