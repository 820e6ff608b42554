"""The user's commands and their approval. Real commands, real signals, real files."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from adw_worktree.errors import HookFailed, HookUntrusted, LedgerTooNew, LockTimeout
from adw_worktree.settings.approvals import (
    commands_digest,
    is_trusted,
    require_trusted,
    revoke,
    trust,
)
from adw_worktree.settings.model import HookCommands, Settings
from adw_worktree.system.environment import BUSY_VARIABLE
from adw_worktree.system.locks import held
from adw_worktree.worktrees.user_hooks import run_hooks
from tests.support.checkout import CHECKOUT

Command = str | tuple[str, ...]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def common(tmp_path: Path) -> Path:
    directory = tmp_path / "repo" / ".git"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[int]:
    """Return a descriptor of the file `out`, for what commands print."""
    descriptor = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    yield descriptor
    os.close(descriptor)


def asking(*commands: Command, moment: str = "post-create", repository: bool = True) -> Settings:
    return Settings()._replace(hooks={moment: HookCommands(commands, repository)})


def digest_of(*commands: Command, moment: str = "post-create") -> str:
    digest = commands_digest(asking(*commands, moment=moment))
    assert digest is not None
    return digest


# ---- trust ------------------------------------------------------------------------------------


def test_only_commands_of_the_repository_have_a_digest() -> None:
    assert commands_digest(Settings()) is None
    assert commands_digest(asking("make", repository=False)) is None
    assert commands_digest(asking()) is None


def test_the_digest_tells_every_difference_of_text_moment_and_form() -> None:
    # Two texts with one digest: approving the first would run the second unseen.
    digests = {
        digest_of("make"),
        digest_of("make "),
        digest_of(("make",)),
        digest_of("make", "make"),
        digest_of("make\nmake"),
        digest_of(("make", "make")),
        digest_of("make", moment="pre-remove"),
    }
    assert len(digests) == 7


def test_the_digest_ignores_the_order_of_moments_and_the_users_own_commands() -> None:
    one, two = HookCommands(("a",), True), HookCommands(("b",), True)
    own = HookCommands(("c",), False)
    first = Settings()._replace(hooks={"pre-create": one, "post-create": two})
    second = Settings()._replace(hooks={"post-create": two, "pre-create": one, "pre-remove": own})
    assert commands_digest(first) == commands_digest(second)


def test_trust_holds_for_this_repository_and_these_commands_alone(
    state: Path, common: Path, tmp_path: Path
) -> None:
    trust(state, common, digest_of("make"), lock_timeout=5)
    assert is_trusted(state, common, digest_of("make"))
    assert not is_trusted(state, common, digest_of("make evil"))
    assert not is_trusted(state, tmp_path, digest_of("make"))


def test_the_record_is_private(state: Path, common: Path) -> None:
    trust(state, common, "d", lock_timeout=5)
    assert stat.S_IMODE((state / "trust.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_the_latest_twenty_approvals_are_kept(state: Path, common: Path) -> None:
    for number in range(22):
        trust(state, common, f"d{number}", lock_timeout=5)
        trust(state, common, "first", lock_timeout=5)
    assert is_trusted(state, common, "first")
    assert [is_trusted(state, common, f"d{n}") for n in (2, 3, 21)] == [False, True, True]


def test_revoke_forgets_every_approval_of_this_repository_alone(
    state: Path, common: Path, tmp_path: Path
) -> None:
    for place in (common, tmp_path):
        trust(state, place, "a", lock_timeout=5)
        trust(state, place, "b", lock_timeout=5)
    assert revoke(state, common, lock_timeout=5) is True
    assert revoke(state, common, lock_timeout=5) is False
    assert [is_trusted(state, common, one) for one in "ab"] == [False, False]
    assert [is_trusted(state, tmp_path, one) for one in "ab"] == [True, True]


def test_parallel_approvals_are_all_recorded(state: Path, tmp_path: Path) -> None:
    places = [tmp_path / f"r{number}" for number in range(16)]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda place: trust(state, place, "d", lock_timeout=30), places))
    assert all(is_trusted(state, place, "d") for place in places)


def test_a_held_lock_is_reported(state: Path, common: Path) -> None:
    with held(state / "trust.lock", 5, "it"), pytest.raises(LockTimeout):
        trust(state, common, "d", lock_timeout=0.05)


def test_a_repository_with_a_hostile_path_can_be_trusted(state: Path, tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b'-x\n"$(id)"\xff')
    trust(state, place, "d", lock_timeout=5)
    assert is_trusted(state, place, "d")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["schema_version", "repositories", "/r", "x"]), inner, max_size=3
        )
    ),
)
DAMAGED = [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"schema_version": true}',
           b'{"schema_version": 1, "repositories": {"x": "abc"}}',
           b'{"schema_version": 1, "repositories": {"x": [1]}}']  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_approves_nothing_and_is_set_aside_unchanged(
    state: Path, common: Path, content: bytes
) -> None:
    # Overwriting it would lose approvals that a person could still read out of it.
    state.mkdir()
    (state / "trust.json").write_bytes(content)
    assert not is_trusted(state, common, "d")
    assert revoke(state, common, lock_timeout=5) is False
    assert (state / "trust.json").read_bytes() == content
    trust(state, common, "d", lock_timeout=5)
    assert is_trusted(state, common, "d")
    (aside,) = state.glob("trust.json.corrupt-*")
    assert aside.read_bytes() == content


@pytest.mark.thorough
@hypothesis_settings(deadline=None)
@given(st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_an_approval(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    state = tmp_path_factory.mktemp("state")
    (state / "trust.json").write_bytes(content)
    assert is_trusted(state, Path("/r"), "0" * 64) is False


def test_a_later_versions_record_is_left_untouched(state: Path, common: Path) -> None:
    state.mkdir()
    content = json.dumps({"schema_version": 2, "repositories": {str(common): ["d"]}})
    (state / "trust.json").write_text(content)
    assert not is_trusted(state, common, "d")
    with pytest.raises(LedgerTooNew):
        trust(state, common, "d", lock_timeout=5)
    assert (state / "trust.json").read_text() == content
    assert list(state.glob("*.corrupt-*")) == []


def test_unapproved_commands_are_refused_with_their_count(state: Path, common: Path) -> None:
    with pytest.raises(HookUntrusted) as caught:
        require_trusted(asking("a", "b"), state, common, ["pre-create", "post-create"])
    assert "2 commands (post-create)" in caught.value.message
    assert "adw-worktree.toml or pyproject.toml" in caught.value.message
    assert "nothing was run" in caught.value.message
    assert "adw-worktree trust" in (caught.value.hint or "")


def test_approval_lets_the_same_commands_pass_until_they_change(state: Path, common: Path) -> None:
    trust(state, common, digest_of("a"), lock_timeout=5)
    require_trusted(asking("a"), state, common, ["post-create"])
    with pytest.raises(HookUntrusted):
        require_trusted(asking("b"), state, common, ["post-create"])


@pytest.mark.parametrize(
    "chosen", [Settings(), asking("a", repository=False), asking("a", moment="pre-remove")]
)
def test_no_approval_is_asked_for_without_repository_commands_at_that_moment(
    state: Path, common: Path, chosen: Settings
) -> None:
    require_trusted(chosen, state, common, ["pre-create", "post-create"])


# ---- running ----------------------------------------------------------------------------------


def test_commands_run_in_order_in_the_directory_with_the_variables(
    tmp_path: Path, sink: int
) -> None:
    chosen = asking(
        'printf "1 %s\\n" "$ADW_ID"',
        ("sh", "-c", 'printf "2 %s\\n" "$1"; pwd', "sh", "$(id) 'x'"),
    )
    cwd = tmp_path / "a b"
    cwd.mkdir()
    run_hooks("post-create", chosen, cwd=cwd, variables={"ADW_ID": "x;y"}, output=sink)
    assert (tmp_path / "out").read_text() == f"1 x;y\n2 $(id) 'x'\n{cwd}\n"


def test_another_moments_commands_do_not_run(tmp_path: Path) -> None:
    run_hooks("pre-create", asking("touch ran"), cwd=tmp_path, variables={})
    assert not (tmp_path / "ran").exists()


def test_gits_repository_variables_do_not_reach_a_command(
    tmp_path: Path, sink: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A git command in a hook would otherwise commit into the repository that called us.
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", BUSY_VARIABLE):
        monkeypatch.setenv(name, "/elsewhere")
    run_hooks("post-create", asking("env"), cwd=tmp_path, variables={"ADW_ID": "x"}, output=sink)
    names = {line.partition("=")[0] for line in (tmp_path / "out").read_text().splitlines()}
    assert "ADW_ID" in names
    assert not names & {"GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", BUSY_VARIABLE}


def test_by_default_both_streams_go_to_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Our stdout is the answer that programs parse.
    run_hooks("post-create", asking("echo a; echo b >&2"), cwd=tmp_path, variables={})
    assert tuple(capfd.readouterr()) == ("", "a\nb\n")


def test_without_a_descriptor_the_output_is_dropped(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chosen = asking("echo a; echo b >&2; touch ran")
    run_hooks("post-create", chosen, cwd=tmp_path, variables={}, output=None)
    assert tuple(capfd.readouterr()) == ("", "")
    assert (tmp_path / "ran").exists()


def test_stdin_is_empty(tmp_path: Path, sink: int) -> None:
    run_hooks("post-create", asking("cat; echo end"), cwd=tmp_path, variables={}, output=sink)
    assert (tmp_path / "out").read_text() == "end\n"


def test_the_first_failure_ends_the_row_and_is_named(tmp_path: Path, sink: int) -> None:
    chosen = asking("touch one", "exit 3", "touch two")
    with pytest.raises(HookFailed) as caught:
        run_hooks("post-create", chosen, cwd=tmp_path, variables={}, output=sink)
    assert caught.value.message == "the post-create hook `exit 3` failed with exit status 3"
    assert "--no-hooks" in (caught.value.hint or "")
    assert (tmp_path / "one").exists()
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("no-such-command-here", "127, command not found"),
        ("./plain", "126, it cannot be executed"),
        (("no-such-command-here", "x"), "could not be started: No such file"),
        (("./plain",), "could not be started: Permission denied"),
        ("kill -9 $$", "was ended by SIGKILL"),
        ("-x", "127, command not found"),
    ],
)
def test_a_command_that_cannot_run_or_is_killed_says_how(
    tmp_path: Path, sink: int, command: Command, reason: str
) -> None:
    (tmp_path / "plain").write_text("echo\n")
    with pytest.raises(HookFailed) as caught:
        run_hooks("post-create", asking(command), cwd=tmp_path, variables={}, output=sink)
    assert reason in caught.value.message


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(HookFailed, match="there is no directory"):
        run_hooks("post-create", asking("true"), cwd=tmp_path / "gone", variables={})


def test_a_hostile_command_is_shown_on_one_short_line(tmp_path: Path, sink: int) -> None:
    command = "exit 4 # \n\x1b[2J\r" + "x" * 5000
    with pytest.raises(HookFailed) as caught:
        run_hooks("post-create", asking(command), cwd=tmp_path, variables={}, output=sink)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


_RUNNER = """
import sys, signal
from pathlib import Path
from adw_worktree.settings.model import HookCommands, Settings
from adw_worktree.worktrees.user_hooks import run_hooks
def leave(number, frame):
    raise SystemExit(143)
