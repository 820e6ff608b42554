"""Phases that run for real: in their order, merged, and once each, whatever is killed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.support.command_line import Adw
from tests.support.features import (
    COMMIT,
    assert_over,
    kill,
    kill_all,
    log_of,
    nothing_is_left,
    ours,
    phase,
    reasons,
    runner_of,
    shown,
    start,
    state_dir,
    statuses,
    until,
    until_there,
    work,
    write_feature,
)
from tests.support.machine import settle
from tests.support.repositories import branches, git, worktrees
from tests.support.stress_size import stress_size
from tests.support.terminal import Terminal


@pytest.fixture(autouse=True)
def ended() -> object:
    """End what a test leaves running."""
    yield
    kill_all()


def diamond() -> list[dict[str, object]]:
    return [
        phase(1),
        phase(2, needs=[1]),
        phase(3, needs=[1]),
        phase(4, "test -f f-p1", needs=[1], changes="none"),
        phase(5, "test -f f-p2 && test -f f-p3", COMMIT, needs=[2, 3, 4]),
    ]


def test_a_diamond_is_merged_and_leaves_nothing(adw: Adw) -> None:
    file = write_feature(adw, "f", *diamond())
    ran = adw("feature", "start", str(file), "--yes", "--wait")
    assert "f.5 completed" in ran.stdout
    assert git("ls-tree", "--name-only", "feature/f", cwd=adw.directory).split() == [
        "README", "f-p1", "f-p2", "f-p3", "f-p5",
    ]  # fmt: skip
    assert git("rev-parse", "main", cwd=adw.directory) != git(
        "rev-parse", "feature/f", cwd=adw.directory
    )
    assert_over(adw)
    assert worktrees(adw.directory) == [str(adw.directory)]
    assert branches(adw.directory) == {"main", "feature/f"}
    assert adw.json("status")["allocations"] == {}
    for number in range(1, 6):
        assert reasons(adw, f"f.{number}") == ["completed"]


@pytest.mark.thorough
def test_on_a_terminal_the_phases_are_drawn_in_their_place(adw: Adw) -> None:
    file = write_feature(adw, "f", phase(1, "sleep 0.5", COMMIT), phase(2, needs=[1]))
    words = ["feature", "start", str(file), "--yes", "--wait"]
    terminal = Terminal([*adw.command, *words], adw.directory, 100, 20, {})
    terminal.read(lambda: "f.1    running" in terminal.text)
    assert "f.2    queued" in terminal.text
    terminal.read(lambda: False)
    assert terminal.process.wait() == 0
    assert [line.split()[:2] for line in terminal.lines if line.startswith("f.")] == [
        ["f.1", "completed"],
        ["f.2", "completed"],
    ]


def test_no_more_run_at_once_than_may(adw: Adw, tmp_path: Path) -> None:
    count = f"mkdir {tmp_path}/run-$ADW_ID; ls {tmp_path} | grep -c run- >>{tmp_path}/counts"
    commands = [count, "sleep 0.2", f"rmdir {tmp_path}/run-$ADW_ID"]
    file = write_feature(
        adw, "f", *(phase(number, *commands, changes="none") for number in range(1, 7))
    )
    adw("feature", "start", str(file), "--yes", "--wait", "--max-running", "2")
    counts = [int(line) for line in (tmp_path / "counts").read_text().split()]
    assert len(counts) == 6
    assert max(counts) <= 2


def test_a_phase_finds_its_variables(adw: Adw) -> None:
    start(adw, "f", phase(1, "env", changes="none"))
    work(adw)
    said = dict(line.split("=", 1) for line in log_of(adw, "f.1").splitlines() if "=" in line)
    assert said["ADW_PHASE"] == "f.1"
    assert said["ADW_ID"] == "f-p1"
    assert said["ADW_WORKTREE"] == str(adw.directory / "trees" / "f-p1")
    assert said["BACKEND_PORT"]


# ---- ends --------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_failed_phase_blocks_those_after_it_until_it_is_repeated(
    adw: Adw, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    file = write_feature(
        adw, "f", phase(1, f"test -f {flag}", COMMIT), phase(2, needs=[1]), phase(3, needs=[2])
    )
    adw("feature", "start", str(file), "--yes", "--wait", code=11)
    assert statuses(adw, "f") == {1: "failed", 2: "blocked", 3: "blocked"}
    assert "failed with exit status 1" in shown(adw, "f.1")["phase"]["error_message"]
    assert "f-p1" in adw.json("status")["allocations"]  # its worktree is there to be looked at
    refused = adw.json("phase", "retry", "f.2", code=7)["error"]
    assert refused["hint"] == "adw-worktree phase retry f.1"
    flag.touch()
    adw("phase", "retry", "f.1")
    work(adw)
    assert set(statuses(adw, "f").values()) == {"completed"}
    assert_over(adw)


def test_a_phase_that_makes_no_commits_is_not_completed(adw: Adw) -> None:
    start(adw, "f", phase(1, "true"))
    work(adw)
    assert reasons(adw, "f.1") == ["no-changes"]


@pytest.mark.thorough
def test_commits_of_a_phase_that_says_it_makes_none_are_not_lost(adw: Adw) -> None:
    start(adw, "f", phase(1, COMMIT, changes="none"))
    work(adw)
    assert statuses(adw, "f") == {1: "review"}
    assert git("log", "-1", "--format=%s", "f-p1", cwd=adw.directory) == "f-p1\n"


@pytest.mark.thorough
def test_a_conflict_waits_for_a_person_and_loses_nothing(adw: Adw) -> None:
    change = "echo $ADW_ID >both; git add both; sleep 0.3; git commit -qm both"
    file = write_feature(adw, "f", phase(1, change), phase(2, change), phase(3, needs=[1, 2]))
    adw("feature", "start", str(file), "--yes", "--wait", code=12)
    found = statuses(adw, "f")
    assert sorted([found[1], found[2]]) == ["completed", "review"]
    assert found[3] == "queued"
    (number,) = (number for number in (1, 2) if found[number] == "review")
    assert reasons(adw, f"f.{number}") == ["conflict"]
    tree = adw.directory / "trees" / f"f-p{number}"
    git("merge", "-X", "ours", "feature/f", cwd=tree)
    adw("phase", "retry", f"f.{number}")
    until(adw, f"f.{number}", "completed", "failed")


def test_a_command_that_takes_too_long_is_ended(adw: Adw) -> None:
    start(adw, "f", phase(1, "sleep 60", timeout=0.5))
    work(adw)
    assert reasons(adw, "f.1") == ["timeout"]
    assert_over(adw)


@pytest.mark.parametrize("way", ["nohup setsid", "env -i /usr/bin/setsid"])
def test_what_a_command_leaves_running_is_ended(adw: Adw, tmp_path: Path, way: str) -> None:
    """`nohup` and a session of its own kept a server alive, and its port taken."""
    escape = f"{way} sh -c 'echo $$ >{tmp_path}/pid; cd /; exec sleep 600' >/dev/null 2>&1 &"
    wait = f"while [ ! -s {tmp_path}/pid ]; do sleep 0.01; done"
    start(adw, "f", phase(1, f"{escape} {wait}", COMMIT))
    work(adw)
    assert statuses(adw, "f") == {1: "completed"}
    assert_over(adw)
    escaped = int((tmp_path / "pid").read_text())
    settle(lambda: not runs(escaped), "it runs on")


def test_a_clock_that_was_set_back_hides_no_process(adw: Adw, tmp_path: Path) -> None:
    """By the clock it was started long before its attempt."""
    escape = f"env -i sh -c 'echo $$ >{tmp_path}/pid; cd /; exec sleep 600' >/dev/null 2>&1 &"
    wait = f"while [ ! -s {tmp_path}/pid ]; do sleep 0.01; done"
    began = f"touch -d '+1 day' {state_dir()}/runs/$ADW_ATTEMPT/began"
    start(adw, "f", phase(1, f"{escape} {wait}; {began}", COMMIT))
    work(adw)
    assert statuses(adw, "f") == {1: "completed"}
    escaped = int((tmp_path / "pid").read_text())
    settle(lambda: not runs(escaped), "it runs on")


@pytest.mark.thorough
@pytest.mark.parametrize("jump", ["-1d", "+1d"])
def test_a_clock_that_jumps_holds_nothing_up(adw: Adw, tmp_path: Path, jump: str) -> None:
    """The coordinator and the next runner have another time than the runner before."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    running(adw, tmp_path)
    kill([one for one in ours() if one.pid != runner_of(last_token(adw))])
    (tmp_path / "go").touch()
    adw("work", "--until-idle", LD_PRELOAD=str(library), FAKETIME=jump, FAKETIME_NO_CACHE="1")
    assert_done(adw, tmp_path, runs=1)


