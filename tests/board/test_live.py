"""What happens is told at once, in order, to everyone, and nothing is missed."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from adw_worktree.board.contents import documents as told
from adw_worktree.board.contents.logs import read_part
from adw_worktree.board.serve import _listening
from adw_worktree.board.wanted import Wanted
from adw_worktree.orchestration.store.records import events
from tests.support.board import BoardProcess
from tests.support.command_line import Adw
from tests.support.features import phase, start, store, until_there, work, write_feature


def ids_of(database_where: str = "1 = 1") -> list[int]:
    database = store()
    found = [one.id for one in events(database, database_where)]
    database.close()
    return found


def test_it_begins_with_a_snapshot_and_goes_on_with_each_event(
    board: BoardProcess, adw: Adw
) -> None:
    adw("feature", "add", str(write_feature(adw, "before", phase(1))))
    with board.following() as following:
        first = following.next()
        assert first["type"] == "snapshot"
        assert [one["slug"] for one in first["data"]["features"]] == ["before"]
        assert [one["name"] for one in first["data"]["phases"]] == ["before.1"]
        start(adw, "x", phase(1), phase(2, needs=[1]))
        ended = following.until(lambda one: _status(one) == ("x.2", "completed"))
        work(adw)
        following.until(lambda one: one["data"]["event"]["kind"] == "feature.completed")
    messages = following.messages[1:]
    assert [one["id"] for one in messages] == ids_of(f"id > {first['id']}")
    told.QueueRow.model_validate(ended["data"]["phase"])
    kinds = {one["type"] for one in messages}
    assert kinds == {"phase_changed", "feature_changed", "workflow_completed"}


def _status(message: dict[str, object]) -> tuple[object, object] | None:
    data = message["data"]
    phase = data.get("phase") if isinstance(data, dict) else None
    return (phase["name"], phase["status"]) if phase else None


def test_who_was_away_gets_what_was_missed_and_nothing_else(board: BoardProcess, adw: Adw) -> None:
    with board.following() as following:
        seen = following.next()["id"]
    start(adw, "x", phase(1))
    work(adw)
    missed = ids_of(f"id > {seen}")
    with board.following(f"?seen={seen}") as following:
        assert [following.next()["id"] for _ in missed] == missed
    last = missed[-1]
    with board.following(f"?seen={last}") as following, pytest.raises(TimeoutError):
        following.next(0.5)
    with board.following(f"?seen={last + 1000}") as following:
        assert following.next()["type"] == "snapshot", "it has seen another store"


def test_a_board_that_was_killed_goes_on_where_the_browser_is(
    board: BoardProcess, adw: Adw
) -> None:
    with board.following() as following:
        seen = following.next()["id"]
    board.kill()
    start(adw, "x", phase(1))
    work(adw)
    board.start()
    missed = ids_of(f"id > {seen}")
    with board.following(f"?seen={seen}") as following:
        assert [following.next()["id"] for _ in missed] == missed


@pytest.mark.thorough
def test_who_takes_nothing_gets_a_snapshot_and_holds_up_nobody(
    board: BoardProcess, adw: Adw
) -> None:
    with board.following() as slow, board.following() as quick:
        slow.next()
        quick.next()
        database = store()
        start(adw, "x", phase(1, "sleep 60"))
        from adw_worktree.orchestration.store.steering import set_limit

        for number in range(4000):
            set_limit(database, 3 + number % 2)
        database.close()
        last = ids_of()[-1]
        quick.until(lambda one: one["id"] == last)
        found = slow.until(lambda one: one["id"] == last, 60)
        assert found["id"] == last
    got = [one["id"] for one in slow.messages]
    assert got == sorted(got)


def test_a_log_is_followed(board: BoardProcess, adw: Adw, tmp_path: Path) -> None:
    waits = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    start(adw, "x", phase(1, f"echo before ä; touch {tmp_path}/there; {waits}; echo after", "true"))
    until_there(tmp_path / "there")
    with board.following() as following:
        following.next()
        following.ask(type="subscribe", log="x.1")
        first = following.until(lambda one: one["type"] == "log")
        assert "before ä" in first["data"]["text"]
        (tmp_path / "go").touch()
        following.until(lambda one: one["type"] == "log" and "after" in one["data"]["text"])
        following.ask(type="subscribe", log="nothing.1")
        assert following.until(lambda one: one["type"] == "error")["data"]["hint"]
        following.socket.send("no json")
        assert following.until(lambda one: one["type"] == "error")["data"]["hint"]
        following.socket.send(json.dumps({"type": "subscribe", "log": ["x"]}))
        following.until(lambda one: one["type"] == "error")


@pytest.mark.thorough
def test_nothing_is_done_while_nothing_happens(board: BoardProcess, adw: Adw) -> None:
    """No polling: a quiet board neither reads nor wakes, but for the WebSocket's ping."""
    start(adw, "x", phase(1, "sleep 60"))
    with board.following() as following:
        following.next()
        time.sleep(2)
        process = psutil.Process(board.process.pid)
        before = _work(process)
        time.sleep(10)
        after = _work(process)
    assert after[0] - before[0] <= 0.1, "seconds of processor time"
    assert after[1] - before[1] < 60, "wake-ups in ten seconds"


def _work(process: psutil.Process) -> tuple[float, int]:
    times = process.cpu_times()
    woken = sum(
        int(line.split()[1])
        for task in Path(f"/proc/{process.pid}/task").iterdir()
        for line in (task / "status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )
    return times.user + times.system, woken


@pytest.mark.parametrize("start_at", range(12))
def test_parts_of_a_log_are_of_whole_characters(tmp_path: Path, start_at: int) -> None:
    text = "aä€😀b" * 3
    data = text.encode()
    file = tmp_path / "log"
    file.write_bytes(data)
    found, place = "", start_at
    while True:
        part, first = read_part(file, place, place + 9)
        if not part:
            break
        found += part.decode()
        place = first + len(part)
    assert text.endswith(found)
    assert len(data) - len(found.encode()) - start_at in range(4)
    file.write_bytes(b"\xff\xfe\x80" * 10)
    assert read_part(file, 0, 30)[0]


def test_what_is_short_is_sent_at_once() -> None:
    """Else each second answer of a connection, and each second message, waits for 40 ms."""

    async def has_no_delay() -> int:
        with closing(_listening(Wanted(port=0))) as listening:
            found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

            def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                option = (socket.IPPROTO_TCP, socket.TCP_NODELAY)
                found.set_result(writer.get_extra_info("socket").getsockopt(*option))
                writer.close()

            server = await asyncio.start_server(greet, sock=listening)
            async with server:
                _, writer = await asyncio.open_connection(*listening.getsockname())
                writer.close()
                return await found

    # In a thread of its own: a browser of another test may have a loop in this one.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(lambda: asyncio.run(has_no_delay())).result() != 0
