"""stand-in"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from .atomic import write_atomically
from .model import Lease, port_variable


@dataclass(frozen=True, slots=True)
class Header:
    adw_id: str
    slot: int
    worktree: str
    token: str


_H = re.compile(
    r"^# adw-worktree: adw_id=(\S+) slot=(\d+) worktree=(\S*) token=([0-9a-f]{32})$", re.M
)


def render(lease: Lease, *, repo_name: str, template: str | None = None) -> str:
    ls = [
        "# Generated",
        f"# adw-worktree: adw_id={lease.adw_id} slot={lease.slot} worktree={quote(lease.admin_id or '', safe='')} token={lease.token}",
        f"ADW_ID={lease.adw_id}",
        f"ADW_SLOT={lease.slot}",
    ]
    ls += [f"{port_variable(n)}={p}" for n, p in lease.ports.items()]
    ls += [
        f"VITE_BACKEND_URL=http://localhost:{lease.backend}",
        f"COMPOSE_PROJECT_NAME={repo_name}-{lease.adw_id}-{lease.slot}",
    ]
    return "\n".join(ls) + "\n"


def parse_header(text: str) -> Header | None:
    m = _H.search(text)
    return Header(m[1], int(m[2]), unquote(m[3]), m[4]) if m else None


def load_header(path: Path) -> Header | None:
    try:
        return parse_header(path.read_text())
    except (OSError, UnicodeDecodeError):
        return None


def parse_variables(text: str) -> dict[str, str]:
    return dict(l.split("=", 1) for l in text.splitlines() if l and not l.startswith("#"))


def write(worktree: Path, name: str, text: str) -> Path:
    write_atomically(worktree / name, text.encode())
    return worktree / name


def is_ours(header: Header | None, lease: Lease) -> bool:
    return header is not None and (header.adw_id, header.slot, header.worktree, header.token) == (
        lease.adw_id,
        lease.slot,
        lease.admin_id,
        lease.token,
    )