def last_token(adw: Adw) -> str:
    return str(shown(adw, "f.1")["attempts"][-1]["token"])


@pytest.mark.thorough
def test_a_command_that_heeds_no_signal_is_killed(adw: Adw, tmp_path: Path) -> None:
    start(adw, "f", phase(1, f"trap '' TERM; touch {tmp_path}/here; while :; do sleep 0.1; done"))
    until_there(tmp_path / "here")
    adw("phase", "cancel", "f.1")
    work(adw)
    assert reasons(adw, "f.1") == ["cancelled"]
    assert_over(adw)


def runs(pid: int) -> bool:
    """Return whether a process runs; a zombie only waits for its parent."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# ---- crashes -----------------------------------------------------------------------------------

ONCE = "exec 9>>{0}/lock; flock -n 9 || echo two >>{0}/two; echo run >>{0}/runs; touch {0}/here; "


def running(adw: Adw, tmp_path: Path) -> str:
    """Start a phase that notes whether it runs twice, and return its token once it runs."""
    hold = ONCE.format(tmp_path) + f"while [ ! -f {tmp_path}/go ]; do sleep 0.02; done"
    start(adw, "f", phase(1, hold, COMMIT), phase(2, needs=[1]))
    until_there(tmp_path / "here")
    return str(shown(adw, "f.1")["attempts"][-1]["token"])


def assert_done(adw: Adw, tmp_path: Path, *, runs: int) -> None:
    (tmp_path / "go").touch()
    work(adw)
    assert statuses(adw, "f") == {1: "completed", 2: "completed"}
    assert not (tmp_path / "two").exists()
    assert len((tmp_path / "runs").read_text().split()) == runs
    assert_over(adw)


@pytest.mark.thorough
def test_a_runner_that_is_killed_is_made_good(adw: Adw, tmp_path: Path) -> None:
    token = running(adw, tmp_path)
    os.kill(runner_of(token), signal.SIGKILL)
    settle(lambda: len(shown(adw, "f.1")["attempts"]) == 2, "nobody starts it again")
    assert_done(adw, tmp_path, runs=2)
    assert reasons(adw, "f.1") == ["lost", "completed"]


@pytest.mark.thorough
def test_a_coordinator_that_is_killed_disturbs_no_phase(adw: Adw, tmp_path: Path) -> None:
    token = running(adw, tmp_path)
    kept = runner_of(token)
    kill(one for one in ours() if one.pid != kept)
    assert_done(adw, tmp_path, runs=1)
    assert reasons(adw, "f.1") == ["completed"]


def test_after_everything_was_killed_the_next_command_goes_on(adw: Adw, tmp_path: Path) -> None:
    running(adw, tmp_path)
    kill_all()
    settle(nothing_is_left, "a process is left")
    (tmp_path / "go").touch()
    adw("list")
    settle(lambda: (tmp_path / "runs").read_text() == "run\nrun\n", "nobody goes on")
    assert_done(adw, tmp_path, runs=2)


@pytest.mark.thorough
def test_reconcile_sees_to_attempts_as_well_as_leases(adw: Adw, tmp_path: Path) -> None:
    """Also if nothing but the store tells of them."""
    running(adw, tmp_path)
    kill_all()
    (state_dir() / "phases" / "coordinator.bell").unlink()
    would = adw("reconcile", "--dry-run").stderr
    assert "attempt 1 of f.1 is gone; a coordinator would be started" in would
    adw("reconcile", "--check", code=10)
    assert nothing_is_left()
    assert "a coordinator was started" in adw("reconcile").stderr
    settle(lambda: (tmp_path / "runs").read_text() == "run\nrun\n", "nobody goes on")
    assert_done(adw, tmp_path, runs=2)


def test_a_worktree_that_is_deleted_ends_its_attempt(adw: Adw, tmp_path: Path) -> None:
    running(adw, tmp_path)
    shutil.rmtree(adw.directory / "trees" / "f-p1")
    adw("list")
    settle(lambda: reasons(adw, "f.1")[0] is not None, "its attempt goes on")
    assert reasons(adw, "f.1")[0] == "lost"
    assert_done(adw, tmp_path, runs=2)


@pytest.mark.thorough
def test_work_that_had_landed_is_not_done_again(adw: Adw, tmp_path: Path) -> None:
    """It was merged, and its runner killed before it said so: the phase ran once more."""
    os.environ["ADW_FAULT"] = "ship.landed=kill"
    try:
        start(adw, "f", phase(1, f"echo run >>{tmp_path}/runs", COMMIT))
        settle(lambda: len(shown(adw, "f.1")["attempts"]) == 2, "it never landed")
    finally:
        del os.environ["ADW_FAULT"]
    work(adw)
    assert statuses(adw, "f") == {1: "completed"}
    assert (tmp_path / "runs").read_text() == "run\n"
    assert_over(adw)


def test_an_end_that_the_disk_has_no_room_for_is_written_later(adw: Adw, tmp_path: Path) -> None:
    file = write_feature(adw, "f", phase(1, f"echo run >>{tmp_path}/runs", COMMIT))
    adw("feature", "start", str(file), "--yes", ADW_FAULT="end.before=enospc")
    work(adw)
    assert reasons(adw, "f.1") == ["completed"]
    assert (tmp_path / "runs").read_text() == "run\n"


@pytest.mark.thorough
def test_of_many_coordinators_one_works(adw: Adw, tmp_path: Path) -> None:
    command = ONCE.format(f"{tmp_path}/$ADW_ID") + "sleep 0.1"
    for number in range(1, 5):
        (tmp_path / f"f-p{number}").mkdir()
    file = write_feature(
        adw, "f", *(phase(number, command, changes="none") for number in range(1, 5))
    )
    adw("feature", "start", str(file), "--yes")
    started = [adw.start("work", "--until-idle", quiet=True) for _ in range(6)]
    assert [process.wait(120) for process in started] == [0] * 6
    assert set(statuses(adw, "f").values()) == {"completed"}
    assert not list(tmp_path.glob("*/two"))
    assert [path.read_text() for path in tmp_path.glob("*/runs")] == ["run\n"] * 4
    assert_over(adw)


def parent(pid: int) -> int | None:
    """Return the process that started another; None if that has ended meanwhile."""
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return None


@pytest.mark.thorough
def test_a_service_takes_over_and_stays(adw: Adw, tmp_path: Path) -> None:
    running(adw, tmp_path)  # with a coordinator in the background
    service = adw.start("work", quiet=True)
    try:
        (tmp_path / "go").touch()
        until(adw, "f.2", "completed")
        lock = state_dir() / "phases" / "coordinator.lock"
        # It is empty for a moment while it is written.
        settle(lambda: parent(int(lock.read_text() or 0)) == service.pid, "it stays away")
        adw("feature", "start", str(write_feature(adw, "g", phase(1))), "--yes")
        until(adw, "g.1", "completed")
        assert service.poll() is None
    finally:
        service.kill()
        service.wait()


@pytest.mark.thorough
def test_a_coordinator_that_waits_is_never_woken_in_vain(adw: Adw, tmp_path: Path) -> None:
    """Polling kept a laptop awake, and was late all the same."""
    running(adw, tmp_path)
    # The coordinator, who forks for it, one who stands by, and a runner.
    settle(lambda: len(ours()) == 4, "nobody stands by")
    mine = ours()

    def wake_ups(seconds: float) -> int:
        before = sum(one.num_ctx_switches().voluntary for one in mine)
        time.sleep(seconds)
        return sum(one.num_ctx_switches().voluntary for one in mine) - before

    settle(lambda: wake_ups(0.5) == 0, "they never come to rest")
    assert wake_ups(stress_size(2, 60)) == 0
    assert_done(adw, tmp_path, runs=1)


# ---- people ------------------------------------------------------------------------------------


def test_a_paused_phase_is_stopped_and_goes_on(adw: Adw, tmp_path: Path) -> None:
    running(adw, tmp_path)
    adw("phase", "pause", "f.1")
    settle(lambda: reasons(adw, "f.1") == ["cancelled"], "it was not stopped")
    assert statuses(adw, "f") == {1: "paused", 2: "queued"}
    assert (adw.directory / "trees" / "f-p1").is_dir()
    adw("phase", "resume", "f.1")
    assert_done(adw, tmp_path, runs=2)


def test_a_cancelled_feature_stops_at_once(adw: Adw, tmp_path: Path) -> None:
    running(adw, tmp_path)
    adw("feature", "cancel", "f")
    work(adw)
    assert statuses(adw, "f") == {1: "cancelled", 2: "cancelled"}
    assert_over(adw)


def test_an_attempt_reports_from_elsewhere(adw: Adw, tmp_path: Path) -> None:
    token = running(adw, tmp_path)
    adw("phase", "note", "-m", "half way", "--attempt", token)
    for changed in (True, False):
        done = adw.json("phase", "block", "-m", "which table?", "--attempt", token)
        assert done["changed"] is changed
    until(adw, "f.1", "review")
    stale = adw.json("phase", "done", "--attempt", token, code=7)["error"]
    assert stale["code"] == "stale-attempt"
    assert "is over (needs-person); f.1 is review" in stale["message"]
    kinds = [one["kind"] for one in shown(adw, "f.1")["events"]]
    assert kinds.count("report.block") == 1
    assert "report.note" in kinds


@pytest.mark.thorough
def test_done_from_inside_ends_the_stage(adw: Adw) -> None:
    program = f"{adw.command[0]} -m adw_worktree"
    start(adw, "f", phase(1, f"{COMMIT}; {program} phase done; sleep 600"))
    until(adw, "f.1", "completed", "failed")
    work(adw)
    assert statuses(adw, "f") == {1: "completed"}
    assert_over(adw)


def test_a_log_is_followed_to_the_end_of_its_attempt(adw: Adw, tmp_path: Path) -> None:
    hold = f"echo first; while [ ! -f {tmp_path}/go ]; do sleep 0.02; done; echo last"
    start(adw, "f", phase(1, hold, changes="none"))
    until(adw, "f.1", "running")
    settle(lambda: "first" in log_of(adw, "f.1"), "it printed nothing")
    with adw.start("phase", "log", "f.1", "-f") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "first\n"
        (tmp_path / "go").touch()
        assert following.stdout.read() == "last\nattempt 1 ended: completed\n"
    assert following.returncode == 0


@pytest.mark.thorough
def test_doctor_names_what_nobody_sees_to(adw: Adw, tmp_path: Path) -> None:
    running(adw, tmp_path)
    assert not problems(adw) & {"coordinator-missing", "runner-gone"}
    kill_all()
    settle(nothing_is_left, "a process is left")
    bell = state_dir() / "phases" / "coordinator.bell"
    bell.unlink()  # or the examination itself would start another
    assert problems(adw) >= {"coordinator-missing", "runner-gone"}
    assert_done(adw, tmp_path, runs=2)
    assert not problems(adw) & {"coordinator-missing", "runner-gone"}
    (state_dir() / "phases" / "phases.db").write_bytes(b"damaged" * 1000)
    assert "store-unusable" in problems(adw)


def problems(adw: Adw) -> set[str]:
    found = adw("doctor", "--json", code=None).json["problems"]
    return {one["code"] for one in found}


# ---- before anything starts --------------------------------------------------------------------


def test_commands_that_nobody_approved_do_not_start(adw: Adw) -> None:
    file = write_feature(adw, "f", phase(1))
    refused = adw.json("feature", "start", str(file), code=9)["error"]
    assert refused["code"] == "hook-untrusted"
    assert adw.json("feature", "list")["features"] == []
    adw("feature", "start", str(file), "--yes")
    work(adw)


@pytest.mark.thorough
def test_a_slug_is_used_by_one_feature_at_a_time(adw: Adw) -> None:
    file = write_feature(adw, "f", phase(1, "false"))
    adw("feature", "start", str(file), "--yes", "--wait", code=11)
    assert adw.json("feature", "start", str(file), code=7)["error"]["code"] == "feature-exists"
    adw("feature", "cancel", "f")
    adw("feature", "start", str(file))
    work(adw)


def test_no_free_slot_is_waited_for(adw: Adw) -> None:
    for number in range(3):
        adw("reserve", f"r{number}", ADW_SLOTS="3")
    os.environ["ADW_SLOTS"] = "3"
    try:
        start(adw, "f", phase(1))
        settle(lambda: shown(adw, "f.1")["phase"]["awaits_slot"], "it found a slot")
        adw("release", "r1")
        until(adw, "f.1", "completed")
    finally:
        del os.environ["ADW_SLOTS"]
    assert reasons(adw, "f.1")[0] == "no-slot"
    assert state_dir().is_dir()


def _most_at_once(adw: Adw, tmp_path: Path, *flags: str) -> int:
    """Run four phases that note how many run beside them; return the most that did."""
    note = f"mkdir -p {tmp_path}/on; touch {tmp_path}/on/$ADW_PHASE; ls {tmp_path}/on | wc -l"
    line = f"{note} >>{tmp_path}/counts; sleep 0.5; rm {tmp_path}/on/$ADW_PHASE"
    phases = [phase(number, line, changes="none") for number in range(1, 5)]
    adw("feature", "start", str(write_feature(adw, "f", *phases)), "--yes", "--wait", *flags)
    return max(map(int, (tmp_path / "counts").read_text().split()))


@pytest.mark.thorough
def test_the_setting_max_running_bounds_all(adw: Adw, repo: Path, tmp_path: Path) -> None:
    (repo / "adw-worktree.toml").write_text("max_running = 1\n")
    assert _most_at_once(adw, tmp_path) == 1


def test_a_flag_wins_over_the_setting_max_running(adw: Adw, repo: Path, tmp_path: Path) -> None:
    (repo / "adw-worktree.toml").write_text("max_running = 1\n")
    assert _most_at_once(adw, tmp_path, "--max-running", "4") > 1


@pytest.mark.thorough
def test_the_setting_max_running_here_bounds_one_machine(adw: Adw, tmp_path: Path) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("max_running_here = 1\n")
    assert _most_at_once(adw, tmp_path, "--max-running", "4") == 1


# ---- what it did -------------------------------------------------------------------------------


def test_diff_is_of_one_phase_alone(adw: Adw, tmp_path: Path) -> None:
    line = "echo {0} >{0}; git add {0}; git commit -qm {0}"
    start(adw, "f", phase(1, line.format("one")), phase(2, line.format("two")),
          phase(3, f"{line.format('three')}; exit 1"))  # fmt: skip
    work(adw)
    for name, file in (("f.1", "one"), ("f.2", "two"), ("f.3", "three")):
        patch = adw("phase", "diff", name).stdout
        assert [text for text in patch.splitlines() if text.startswith("+++")] == [f"+++ b/{file}"]


def test_diff_of_a_phase_that_never_ran(adw: Adw) -> None:
    start(adw, "f", phase(1, "false"), phase(2, needs=[1]))
    work(adw)
    assert "has changed nothing" in adw("phase", "diff", "f.2", code=6).stderr


@pytest.mark.thorough
def test_an_urgent_feature_goes_before_others(adw: Adw, tmp_path: Path) -> None:
    line = f"echo $ADW_PHASE >>{tmp_path}/order"
    slow, soon = (phase(n, line, changes="none") for n in (1, 1))
    until = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    adw("feature", "start", str(write_feature(adw, "x", phase(1, until, changes="none"))),
        "--yes", "--max-running", "1")  # fmt: skip
    adw("feature", "start", str(write_feature(adw, "slow", slow)), "--yes")
    adw("feature", "start", str(write_feature(adw, "soon", soon)), "--yes", "--priority", "10")
    (tmp_path / "go").touch()
    work(adw)
    assert (tmp_path / "order").read_text().split() == ["soon.1", "slow.1"]
    file = str(write_feature(adw, "y", soon))
    assert "0 to 100" in adw("feature", "start", file, "--yes", "--priority", "101", code=2).stderr