signal.signal(signal.SIGTERM, leave)
hooks = {"post-create": HookCommands((sys.argv[1],))}
try:
    run_hooks("post-create", Settings(hooks=hooks), cwd=Path.cwd(), variables={})
except KeyboardInterrupt:
    sys.exit(130)
"""
# The shell writes `ready` when its trap is set, and `ended` when it was given time to end.
_SLOW = "trap 'sleep 0.6; touch ended; exit 1' INT TERM; touch ready; while :; do sleep 0.05; done"


def start_runner(cwd: Path, command: str) -> subprocess.Popen[bytes]:
    """Start `command` as a hook in a process group of its own; return when it is running."""
    runner = subprocess.Popen(
        [sys.executable, "-c", _RUNNER, command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        process_group=0,
    )
    while not (cwd / "ready").exists():
        assert runner.poll() is None
    # The command runs; give the runner time to have come from starting it to waiting for it.
    time.sleep(0.5)
    return runner


def test_ctrl_c_lets_the_command_end_and_goes_on(tmp_path: Path) -> None:
    # A terminal sends it to the whole group: killing the command would cut its clean-up short.
    runner = start_runner(tmp_path, _SLOW)
    os.killpg(runner.pid, signal.SIGINT)
    assert runner.wait(60) == 130
    assert (tmp_path / "ended").exists()


@pytest.mark.thorough
def test_an_interrupt_of_ours_alone_ends_the_command_too(tmp_path: Path) -> None:
    runner = start_runner(tmp_path, _SLOW)
    os.kill(runner.pid, signal.SIGINT)
    assert runner.wait(60) == 130
    assert (tmp_path / "ended").exists()


def test_being_terminated_ends_the_command_too(tmp_path: Path) -> None:
    runner = start_runner(tmp_path, _SLOW)
    os.kill(runner.pid, signal.SIGTERM)
    assert runner.wait(60) == 143
    assert (tmp_path / "ended").exists()


@pytest.mark.thorough
def test_a_command_that_ignores_every_signal_is_killed(tmp_path: Path) -> None:
    command = "trap '' INT TERM; echo $$ > pid; touch ready; while :; do sleep 0.05; done"
    runner = start_runner(tmp_path, command)
    os.kill(runner.pid, signal.SIGTERM)
    assert runner.wait(60) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
