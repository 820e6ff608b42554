"""Two hosts that share a store: who runs what, and what becomes of it when one is gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from adw_worktree.orchestration.store.opening import connect_to_server
from adw_worktree.orchestration.store.times import now, seconds_until
from tests.support import postgres_server, server_store
from tests.support.disk import fill
from tests.support.features import phase, reasons, start, statuses, write_feature
from tests.support.hosts import Host, make_hosts
from tests.support.machine import settle
from tests.support.postgres_server import Server
from tests.support.repositories import git

pytestmark = pytest.mark.thorough


def wait_for(condition: Callable[[], bool], what: Host | str) -> None:
    """Wait until something holds; `what` is what is wrong, or the host whose word tells it."""
    try:
        settle(condition, "not yet")
    except AssertionError as exc:
        raise AssertionError(what.said() if isinstance(what, Host) else what) from exc


def ran_on(host: Host, slug: str) -> dict[int, list[str]]:
    """Return the hosts on which each phase ran, in the order of its attempts."""
    return {
        row["phase_number"]: [
            one["host"]
            for one in host.json("phase", "show", f"{slug}.{row['phase_number']}")["attempts"]
        ]
        for row in host.json("feature", "show", slug)["phases"]
    }


def completed(host: Host, slug: str) -> bool:
    return {*statuses(host, slug).values()} == {"completed"}


def test_a_feature_of_one_host_runs_on_another(hosts: list[Host], remote: Path) -> None:
    anna, ben = hosts
    ben.work()
    start(anna, "x", phase(1), phase(2, needs=[1]), phase(3, needs=[1, 2]))
    wait_for(lambda: completed(anna, "x"), ben)
    assert {one for them in ran_on(anna, "x").values() for one in them} == {"ben"}
    files = git("ls-tree", "--name-only", "feature/x", cwd=remote).split()
    assert {"x-p1", "x-p2", "x-p3"} <= {*files}


def test_what_ran_on_a_host_that_is_gone_runs_on_the_other(
    hosts: list[Host], remote: Path, tmp_path: Path
) -> None:
    anna, ben = hosts
    anna.work()
    go = tmp_path / "go"
    wait = f"echo $ADW_ATTEMPT >>{tmp_path}/ran; while [ ! -e {go} ]; do sleep 0.05; done"
    start(anna, "x", phase(1, wait, "echo done >done", "git add done; git commit -qm done"))
    wait_for(lambda: (tmp_path / "ran").exists(), "it does not run")
    ben.work()
    anna.signal(signal.SIGSTOP)
    wait_for(lambda: len((tmp_path / "ran").read_text().split()) == 2, ben)
    go.touch()
    wait_for(lambda: completed(ben, "x"), ben)
    landed = git("rev-parse", "feature/x", cwd=remote)
    anna.signal(signal.SIGCONT)
    wait_for(lambda: not (anna.state / "phases" / "untidy").exists()
           or not list((anna.state / "phases" / "untidy").iterdir()), "untidy")  # fmt: skip
    assert ran_on(ben, "x") == {1: ["anna", "ben"]}
    attempts = ben.json("phase", "show", "x.1")["attempts"]
    assert [one["end_reason"] for one in attempts] == ["lost", "completed"]
    assert git("rev-parse", "feature/x", cwd=remote) == landed, "nothing is applied twice"


def test_labels_say_where_a_phase_runs(hosts: list[Host]) -> None:
    anna, ben = hosts
    anna.work()
    file = write_feature(anna, "x", phase(1), phase(2) | {"needs": ["gpu"]})
    anna("feature", "start", str(file), "--yes")
    wait_for(lambda: statuses(anna, "x")[1] == "completed", anna)
    assert statuses(anna, "x")[2] == "ready"
    assert "x.2 is ready, and no host" in anna("doctor", code=10).stdout
    ben.work("--label", "gpu")
    wait_for(lambda: completed(anna, "x"), ben)
    assert ran_on(anna, "x")[2] == ["ben"]


def waits(go: Path, ran: Path) -> str:
    """Return a command that says that it runs, and ends when `go` is there."""
    return f"echo $ADW_ATTEMPT >>{ran}; while [ ! -e {go} ]; do sleep 0.05; done"


def test_a_worker_that_is_stopped_starts_nothing_and_what_runs_goes_on(
    hosts: list[Host], tmp_path: Path
) -> None:
    anna, ben = hosts
    go, ran = tmp_path / "go", tmp_path / "ran"
    anna.work()
    commit = "echo done >$ADW_ID; git add $ADW_ID; git commit -qm done"
    start(anna, "x", phase(1, waits(go, ran), commit), phase(2, needs=[1]))
    wait_for(ran.exists, anna)
    anna.stop_worker()
    go.touch()
    wait_for(lambda: statuses(anna, "x")[1] == "completed", anna)
    assert statuses(anna, "x")[2] == "ready", "nothing is started any more"
    [row] = anna.json("worker")["hosts"]
    assert (row["name"], row["status"]) == ("anna", "stopped")
    ben.work()
    wait_for(lambda: completed(ben, "x"), ben)
    assert ran_on(ben, "x") == {1: ["anna"], 2: ["ben"]}


def test_a_worker_that_hands_back_leaves_all_to_others(hosts: list[Host], tmp_path: Path) -> None:
    anna, ben = hosts
    go, ran = tmp_path / "go", tmp_path / "ran"
    anna.work("--hand-back")
    start(anna, "x", phase(1, waits(go, ran), "true", changes="none", attempts=1))
    wait_for(ran.exists, anna)
    anna.stop_worker()
    assert statuses(anna, "x") == {1: "ready"}
    go.touch()
    ben.work()
    wait_for(lambda: completed(ben, "x"), ben)
    attempts = ben.json("phase", "show", "x.1")["attempts"]
    assert [(one["host"], one["end_reason"]) for one in attempts] == [
        ("anna", "handed-back"),
        ("ben", "completed"),
    ]


def test_a_worker_that_is_killed_goes_on_and_nothing_runs_twice(
    hosts: list[Host], tmp_path: Path
) -> None:
    anna, _ = hosts
    go, ran = tmp_path / "go", tmp_path / "ran"
    anna.work()
    start(anna, "x", phase(1, waits(go, ran), changes="none"), phase(2, needs=[1]))
    wait_for(ran.exists, anna)
    assert anna.worker is not None
    anna.worker.kill()
    anna.worker.wait()
    go.touch()
    wait_for(lambda: completed(anna, "x"), anna)
    assert ran_on(anna, "x") == {1: ["anna"], 2: ["anna"]}, anna("phase", "show", "x.2").stdout


def test_a_drained_host_starts_nothing_until_it_is_resumed(hosts: list[Host]) -> None:
    anna, ben = hosts
    anna.work()
    ben("worker", "drain", "anna")
    start(ben, "x", phase(1))
    row = ben.json("worker")["hosts"][0]
    assert (row["status"], row["phases"]) == ("drained", [])
    assert statuses(ben, "x") == {1: "ready"}
    ben("worker", "resume", "anna")
    wait_for(lambda: completed(ben, "x"), anna)
    assert ben.json("worker", "drain", "nobody", code=6)["error"]["code"] == "unknown-adw"
    assert ben.json("worker", "forget", "anna", code=7)["error"]["code"] == "refused"


def test_a_phase_goes_on_where_its_worktree_is(hosts: list[Host]) -> None:
    anna, ben = hosts
    anna.work()
    start(anna, "x", phase(1, "echo 1 >>tries; test $(wc -l <tries) = 2"))
    wait_for(lambda: statuses(anna, "x")[1] == "failed", anna)
    ben.work()
    ben("phase", "retry", "x.1")
    wait_for(lambda: statuses(anna, "x")[1] != "ready", anna)
    assert ran_on(ben, "x") == {1: ["anna", "anna"]}


def test_two_machines_of_one_name_do_not_both_work(hosts: list[Host]) -> None:
    anna, ben = hosts
    anna.work()
    told = ben("work", "--name", "anna", "--until-idle", code=None)
    assert told.code != 0
    assert "another machine works on this store as anna" in told.stderr


def test_the_limit_is_one_over_all_hosts(hosts: list[Host], tmp_path: Path) -> None:
    anna, ben = hosts
    log = tmp_path / "log"
    count = f"echo in >>{log}; sleep 0.3; echo out >>{log}"
    phases = [phase(number, count, changes="none") for number in range(1, 9)]
    anna.work()
    ben.work()
    anna("feature", "start", str(write_feature(anna, "x", *phases)), "--yes", "--max-running", "3")
    wait_for(lambda: completed(anna, "x"), anna)
    running = most = 0
    for line in log.read_text().split():
        running += 1 if line == "in" else -1
        most = max(most, running)
    assert most == 3
    assert {one for them in ran_on(anna, "x").values() for one in them} == {"anna", "ben"}


def test_a_stop_and_a_report_find_the_host(hosts: list[Host], tmp_path: Path) -> None:
    anna, ben = hosts
    anna.work()
    go, ran = tmp_path / "go", tmp_path / "ran"
    start(anna, "x", phase(1, waits(go, ran), changes="none"))
    start(anna, "y", phase(1, waits(go, tmp_path / "other"), changes="none"))
    wait_for(lambda: ran.exists() and (tmp_path / "other").exists(), anna)
    ben("phase", "cancel", "x.1")
    wait_for(lambda: reasons(ben, "x.1") == ["cancelled"], anna)
    ben("phase", "done", "--attempt", (tmp_path / "other").read_text().strip())
    wait_for(lambda: statuses(ben, "y") == {1: "completed"}, anna)


def test_logs_are_read_on_every_host(hosts: list[Host], tmp_path: Path) -> None:
    anna, ben = hosts
    anna.work()
    go, ran = tmp_path / "go", tmp_path / "ran"
    start(
        anna, "x", phase(1, "echo first", waits(go, ran), "printf 'last \\377\\n'", changes="none")
    )
    wait_for(ran.exists, anna)
    assert ben("phase", "log", "x.1").stdout == "first\n"
    following = ben.start("phase", "log", "x.1", "-f")
    go.touch()
    printed, _ = following.communicate(timeout=60)
    assert printed.startswith("first\nlast ")
    assert "attempt 1 ended: completed" in printed
    wait_for(lambda: completed(ben, "x"), anna)
    assert ben("phase", "log", "x.1").stdout == anna("phase", "log", "x.1").stdout
    [token] = ran.read_text().split()
    logs = [host.state / "runs" / token / "01-run.log" for host in hosts]
    assert logs[0].read_bytes() == logs[1].read_bytes() == b"first\nlast \xff\n"


def test_the_log_of_a_host_that_is_gone_says_so(hosts: list[Host]) -> None:
    anna, ben = hosts
    anna.work()
    start(anna, "x", phase(1, "echo first", changes="none"))
    wait_for(lambda: completed(ben, "x"), anna)
    anna.end()
    wait_for(lambda: ben.json("worker")["hosts"][0]["status"] == "gone", "it is not gone")
    told = ben("phase", "log", "x.1")
    assert "the log is on anna, which was last heard of at" in told.stderr


def test_logs_that_are_kept_in_the_store_outlive_their_host(hosts: list[Host]) -> None:
    anna, ben = hosts
    anna.environ["ADW_LOGS"] = "store"
    anna.work()
    start(anna, "x", phase(1, "echo first", changes="none"))
    wait_for(lambda: completed(ben, "x"), anna)
    anna.end()
    wait_for(lambda: ben.json("worker")["hosts"][0]["status"] == "gone", "it is not gone")
    assert ben("phase", "log", "x.1").stdout == "first\n"


def test_what_a_phase_changed_is_seen_on_every_host(hosts: list[Host]) -> None:
    anna, ben = hosts
    anna.work()
    start(anna, "x", phase(1), phase(2))
    wait_for(lambda: completed(ben, "x"), anna)
    ben.work()  # it has the repository, too
    for number in (1, 2):
        shown = ben("phase", "diff", f"x.{number}").stdout
        assert f"+++ b/x-p{number}" in shown
        assert f"x-p{3 - number}" not in shown


def test_a_feature_lands_where_hosts_share_code(hosts: list[Host], remote: Path) -> None:
    anna, ben = hosts
    ben.work()
    start(anna, "x", phase(1), phase(2, needs=[1]), land="merge")
    wait_for(lambda: anna.json("feature", "show", "x")["feature"]["landing"] is not None, ben)
    assert anna.json("feature", "show", "x")["feature"]["landing"] == "landed", ben.said()
    assert {"x-p1", "x-p2"} <= {*git("ls-tree", "--name-only", "main", cwd=remote).split()}
    left = git("for-each-ref", "--format=%(refname)", cwd=remote).split()
    assert left == ["refs/heads/main"], "branch and markers are gone"


def test_a_host_whose_disk_is_full_leaves_phases_to_others(
    hosts: list[Host], tmp_path: Path
) -> None:
    anna, ben = hosts
    small = anna.home / "state"
    small.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True).returncode != 0:
        pytest.skip("no small file system can be mounted here")
    try:
        anna.work()
        ballast = fill(small)
        start(ben, "x", phase(1), phase(2, needs=[1]))
        wait_for(lambda: ben.json("phase", "show", "x.1")["phase"]["awaits_slot"], anna)
        tried = len(reasons(ben, "x.1"))
        ben.work()
        wait_for(lambda: completed(ben, "x"), ben)
        assert len(reasons(ben, "x.1")) < tried + 10, "it is not tried without end"
        ballast.unlink()
        ben("worker", "drain", "ben")
        start(ben, "y", phase(1))
        wait_for(lambda: completed(ben, "y"), anna)
    finally:
        anna.end()
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_hosts_whose_clocks_are_wrong_change_no_order_and_no_lease(
    tmp_path: Path, remote: Path
) -> None:
    """They are wrong by two hours, by the server's clock, which is what counts."""
    program, programs = shutil.which("faketime"), postgres_server.programs()
    if program is None or programs is None:
        pytest.skip("faketime or PostgreSQL is not installed")
    server = Server(programs, [program, "-f", "+2h"])
    url = server_store.made(server)
    hosts = make_hosts(tmp_path / "hosts", remote, url, ["anna", "ben"], ADW_LEASE="4")
    anna, ben = hosts
    try:
        anna.work("--label", "a")
        ben.work("--label", "b")
        phases = [
            phase(number, "sleep 2", needs=[number - 1] if number > 1 else [], changes="none")
            | {"needs": ["ab"[number % 2]]}
            for number in range(1, 5)
        ]
        start(anna, "x", *phases)
        wait_for(lambda: completed(anna, "x"), ben)
        assert {len(ran) for ran in ran_on(anna, "x").values()} == {1}, "no lease is over early"
        with closing(connect_to_server(url)) as database:
            times = [str(at) for [at] in database.execute("SELECT at FROM events ORDER BY id")]
        assert times == sorted(times)
        assert seconds_until(times[0], now()) > 3600, "all of them are the server's"
        anna.signal(signal.SIGSTOP)
        wait_for(lambda: ben.json("worker")["hosts"][0]["status"] == "gone", "it is not gone")
    finally:
        for host in hosts:
            host.end()
        server.kill()
        server.discard()


def test_a_feature_that_was_added_before_its_host_had_a_name_runs_there(hosts: list[Host]) -> None:
    """And the repository that `work` is called in is served, though it never had a slot."""
    anna, _ = hosts
    started = anna("feature", "start", str(write_feature(anna, "x", phase(1))), "--yes")
    assert "no host that works has what x.1 needs" in started.stderr
    worker = anna.start("work", "--name", "anna", quiet=True)
    try:
        wait_for(lambda: completed(anna, "x"), "it is not run")
        assert ran_on(anna, "x") == {1: ["anna"]}
    finally:
        worker.terminate()
        worker.wait()
