"""`python -m scripts.docs.many_hosts`: docs/many-hosts-seen.md, from hosts that are really cut off.

Five workers, each in a network of its own, their server and their remote. Linux, as root.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.support import network
from tests.support.features import phase, write_feature
from tests.support.machine import settle
from tests.support.repositories import git
from tests.support.sealed import sealed
from tests.support.storm import LEASE, Storm, storms

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "many-hosts-seen.md"
_ABOUT = f"""\
# Hosts that are cut off: what was seen

`python -m scripts.docs.many_hosts` has made this page: five workers, each in a network namespace of
its own, a PostgreSQL server and a git remote in a sixth. The lease is {LEASE:g} seconds here, so
that nobody has to wait; it is five minutes by default.

## One of five is cut off in the middle of a phase

The phase writes a line each tenth of a second, makes a commit, and is done after eight seconds. Its
host loses its network after two.
"""
_STORM = """\
## {minutes:g} minutes of it

All hosts at once are cut off, cut off in one direction, slowed down, killed, suspended, and have
their worker killed; the server is killed, too. Meanwhile features of five phases are worked on.
What must not be is counted from outside: by what the phases' commands write down while they live,
and by what the remote has in the end.
"""
_MATTERS = ("lost", "applied twice", "twice at once")
_WOKEN = """\
*woken from suspension*: a command that lived on for a moment when its host was let go on after its
lease, until its runner looked at the clock. No lease can exclude that; what it did was not applied.
"""


class Transcript:
    """What happened, with the seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """Note something."""
        line = f"{time.monotonic() - self._began:6.1f} s  {text}"
        print(line, flush=True)
        self.lines.append(line)


def cut_off(storm: Storm, remote: Path, place: Path) -> list[str]:
    """Cut off the host that runs a phase, let it run elsewhere, and the host come back."""
    told, log, person = Transcript(), place / "lived", storm.person
    work = (
        f"for _ in $(seq 80); do echo $ADW_ATTEMPT >>{log}; sleep 0.1; done",
        'echo done >result; git add result; git commit -qm "the work of phase 1"',
    )
    person("feature", "start", str(write_feature(person, "demo", phase(1, *work))), "--yes")
    told.say("feature demo is started, with one phase")
    settle(log.exists, "it does not run")
    first = _attempts(storm)[0]
    number = next(at for at, one in enumerate(storm.hosts) if one.name == first["host"])
    host = storm.hosts[number]
    told.say(f"{host.name} runs demo.1, attempt 1")
    time.sleep(2)
    storm.network.cut(number)
    told.say(f"{host.name} is cut off: nothing reaches it, nothing comes from it")
    lived = _lines(log)
    settle(lambda: _has_stopped(log, first["token"]), "it does not stop")
    told.say(f"the commands of attempt 1 have ended on {host.name}, by its own clock")
    assert _lines(log) > lived
    settle(lambda: len(_attempts(storm)) == 2, "nobody takes over")
    second = _attempts(storm)[1]
    told.say(f"{second['host']} runs demo.1, attempt 2; attempt 1 counts as lost")
    settle(storm.is_done, "it is not completed")
    landed = git("rev-parse", "feature/demo", cwd=remote).strip()
    told.say(f"attempt 2 is completed: feature/demo is at {landed[:10]} on the remote")
    storm.network.heal(number)
    told.say(f"{host.name} is back")
    # It says what an attempt says that is done, and pushes what an attempt pushes.
    report = host("phase", "done", "--attempt", first["token"], code=None)
    told.say(f"it reports attempt 1 as done: {report.stderr.strip().splitlines()[0]}")
    told.say(f"it pushes as attempt 1 would: {_pushed_late(storm, number)}")
    now = git("rev-parse", "feature/demo", cwd=remote).strip()
    assert now == landed
    told.say(f"feature/demo is at {now[:10]} on the remote: nothing was applied twice")
    subjects = git("log", "--format=%s", "feature/demo", cwd=remote).splitlines()
    told.say(f'"the work of phase 1" is in it {subjects.count("the work of phase 1")} time')
    rows = ["| attempt | host | ended as |", "|--:|---|---|"]
    rows += [f"| {at} | {one['host']} | {one['end_reason']} |"
             for at, one in enumerate(_attempts(storm), 1)]  # fmt: skip
    return ["```text", *told.lines, "```", "", *rows, ""]


def _pushed_late(storm: Storm, number: int) -> str:
    """Push from a host with the leases that its first attempt would have; return what git says."""
    host = storm.hosts[number]
    where = ["git", "-C", str(host.directory)]
    marker = "refs/adw-worktree/phases/"
    [name] = [line.split("\t")[1] for line in _git(host.prefix, where, "ls-remote", "origin",
              f"{marker}*").splitlines()]  # fmt: skip
    base = _git(host.prefix, where, "rev-parse", "main").strip()
    done = subprocess.run(
        [*host.prefix, *where, "push", "--atomic", "--porcelain",
         f"--force-with-lease=refs/heads/feature/demo:{base}", f"--force-with-lease={name}:",
         "origin", f"{base}:refs/heads/feature/demo", f"{base}:{name}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    refused = [line.split("\t")[-1] for line in done.stdout.splitlines() if line.startswith("!")]
    return f"{refused[0]} of the branch, {refused[1]} of the marker"


def _git(prefix: object, where: list[str], *words: str) -> str:
    command = [*prefix, *where, *words]  # type: ignore[misc]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _attempts(storm: Storm) -> list[dict[str, str]]:
    attempts: list[dict[str, str]] = storm.person.json("phase", "show", "demo.1")["attempts"]
    return attempts


def _lines(log: Path) -> int:
    return len(log.read_text().splitlines())


def _has_stopped(log: Path, token: str) -> bool:
    before = log.read_text().count(token)
    time.sleep(0.5)
    return log.read_text().count(token) == before


def table(counts: Mapping[str, int]) -> list[str]:
    """Return what was done in a storm, and what must not have been."""
    done = [name for name in counts if name not in _MATTERS]
    names = [*done, *_MATTERS]
    return [
        f"| {' | '.join(names)} |",
        f"|{'--:|' * len(names)}",
        f"| {' | '.join(str(counts.get(name, 0)) for name in names)} |",
        "",
        *([_WOKEN] if counts.get("woken from suspension") else []),
    ]


def main() -> None:
    """Have it happen, and write the page."""
    parser = ArgumentParser(prog="python -m scripts.docs.many_hosts", allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=10.0, help="of the storm (default: 10)")
    args = parser.parse_args()
    lacking = network.lacks()
    if lacking is not None:
        raise SystemExit(lacking)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        place = Path(name)
        with sealed(place), storms(place / "one", 5) as (storm, remote):
            seen = cut_off(storm, remote, place)
        with sealed(place), storms(place / "two", 5) as (storm, remote):
            rng = random.Random(19)
            storm.start_feature(rng)
            storm.blow(rng, 60 * args.minutes)
            storm.wait()
            counts: Counter[str] = storm.judge(remote)
            print(*storm.faults, sep="\n")
    lines = [_ABOUT, *seen, _STORM.format(minutes=args.minutes), *table(counts)]
    _PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"wrote {_PAGE}")


if __name__ == "__main__":
    main()
