"""Running the user's own commands around create, finish and remove."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from adw_worktree.errors import HookFailed
from adw_worktree.settings.approvals import _WITHOUT
from adw_worktree.settings.model import Settings
from adw_worktree.system.child_output import has_a_reader, pass_on
from adw_worktree.system.environment import BUSY_VARIABLE, clean_environment
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import is_dir

PREPARE = "prepare"
"""The moment whose commands run in a spare, before it is known whose worktree it will be."""
_MAX_SHOWN = 120
_GRACE_SECONDS = 5.0
_EXIT_MEANINGS = {126: ", it cannot be executed", 127: ", command not found"}


# ---- running ----------------------------------------------------------------------------------


def run_hooks(
    moment: str,
    settings: Settings,
    *,
    cwd: Path,
    variables: Mapping[str, str],
    output: int | None = 2,
) -> None:
    """Run the commands of `moment` in order in `cwd`, with `variables` in their environment.

    `output` is the file descriptor that gets both of their streams; None drops them. What a command
    leaves running may go on writing: nobody waits for its end. Whether the commands are approved is
    for `require_trusted`, before anything is begun.

    Raises HookFailed at the first command that cannot be started or exits non-zero. On Ctrl-C or
    another exception the command is given time to end, then ended, and the exception goes on.
    """
    hook = settings.hooks.get(moment)
    environ = {**clean_environment(), **variables}
    environ.pop(BUSY_VARIABLE, None)
    for command in hook.commands if hook is not None else ():
        reached("user-hook.before")
        _run(moment, command, cwd, environ, output)
        reached("user-hook.after")


def argument_list(command: str | tuple[str, ...]) -> list[str]:
    """Return how a command of `[hooks]` is run: a line by `sh`, an argument list as it is."""
    # `--`: a line that begins with a dash is a command too, not an option of sh.
    return ["sh", "-c", "--", command] if isinstance(command, str) else list(command)


def _run(
    moment: str,
    command: str | tuple[str, ...],
    cwd: Path,
    environ: Mapping[str, str],
    output: int | None,
) -> None:
    argv = argument_list(command)
    piped = output is not None and has_a_reader(output)
    stream = subprocess.DEVNULL if output is None else subprocess.PIPE if piped else output
    try:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    except OSError as exc:
        missing = "" if is_dir(cwd) else f" (there is no directory {cwd})"
        reason = f"could not be started: {exc.strerror}{missing}"
        raise _failed(moment, command, reason) from exc
    except ValueError as exc:  # a NUL byte in a variable
        raise _failed(moment, command, f"could not be started: {exc}") from exc
    status = _wait(child, output)
    if status != 0:
        raise _failed(moment, command, _ending(status))


def _wait(child: subprocess.Popen[bytes], output: int | None) -> int:
    """Return the child's exit status; leave no child behind if something interrupts.

    `output` gets what comes through the child's pipe, if it has one.
    """
    try:
        _pass_output(child, output)
        return child.wait()
    except KeyboardInterrupt:
        # The terminal sent Ctrl-C to the child as well: it may be cleaning up.
        _end(child, output, ask=False)
        raise
    except BaseException:
        _end(child, output, ask=True)
        raise
    finally:
        if child.stdout is not None:
            child.stdout.close()


def _end(child: subprocess.Popen[bytes], output: int | None, *, ask: bool) -> None:
    """Give the child time to end, telling it first if `ask`; then end it."""
    try:
        if ask:
            child.terminate()
        _pass_output(child, output, _GRACE_SECONDS)
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        if not ask:
            _end(child, output, ask=True)
    finally:  # a second Ctrl-C comes through here
        child.kill()
        child.wait()


def _pass_output(
    child: subprocess.Popen[bytes], output: int | None, patience: float | None = None
) -> None:
    if child.stdout is not None and output is not None:
        pass_on(child, child.stdout.fileno(), output, patience)


def _ending(status: int) -> str:
    if status > 0:
        return f"failed with exit status {status}{_EXIT_MEANINGS.get(status, '')}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _failed(moment: str, command: str | tuple[str, ...], reason: str) -> HookFailed:
    return HookFailed(
        f"the {moment} hook `{_shown(command)}` {reason}",
        hint=f"mend the command; {_WITHOUT}",
    )


def _shown(command: str | tuple[str, ...]) -> str:
    """Return the command cut short and on one line, what is not printable escaped."""
    text = command if isinstance(command, str) else shlex.join(command)
    text = text.strip()
    cut = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cut)
