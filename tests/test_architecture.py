"""The source tree: its layers, that what decides does no I/O, and the hazards of bare names."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "causeway",
    "ingest",
    "detectors",
    "control",
    "scada",
    "dashboard",
    "sims",
    "benchmarks",
)
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {c["name"]: c for c in SETTINGS["tool"]["importlinter"]["contracts"]}
PURE_SPINE = ("causeway.events", "causeway.site", "causeway.streams", "causeway.wire")

# Reads the disk, the clock, the environment or chance. The site's reader may read its files.
IMPURE_NAMES = frozenset({"open", "input", "print", "exec", "eval", "globals", "__import__"})
IMPURE_CALLS = frozenset(
    {
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "os.getenv",
        "os.urandom",
        "uuid.uuid1",
        "uuid.uuid4",
        "secrets.token_hex",
        "np.random.rand",
        "np.random.seed",
        "random.random",
    }
)
IMPURE_METHODS = frozenset({"read_text", "write_text", "read_bytes", "write_bytes"})


def files_of(module: str) -> list[Path]:
    """The source files of a module or package."""
    path = ROOT / module.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def deciding_files() -> list[Path]:
    deciding = CONTRACTS["what decides does no I/O"]["source_modules"]
    return [file for module in deciding for file in files_of(module)]


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def impurities(tree: ast.AST) -> Iterator[str]:
    """What in a deciding file touches the world, by line."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        last_two = ".".join(name.split(".")[-2:])
        unseeded = name.endswith(("default_rng", "RandomState", "Random")) and not node.args
        if (
            name in IMPURE_NAMES
            or last_two in IMPURE_CALLS
            or name.split(".")[-1] in IMPURE_METHODS
            or unseeded
        ):
            yield f"line {node.lineno}: {name}()"


def set_iterations(tree: ast.AST) -> Iterator[str]:
    """Loops over a set: their order depends on the hash seed."""
    for node in ast.walk(tree):
        loops = [node.iter] if isinstance(node, ast.For | ast.comprehension) else []
        for iterated in loops:
            is_set = isinstance(iterated, ast.Set | ast.SetComp) or (
                isinstance(iterated, ast.Call) and dotted(iterated.func) in ("set", "frozenset")
            )
            if is_set:
                yield f"line {iterated.lineno}: a loop over a set"


def test_the_layers_hold() -> None:
    linter = Path(sysconfig.get_path("scripts")) / "lint-imports"
    found = subprocess.run(
        [str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Contracts: 2 kept, 0 broken." in found.stdout


def test_every_package_is_under_the_layers() -> None:
    layers = " | ".join(CONTRACTS["six siblings on one spine"]["layers"])
    named = {part.strip().split(".")[0] for part in layers.split("|")}
    assert named == set(PACKAGES) == set(SETTINGS["tool"]["importlinter"]["root_packages"])
    for contract in CONTRACTS.values():
        assert "ignore_imports" not in contract


def test_every_module_of_the_spine_has_a_layer() -> None:
    layers = CONTRACTS["six siblings on one spine"]["layers"]
    named = {part.strip() for layer in layers for part in layer.split("|")}
    modules = {
        f"causeway.{path.stem}"
        for path in (ROOT / "causeway").iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }
    assert modules - named == set()


@pytest.mark.parametrize("file", deciding_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_what_decides_touches_nothing(file: Path) -> None:
    tree = ast.parse(file.read_text())
    assert [*impurities(tree), *set_iterations(tree)] == []


@pytest.mark.parametrize("module", [m for m in PURE_SPINE if m != "causeway.site"])
def test_the_pure_part_of_the_spine_touches_nothing(module: str) -> None:
    for file in files_of(module):
        assert list(impurities(ast.parse(file.read_text()))) == []


def test_the_test_above_sees_what_it_is_to_see() -> None:
    spoilt = ast.parse(
        "open('x')\ndatetime.now()\ndt.datetime.now(UTC)\nnp.random.default_rng()\n"
        "Path('x').read_text()\nrandom.Random()\nfor x in {1, 2}: pass\n[y for y in set(z)]\n"
    )
    assert len(list(impurities(spoilt))) == 6
    assert len(list(set_iterations(spoilt))) == 2
    sound = ast.parse("np.random.default_rng(7)\nfor x in sorted({1, 2}): pass\nnow.at_ns\n")
    assert [*impurities(sound), *set_iterations(sound)] == []


def process_starts(tree: ast.AST) -> Iterator[str]:
    """Ways to start a process, but for `subprocess.run` of a tool that has a time limit."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            if "multiprocessing" in names or names[0] == "subprocess":
                yield f"line {node.lineno}: import of {names}"
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            limited = name == "subprocess.run" and any(k.arg == "timeout" for k in node.keywords)
            starts = name.startswith(("subprocess.", "os.fork", "os.exec", "os.spawn", "os.system"))
            if (starts and not limited) or name.startswith("asyncio.create_subprocess"):
                yield f"line {node.lineno}: {name}()"


def test_only_one_file_starts_processes_that_stay() -> None:
    starts = {
        str(file.relative_to(ROOT)): found
        for file in sources()
        if (found := list(process_starts(ast.parse(file.read_text()))))
    }
    assert list(starts) == ["causeway/children.py"], starts


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_the_one_of_this_checkout(package: str) -> None:
    """Another distribution may bring one of that name: python-control brings `control`."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin) == ROOT / package / "__init__.py"


def test_tests_are_no_packages_and_are_imported_by_path() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
    assert "--import-mode=importlib" in SETTINGS["tool"]["pytest"]["ini_options"]["addopts"]


def test_nothing_is_run_as_a_script() -> None:
    """A file run as a script would have its own folder first on the path, and bare names in it."""
    scripts = [
        str(file.relative_to(ROOT))
        for file in sources()
        if file.read_text().startswith("#!") or "__name__ ==" in file.read_text()
    ]
    assert scripts == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file in sources()
        if not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert silent == []


def test_the_packages_need_no_name_to_avoid() -> None:
    avoided = {"util", "utils", "helper", "helpers", "common", "base", "misc", "manager"}
    assert [str(f) for f in sources() if {f.stem, f.parent.name} & avoided] == []


def test_the_oldest_python_is_the_one_that_is_tested() -> None:
    assert SETTINGS["project"]["requires-python"] == ">=3.11"
    assert sys.version_info >= (3, 11)
