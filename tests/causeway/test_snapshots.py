"""Snapshots on disk: whole or skipped, newest first."""

from __future__ import annotations

from pathlib import Path

import pytest

from causeway.journal import Snapshot, snapshots, write_snapshot

STATES = {"pumps": b"\x80", "tide": b"\x81\xa1a\x01"}


def write(folder: Path, step: int) -> Snapshot:
    return write_snapshot(folder, step, step * 10, "1", "site", STATES)


def test_a_snapshot_comes_back_as_it_went(tmp_path: Path) -> None:
    written = write(tmp_path, 7)
    assert written == Snapshot(7, 70, "1", "site", STATES)
    assert snapshots(tmp_path).snapshots == (written,)


def test_the_newest_comes_first_and_the_oldest_go(tmp_path: Path) -> None:
    for step in (9, 10, 100, 1_000, 2, 300, 50):
        write(tmp_path, step)
    assert [s.step for s in snapshots(tmp_path).snapshots] == [1_000, 300, 100, 50, 10, 9]


def test_a_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert snapshots(tmp_path / "none") == ((), ())


def test_nothing_but_snapshots_is_left_in_the_folder(tmp_path: Path) -> None:
    write(tmp_path, 7)
    write(tmp_path, 7)
    assert [path.suffix for path in tmp_path.iterdir()] == [".snapshot"]


@pytest.mark.parametrize("at", [0, 25, 60, -1])
def test_a_snapshot_with_a_byte_changed_is_skipped_and_named(tmp_path: Path, at: int) -> None:
    older = write(tmp_path, 1)
    write(tmp_path, 2)
    newest = max(tmp_path.iterdir())
    data = bytearray(newest.read_bytes())
    data[at] ^= 1
    newest.write_bytes(data)
    found = snapshots(tmp_path)
    assert found.snapshots == (older,)
    assert [fault.path for fault in found.skipped] == [newest]


@pytest.mark.parametrize("length", [0, 10, 30, 60])
def test_a_snapshot_that_was_cut_off_is_skipped(tmp_path: Path, length: int) -> None:
    older = write(tmp_path, 1)
    write(tmp_path, 2)
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:length])
    found = snapshots(tmp_path)
    assert found.snapshots == (older,)
    assert len(found.skipped) == 1
