"""Settings of git that come by the environment (`git -c`, GIT_CONFIG_COUNT): those passed on.

Git passes all of them to whatever it starts, hooks too, and a hook that calls us, or a terminal
in which they are set, may have them for another repository. So what holds here: dropped is what
makes one repository another, and what git runs as a command; kept is all else, and whatever
authenticates, signs or protects although git may run a program for it. A setting that only switches
something off is kept as well. docs/settings.md has the same for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from adw_worktree.system.named_tuple import NamedTuple

_TRUSTED = ("credential", "gpg", "http", "protocol", "safe", "ssh", "url")
"""Sections that are kept whole: they authenticate, sign or protect."""

_ELSEWHERE = (
    "core.bare", "core.repositoryformatversion", "core.worktree", "extensions.*", "include.*",
    "includeif.*", "remote.*.pushurl", "remote.*.url", "submodule.*.url",
)  # fmt: skip
"""What makes one repository another, or reads settings from another place."""

_COMMANDS = (
    "alias.*", "hook.*", "pager.*", "core.alternaterefscommand", "core.editor", "core.fsmonitor",
    "core.gitproxy", "core.hookspath", "core.pager", "diff.external", "init.templatedir",
    "interactive.difffilter", "remote.*.receivepack", "remote.*.uploadpack", "remote.*.vcs",
    "sequence.editor", "submodule.*.update", "uploadpack.packobjectshook", "web.browser",
    "*.clean", "*.cmd", "*.command", "*.driver", "*.path", "*.process", "*.smudge", "*.textconv",
)  # fmt: skip
"""What git, or a program that reads its settings, runs; hooks are commands by their place."""

_OFF = frozenset({"", "false", "no", "off", "0", "/dev/null"})
_ITEM = r"'((?:[^']|'\\['!]')*)'(=(?:'((?:[^']|'\\['!]')*)')?)?(?: +|$)"


class _Setting(NamedTuple):
    """A setting and how it stands in its variable."""

    key: str
    value: str | None
    """None: without one, which is true."""
    text: str = ""


def kept_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that set what is passed on; none where git would not take them."""
    return {**_kept_parameters(environ), **_kept_numbered(environ)}


def is_kept(key: str, value: str | None) -> bool:
    """Whether a setting of git's is passed on."""
    section, _, rest = key.partition(".")
    name = rest.rpartition(".")[2].lower()
    section = section.lower()
    if section in _TRUSTED:
        return True
    # Subsections are names of people's, and may have dots and capitals.
    plain = f"{section}.{'x.' if '.' in rest else ''}{name}"
    if any(fnmatchcase(plain, pattern) for pattern in _ELSEWHERE):
        return False
    is_command = any(fnmatchcase(plain, pattern) for pattern in _COMMANDS)
    return not is_command or (value is not None and value.lower() in _OFF)


def _kept_parameters(environ: Mapping[str, str]) -> dict[str, str]:
    """Return GIT_CONFIG_PARAMETERS, which `git -c` sets, with what is kept."""
    text = environ.get("GIT_CONFIG_PARAMETERS", "").strip(" ")
    kept = [one.text for one in _parameters(text) if is_kept(one.key, one.value)]
    return {"GIT_CONFIG_PARAMETERS": " ".join(kept)} if kept else {}


def _parameters(text: str) -> Iterator[_Setting]:
    """Yield what `git -c` noted: `'key'='value'`, before git 2.31 `'key=value'`; nothing of what
    does not read so to its end."""
    found, rest = [], text
    while rest:
        item = re.match(_ITEM, rest)
        if item is None:
            return
        rest = rest[item.end() :]
        key, value = _unquoted(item[1]), None if item[3] is None else _unquoted(item[3])
        if item[2] is None:
            key, equals, text = key.partition("=")
            value = text if equals else None
        found.append(_Setting(key, value, item[0].strip(" ")))
    yield from found


def _unquoted(text: str) -> str:
    """Return what git's quoting of a text for the shell stands for, less its outer quotes."""
    return re.sub(r"'\\(['!])'", r"\1", text)


def _kept_numbered(environ: Mapping[str, str]) -> dict[str, str]:
    """Return GIT_CONFIG_COUNT and its keys and values, numbered anew, with what is kept."""
    try:
        count = int(environ.get("GIT_CONFIG_COUNT", "") or 0)
        numbers = range(count)
        pairs = [
            (environ[f"GIT_CONFIG_KEY_{n}"], environ[f"GIT_CONFIG_VALUE_{n}"]) for n in numbers
        ]
    except (ValueError, KeyError):
        return {}
    kept = [pair for pair in pairs if is_kept(*pair)]
    found = {"GIT_CONFIG_COUNT": str(len(kept))} if kept else {}
    for number, (key, value) in enumerate(kept):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found
