"""Reading settings: layers, checks, places. Real files; the environment is always an argument."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from adw_worktree.errors import SettingsError
from adw_worktree.settings.check import MOMENTS, TAKES
from adw_worktree.settings.load import load_settings
from adw_worktree.settings.model import DEFAULT_SERVICES, HookCommands, Postgres, Settings
from adw_worktree.settings.places import (
    branch_name,
    ledger_path,
    state_directory,
    user_config_path,
    worktree_path,
)
from tests.support.checkout import CHECKOUT


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "app"
    directory.mkdir()
    return directory


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "user"), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def write_own(home: Path, text: str) -> Path:
    path = home / "adw-worktree.toml"
    path.write_text(text, encoding="utf-8")
    return path


def write_user(environ: dict[str, str], text: str) -> Path:
    path = user_config_path(environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(home: Path | None, environ: dict[str, str]) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(home, environ=environ)
    assert "\n" not in caught.value.message
    assert "pydantic" not in caught.value.message.lower()
    return caught.value


# ---- layers -----------------------------------------------------------------------------------


def test_without_files_and_variables_the_defaults_hold(home: Path, environ: dict[str, str]) -> None:
    assert load_settings(home, environ=environ) == Settings()
    assert load_settings(None, environ=environ) == Settings()


@pytest.mark.parametrize(
    "pyproject", [None, "[project]\nname = 'x'\n", "this = is = not TOML, and not ours\n"]
)
def test_without_settings_neither_pydantic_nor_tomllib_is_imported(
    home: Path, environ: dict[str, str], pyproject: str | None
) -> None:
    if pyproject is not None:
        (home / "pyproject.toml").write_text(pyproject)
    code = (
        "import sys; from pathlib import Path; from adw_worktree.settings.load import *;"
        "load_settings(Path(sys.argv[1]));"
        "slow = {'pydantic', 'tomllib', 'platformdirs', 'difflib'} & {*sys.modules};"
        "sys.exit(' '.join(slow) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(home)],
        env={**environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_every_setting_has_a_key_and_every_key_a_setting() -> None:
    assert set(TAKES) == set(Settings._fields)


def test_the_documentation_lists_every_key_and_moment() -> None:
    lines = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8").splitlines()
    rows = {line.split("|")[1].strip() for line in lines if line.startswith("| `")}
    assert {f"`{name}`" for name in (*TAKES, *MOMENTS)} <= rows


def test_repository_file_gives_every_setting(home: Path, environ: dict[str, str]) -> None:
    write_own(
        home,
        """
        worktree_path = "../{repo}.trees/{branch}"
        ledger = "state/ports.json"
        branch_name = "adw/{adw_id}"
        base = "origin/main"
        remote = "upstream"
        env_file = ".env.adw"
        template = "config/env.tmpl"
        slots = 50
        adopt = true
        submodules = false
        lock_timeout = 3
        trash_days = 0
        spares = 1
        [services]
        docs = 9300
        [hooks]
        pre-create = "true"
        """,
    )
    assert load_settings(home, environ=environ) == Settings(
        worktree_path="../{repo}.trees/{branch}",
        ledger="state/ports.json",
        branch_name="adw/{adw_id}",
        base="origin/main",
        remote="upstream",
        env_file=".env.adw",
        template="config/env.tmpl",
        services={"backend": 9100, "frontend": 9200, "docs": 9300},
        slots=50,
        adopt=True,
        submodules=False,
        lock_timeout=3.0,
        trash_days=0.0,
        spares=1,
        hooks={"pre-create": HookCommands(("true",), from_repository=True)},
    )


def test_pyproject_table_is_read(home: Path, environ: dict[str, str]) -> None:
    (home / "pyproject.toml").write_text("[tool.adw-worktree]\nslots = 7\n")
    assert load_settings(home, environ=environ).slots == 7


def test_bare_repository_reads_only_its_own_file(home: Path, environ: dict[str, str]) -> None:
    (home / "pyproject.toml").write_text("[tool.adw-worktree]\nslots = 7\n")
    assert load_settings(home, bare=True, environ=environ).slots == 100
    write_own(home, "slots = 8")
    assert load_settings(home, bare=True, environ=environ).slots == 8


def test_two_repository_files_with_settings_are_refused_naming_both(
    home: Path, environ: dict[str, str]
) -> None:
    own = write_own(home, "slots = 5")
    shared = home / "pyproject.toml"
    shared.write_text("[tool.adw-worktree]\nslots = 7\n")
    message = refusal(home, environ).message
    assert str(own) in message
    assert str(shared) in message


def test_an_empty_repository_file_does_not_count(home: Path, environ: dict[str, str]) -> None:
    write_own(home, "# nothing yet\n")
    (home / "pyproject.toml").write_text("[tool.adw-worktree]\nslots = 7\n")
    assert load_settings(home, environ=environ).slots == 7


def test_user_file_wins_over_repository_and_variable_over_both(
    home: Path, environ: dict[str, str]
) -> None:
    write_own(home, "slots = 5\nbase = 'a'\nadopt = true")
    write_user(environ, "slots = 6\nbase = 'b'")
    loaded = load_settings(home, environ={**environ, "ADW_SLOTS": "7"})
    assert (loaded.slots, loaded.base, loaded.adopt) == (7, "b", True)


def test_services_and_hooks_are_laid_over_one_another_by_name(
    home: Path, environ: dict[str, str]
) -> None:
    write_own(
        home,
        "[services]\ndocs = 9300\nbackend = 9000\n[hooks]\npre-create='a'\npost-create=['b', 'c']",
    )
    write_user(environ, "[services]\ndocs = 9400\n[hooks]\npost-create = [['d', 'e f'], 'g']")
    loaded = load_settings(home, environ={**environ, "ADW_SERVICES": "docs=9500,api-2=9600"})
    assert loaded.services == {"backend": 9000, "frontend": 9200, "docs": 9500, "api-2": 9600}
    assert loaded.hooks == {
        "pre-create": HookCommands(("a",), from_repository=True),
        "post-create": HookCommands((("d", "e f"), "g"), from_repository=False),
    }


def test_postgres_is_laid_over_key_by_key_and_what_the_repository_asks_is_known(
    home: Path, environ: dict[str, str]
) -> None:
    write_own(home, "[postgres]\nurl = 'postgresql://theirs/'\ntemplate = 'dev'")
    loaded = load_settings(home, environ=environ).postgres
    assert loaded == Postgres(
        url="postgresql://theirs/",
        template="dev",
        asked=(
            "postgres.enabled=True",
            "postgres.template=dev",
            "postgres.url=postgresql://theirs/",
        ),
    )
    write_user(environ, "[postgres]\nurl = 'postgresql://mine/'")
    loaded = load_settings(home, environ=environ).postgres
    assert loaded == Postgres("postgresql://mine/", "dev", asked=("postgres.template=dev",))
    write_user(environ, "[postgres]\nenabled = false")
    assert load_settings(home, environ=environ).postgres is None


def test_user_file_can_silence_a_hook_of_the_repository(
    home: Path, environ: dict[str, str]
) -> None:
    write_own(home, "[hooks]\npost-create = 'make'")
    write_user(environ, "[hooks]\npost-create = []")
    assert load_settings(home, environ=environ).hooks == {"post-create": HookCommands()}


def test_every_variable_is_read(home: Path, environ: dict[str, str]) -> None:
    environ |= {
        "ADW_WORKTREE_PATH": "/srv/{adw_id}",
        "ADW_LEDGER": "l.json",
        "ADW_BRANCH_NAME": "x-{adw_id}",
        "ADW_BASE": "v1",
        "ADW_REMOTE": "up",
        "ADW_ENV_FILE": ".e",
        "ADW_TEMPLATE": "t",
        "ADW_SERVICES": "backend=20000,frontend=21000",
        "ADW_SLOTS": "12",
        "ADW_ADOPT": "yes",
        "ADW_SUBMODULES": "OFF",
        "ADW_LOCK_TIMEOUT": "0.5",
        "ADW_TRASH_DAYS": "1.5",
        "ADW_SPARES": "2",
    }
    assert load_settings(home, environ=environ) == Settings(
        worktree_path="/srv/{adw_id}",
        ledger="l.json",
        branch_name="x-{adw_id}",
        base="v1",
        remote="up",
        env_file=".e",
        template="t",
        services={"backend": 20000, "frontend": 21000},
        slots=12,
        adopt=True,
        submodules=False,
        lock_timeout=0.5,
        trash_days=1.5,
        spares=2,
    )


def test_empty_and_foreign_variables_are_ignored(home: Path, environ: dict[str, str]) -> None:
    environ |= {"ADW_SLOTS": "", "ADW_ID": "x", "ADW_SLOT": "3", "ADW_HOOKS": "evil"}
    assert load_settings(home, environ=environ) == Settings()


def test_without_home_there_is_no_user_file(home: Path) -> None:
    assert load_settings(home, environ={}) == Settings()


# ---- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("slots = 'many'", "slots"),
        ("slots = true", "slots"),
        ("slots = 1.0", "slots"),
        ("slots = 0", "slots"),
        ("slots = 10001", "slots"),
        ("slots = 0x" + "f" * 9000, "slots"),
        ("adopt = 1", "adopt"),
        ("submodules = 'yes'", "submodules"),
        ("lock_timeout = 0", "lock_timeout"),
        ("lock_timeout = -1", "lock_timeout"),
        ("lock_timeout = 3601", "lock_timeout"),
        ("lock_timeout = nan", "lock_timeout"),
        ("lock_timeout = inf", "lock_timeout"),
        ("lock_timeout = true", "lock_timeout"),
        ("base = 3", "base"),
        ("base = ''", "base"),
        ("base = '--output=x'", "base"),
        ("remote = '--upload-pack=x'", "remote"),
        ('remote = "a\\nb"', "remote"),
        ("branch_name = 'fixed'", "branch_name"),
        ("branch_name = '-{adw_id}'", "branch_name"),
        ("branch_name = '{branch}{adw_id}'", "branch_name"),
        ("env_file = 'a/b'", "env_file"),
        ("env_file = '.'", "env_file"),
        ("env_file = '..'", "env_file"),
        ("env_file = '.git'", "env_file"),
        ("env_file = '.GIT'", "env_file"),
        ("env_file = ''", "env_file"),
        ("env_file = ' '", "env_file"),
        ('env_file = "a\\u0007"', "env_file"),
        ("env_file = '" + "a" * 300 + "'", "env_file"),
        ("ledger = '/etc/ports.json'", "ledger"),
        ("ledger = '../ports.json'", "ledger"),
        ("ledger = 'a/../../ports.json'", "ledger"),
        ("ledger = '.git/config'", "ledger"),
        ("ledger = '~/ports.json'", "ledger"),
        ("ledger = 'agents/'", "ledger"),
        ("ledger = 'x.lock'", "ledger"),
        ("ledger = '{adw_id}.json'", "ledger"),
        ("template = '/etc/passwd'", "template"),
        ("template = '../x'", "template"),
        ("template = '.git/x'", "template"),
        ("worktree_path = 'trees'", "worktree_path"),
        ("worktree_path = '{repo}'", "worktree_path"),
        ("worktree_path = 'trees/{id}/{adw_id}'", "worktree_path"),
        ("worktree_path = 'trees/{adw_id'", "worktree_path"),
        ("worktree_path = 'trees/{{adw_id}}'", "worktree_path"),
        ("worktree_path = 'trees/{adw_id}/..'", "worktree_path"),
        ("worktree_path = 'a/../{adw_id}'", "worktree_path"),
        ("worktree_path = '.git/{adw_id}'", "worktree_path"),
        ("worktree_path = '{home}/.git/{adw_id}'", "worktree_path"),
        ("worktree_path = '../x/.Git/{adw_id}'", "worktree_path"),
        ("worktree_path = 'x/{home}/{adw_id}'", "worktree_path"),
        ("worktree_path = '~/{adw_id}'", "worktree_path"),
        ('worktree_path = "{adw_id}\\u0000"', "worktree_path"),
        ("services = 3", "services"),
        ("services.backend = 1023", "services.backend"),
        ("services.backend = 65536", "services.backend"),
        ("services.backend = '9100'", "services.backend"),
        ("services.Docs = 9300", "services.Docs"),
        ("services.my_api = 9300", "services.my_api"),
        ("services.'' = 9300", "services."),
        ("services." + "a" * 33 + " = 9300", "services.a"),
        ('services."a\\nb" = 9300', "services.a\\nb"),
        ("values = 'x'", "values"),
        ("values.PORT = 1", "values.PORT"),
        ("values.a-b = 'x'", "values.a-b"),
        ("values.exported = 'x'", "values.exported"),
        ("values.ADW_SLOT = '1'", "values.ADW_SLOT"),
        ("values.ADW_ID = '1'", "values.ADW_ID"),
        ('values.A = "a\\nb"', "values.A"),
        ("write = 'vite'", "write"),
        ("write = ['vim']", "write (entry 1)"),
        ("write = ['vite:']", "write (entry 1)"),
        ("write = ['vite:../x']", "write (entry 1)"),
        ("write = ['vite:/x']", "write (entry 1)"),
        ("write = ['vite:.git']", "write (entry 1)"),
        ("container_ports.backend = 0", "container_ports.backend"),
        ("container_ports.Backend = 80", "container_ports.Backend"),
        ("postgres = true", "postgres"),
        ("postgres.enabled = 1", "postgres.enabled"),
        ("postgres.url = 5432", "postgres.url"),
        ("postgres.url = 'localhost'", "postgres.url"),
        ("postgres.url = 'postgresql://h/?dbname=x'", "postgres.url"),
        ("postgres.template = ''", "postgres.template"),
        ("postgres.database = 'app'", "postgres.database"),
        ("postgres.database = '{slot}{path}'", "postgres.database"),
        ("postgres.variable = 'a-b'", "postgres.variable"),
        ("postgres.host = 'h'", "postgres.host"),
        ("hooks = 'make'", "hooks"),
        ("hooks.post-create = 3", "hooks.post-create"),
        ("hooks.post-create = ''", "hooks.post-create"),
        ("hooks.post-create = [[]]", "hooks.post-create"),
        ("hooks.post-create = [['']]", "hooks.post-create"),
        ("hooks.post-create = [['a', 1]]", "hooks.post-create"),
        ("hooks.post-create = [['a', ['b']]]", "hooks.post-create"),
        ('hooks.post-create = "a\\u0000b"', "hooks.post-create"),
        ("hooks.post_create = 'make'", "hooks.post_create"),
    ],
)
def test_a_wrong_value_is_refused_naming_file_and_key(
    home: Path, environ: dict[str, str], text: str, key: str
) -> None:
    path = write_own(home, text)
    assert f"{path}: {key}" in refusal(home, environ).message.replace("unknown key ", "")


def test_a_wrong_type_says_what_is_allowed_and_what_was_given(
    home: Path, environ: dict[str, str]
) -> None:
    path = write_user(environ, "slots = 'many'")
    message = refusal(home, environ).message
    assert message == f'{path}: slots must be a whole number from 1 to 10000, not "many"'


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("[postgres]\nenabled = 5", "postgres.enabled must be true or false, not 5", "adw-"),
        ("[postgres]\nurl = 5", "postgres.url must be a text, not 5", "adw-worktree help"),
        ("[values]\nADW_ID = 'x'", "values.ADW_ID is set already", "choose another name, or"),
        ("[services]\nBAD = 5000", "services.BAD is no name of a service", "choose another name"),
        ("[services]\nweb = 5", "services.web must be a whole number from 1024", "adw-worktree"),
        ("include = ['a', '']", "include (entry 2) must not be empty", "include (entry 2) takes"),
        ("write = ['vim']", "write (entry 1) must be one of compose, ", "adw-worktree help"),
        (
            "write = ['vite:/x']",
            "write (entry 1) has a directory that must be a path",
            "write (entry 1)",
        ),
        ("hooks.pre-create = 5", "hooks.pre-create must be a command line", "adw-worktree help"),
    ],
)
def test_a_wrong_value_below_a_key_says_what_that_one_takes(
    home: Path, environ: dict[str, str], text: str, said: str, hint: str
) -> None:
    path = write_own(home, text)
    error = refusal(home, environ)
    assert error.message.startswith(f"{path}: {said}")
    assert error.hint is not None
    assert error.hint.startswith(hint)


def test_a_table_in_a_variable_is_asked_for_as_a_variable_takes_it(
    home: Path, environ: dict[str, str]
) -> None:
    environ["ADW_CONTAINER_PORTS"] = "abc"
    assert "such as backend=8000,frontend=5173, not" in refusal(home, environ).message


def test_ports_that_overlap_name_each_place_that_says_so(
    home: Path, environ: dict[str, str]
) -> None:
    path = write_own(home, "[services]\nbackend = 9000\nfrontend = 9100")
    environ["ADW_SLOTS"] = "200"
    message = refusal(home, environ).message
    assert message.startswith(f"{path} and the variable ADW_SLOTS: ")


def test_a_settings_file_that_is_none_says_what_mends_it(
    home: Path, environ: dict[str, str]
) -> None:
    path = home / "adw-worktree.toml"
    path.mkdir()
    assert refusal(home, environ).hint == "put a file in its place"
    path.rmdir()
    path.symlink_to(path)
    assert refusal(home, environ).hint == "put a file, or a link to one, in its place"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("slot = 5", "slots"),
        ("env-file = 'x'", "env_file"),
        ("[hooks]\npost_create = 'x'", "post-create"),
        ("[hooks]\npostcreate = 'x'", "post-create"),
        ("[postgres]\ntemplates = 'x'", "template"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    home: Path, environ: dict[str, str], text: str, meant: str
) -> None:
    path = write_own(home, text)
    error = refusal(home, environ)
    assert error.message.startswith(f"{path}: unknown key ")
    assert error.hint is not None
    assert error.hint.startswith(f"did you mean {meant}? The keys are ")
    below = {"[hooks]": MOMENTS, "[postgres]": ("url", "template", "database", "variable")}
    assert all(key in error.hint for key in below.get(text.partition("\n")[0], TAKES))


def test_the_pyproject_heading_in_the_own_file_is_explained(
    home: Path, environ: dict[str, str]
) -> None:
    write_own(home, "[tool.adw-worktree]\nslots = 5")
    assert "without [tool.adw-worktree]" in (refusal(home, environ).hint or "")


def test_a_pyproject_entry_that_is_no_table_is_refused(home: Path, environ: dict[str, str]) -> None:
    (home / "pyproject.toml").write_text("[tool]\nadw-worktree = 3\n")
    assert "[tool.adw-worktree] must be a table, not 3" in refusal(home, environ).message


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ADW_SLOTS", "ten"),
        ("ADW_SLOTS", "1_0"),
        ("ADW_SLOTS", "9" * 5000),
        ("ADW_ADOPT", "maybe"),
        ("ADW_LOCK_TIMEOUT", "nan"),
        ("ADW_LOCK_TIMEOUT", "1e3"),
        ("ADW_SERVICES", "backend"),
        ("ADW_SERVICES", "backend=9100,"),
        ("ADW_SERVICES", "backend=9100,,docs=9300"),
        ("ADW_SERVICES", "backend=9100,backend=9300"),
        ("ADW_SERVICES", "Docs=9300"),
        ("ADW_WORKTREE_PATH", "trees"),
        ("ADW_ENV_FILE", os.fsdecode(b"\xff")),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(
    home: Path, environ: dict[str, str], variable: str, text: str
) -> None:
    message = refusal(home, {**environ, variable: text}).message
    assert message.startswith(f"the variable {variable}: ")
    assert len(message) < 400
    message.encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"slots = 5\nslots = = 6\n", "line 2"),
        (b"slots = 5\nbase = '\xff'\n", "line 2 is not UTF-8"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = " + b"9" * 10_000, "not valid TOML"),
        (b"#" * (1024 * 1024 + 1), "larger than 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_refused_by_name(
    home: Path, environ: dict[str, str], content: bytes, reason: str
) -> None:
    path = home / "adw-worktree.toml"
    path.write_bytes(content)
    message = refusal(home, environ).message
    assert str(path) in message
    assert reason in message


def test_a_directory_or_fifo_in_place_of_the_file_is_refused(
    home: Path, environ: dict[str, str]
) -> None:
    path = home / "adw-worktree.toml"
    path.mkdir()
    assert "no regular file" in refusal(home, environ).message
    path.rmdir()
    os.mkfifo(path)
    assert "no regular file" in refusal(home, environ).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_read_permission_is_refused(home: Path, environ: dict[str, str]) -> None:
    write_own(home, "slots = 5").chmod(0)
    assert "cannot be read" in refusal(home, environ).message


def test_a_byte_order_mark_is_no_fault(home: Path, environ: dict[str, str]) -> None:
    (home / "adw-worktree.toml").write_bytes(b"\xef\xbb\xbfslots = 5\n")
    assert load_settings(home, environ=environ).slots == 5


def test_overlapping_port_ranges_are_refused_across_layers(
    home: Path, environ: dict[str, str]
) -> None:
    # Two services on one port: each slot's second server would fail to start.
    path = write_own(home, "[services]\ndocs = 9250")
    message = refusal(home, environ).message
    assert message.startswith(f"{path}: ")
    assert "frontend" in message
    assert "docs" in message
    path.unlink()
    assert "ADW_SLOTS" in refusal(home, {**environ, "ADW_SLOTS": "101"}).message
    assert load_settings(home, environ={**environ, "ADW_SLOTS": "100"}).slots == 100


def test_ranges_past_the_last_port_are_refused(home: Path, environ: dict[str, str]) -> None:
    write_own(home, "services.docs = 65437")
    assert "65536" in refusal(home, environ).message
    write_own(home, "services.docs = 65436")
    assert load_settings(home, environ=environ).services["docs"] == 65436


# ---- any input at all -------------------------------------------------------------------------

_KEYS = st.sampled_from([*TAKES, *MOMENTS, "backend", "tool", "adw-worktree"]) | st.text(max_size=5)
_SCALARS = (
    st.text(max_size=12)
    | st.integers()
    | st.booleans()
    | st.floats()
    | st.sampled_from(["{adw_id}", "{branch}/../", "9" * 30])
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


def as_toml(value: Any) -> str:
    """Return `value` in TOML's inline notation."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        escaped = (f"\\U{ord(char):08x}" for char in value)
        return '"' + "".join(escaped) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    pairs = (f"{as_toml(key)} = {as_toml(below)}" for key, below in value.items())
    return "{" + ", ".join(pairs) + "}"


def load_bytes(data: bytes, name: str = "adw-worktree.toml") -> Settings | None:
    """Return what `data` as a settings file gives, None for a SettingsError."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / name).write_bytes(data)
        try:
            loaded = load_settings(Path(directory), environ={})
        except SettingsError as exc:
            assert "\n" not in exc.message
            str(exc).encode()
            return None
    assert set(DEFAULT_SERVICES) <= set(loaded.services)
    return loaded


@pytest.mark.thorough
@hypothesis_settings(deadline=None, max_examples=300)
@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_any_document_gives_settings_or_a_settings_error(document: dict[str, Any]) -> None:
    lines = [f"{as_toml(key)} = {as_toml(value)}" for key, value in document.items()]
    load_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))


@pytest.mark.thorough
@hypothesis_settings(deadline=None, max_examples=300)
@given(_VALUES)
def test_any_pyproject_entry_gives_settings_or_a_settings_error(value: Any) -> None:
    load_bytes(f"[tool]\nadw-worktree = {as_toml(value)}".encode(), "pyproject.toml")


@hypothesis_settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_give_settings_or_a_settings_error(data: bytes) -> None:
    load_bytes(data)


@hypothesis_settings(deadline=None, max_examples=300)
@given(st.sampled_from([f"ADW_{key.upper()}" for key in TAKES]), st.text(max_size=40))
def test_any_variable_gives_settings_or_a_settings_error(variable: str, text: str) -> None:
    try:
        load_settings(None, environ={variable: text})
    except SettingsError as exc:
        assert variable in exc.message
        exc.message.encode()


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    st.text(st.sampled_from("./{}~ab")).map(lambda text: text.replace("a", "{adw_id}"))
    | st.lists(
        st.sampled_from(["..", ".", "{home}", "{repo}", "{adw_id}", "{branch}", ".git", "x"])
    ).map("/".join),
    st.booleans(),
    st.sampled_from(["repo.git", ".git", ".bare", "app"]),
)
def test_no_accepted_worktree_path_hits_the_repository_or_its_git_directory(
    template: str, bare: bool, name: str
) -> None:
    # A worktree there would mix its files with the repository's own data.
    home = Path("/srv/x") / name
    try:
        loaded = load_settings(None, environ={"ADW_WORKTREE_PATH": template})
        path = worktree_path(loaded, adw_id="a1", branch="b/c", home=home, bare=bare, repo_name="r")
    except SettingsError:
        return
    assert path.is_absolute()
    assert not home.is_relative_to(path)
    assert ".." not in path.parts
    assert not (bare and path.is_relative_to(home))
    inner = path.relative_to(home) if path.is_relative_to(home) else path
    assert ".git" not in inner.parts


# ---- places -----------------------------------------------------------------------------------


def place(template: str | None, home: Path, *, bare: bool = False, branch: str | None = "b") -> str:
    chosen = Settings()._replace(worktree_path=template)
    return str(
        worktree_path(chosen, adw_id="a1", branch=branch, home=home, bare=bare, repo_name="app")
    )


def test_default_worktree_path() -> None:
    assert place(None, Path("/src/app")) == "/src/app/trees/a1"
    assert place(None, Path("/src/app.git"), bare=True) == "/src/app.trees/a1"
    assert place(None, Path("/src/app"), bare=True) == "/src/app.trees/a1"
    assert place(None, Path("/src/app/.git"), bare=True) == "/src/app/trees/a1"
    assert place(None, Path("/src/app/.bare"), bare=True) == "/src/app/trees/a1"


def test_worktree_path_templates() -> None:
    home = Path("/src/app")
    assert place("wt/{adw_id}", home) == "/src/app/wt/a1"
    assert place("../{repo}.{branch}", home, branch="feat/x") == "/src/app.feat-x"
    assert place("{home}.trees/{adw_id}", home) == "/src/app.trees/a1"
    assert place("/fast/{repo}/{adw_id}", home) == "/fast/app/a1"
    assert place("wt/{branch}", home, branch=None) == "/src/app/wt/a1"
    assert place("wt/{adw_id}", Path("/src/app.git"), bare=True) == "/src/wt/a1"


def test_a_value_with_braces_is_not_filled_again() -> None:
    assert (
        place("{home}/x/{branch}", Path("/s/{adw_id}"), branch="{repo}") == "/s/{adw_id}/x/{repo}"
    )


@pytest.mark.parametrize(
    ("template", "branch"), [("../{branch}", "app"), (".{branch}/{adw_id}", "git")]
)
def test_a_branch_cannot_lead_a_worktree_into_the_repository(template: str, branch: str) -> None:
    with pytest.raises(SettingsError):
        place(template, Path("/src/app"), branch=branch)


def test_a_worktree_inside_a_bare_repository_is_refused() -> None:
    with pytest.raises(SettingsError, match="inside the bare repository"):
        place("{home}/wt/{adw_id}", Path("/src/app.git"), bare=True)


def test_branch_name_is_rendered() -> None:
    assert branch_name(Settings(), "a1") == "a1"
    assert branch_name(Settings()._replace(branch_name="adw/{adw_id}"), "a1") == "adw/a1"


def test_ledger_path() -> None:
    home, common = Path("/src/app"), Path("/src/app/.git")
    chosen = Settings()._replace(ledger="x/y.json")
    assert ledger_path(Settings(), home=home, common_dir=common, bare=False) == Path(
        "/src/app/agents/port_allocations.json"
    )
    assert ledger_path(chosen, home=home, common_dir=common, bare=False) == home / "x/y.json"
    bare = Path("/src/app.git")
    assert ledger_path(Settings(), home=bare, common_dir=bare, bare=True) == Path(
        "/src/app.git/adw-worktree/port_allocations.json"
    )
    assert ledger_path(chosen, home=bare, common_dir=bare, bare=True) == Path(
        "/src/app.git/adw-worktree/x/y.json"
    )


linux_only = pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="platformdirs decides")


@linux_only
def test_state_directory_follows_the_variables_in_order(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert state_directory(environ) == tmp_path / ".local/state/adw-worktree"
    environ["XDG_STATE_HOME"] = str(tmp_path / "xdg")
    assert state_directory(environ) == tmp_path / "xdg/adw-worktree"
    environ["ADW_STATE_HOME"] = str(tmp_path / "own")
    assert state_directory(environ) == tmp_path / "own"
    assert list(tmp_path.iterdir()) == []


@linux_only
def test_a_relative_xdg_directory_is_ignored(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "./config"}
    assert state_directory(environ) == tmp_path / ".local/state/adw-worktree"
    assert user_config_path(environ) == tmp_path / ".config/adw-worktree/config.toml"


def test_a_relative_state_home_is_refused(tmp_path: Path) -> None:
    # It would be another pool in every directory, and two ADWs would get one slot.
    with pytest.raises(SettingsError, match="ADW_STATE_HOME"):
        state_directory({"HOME": str(tmp_path), "ADW_STATE_HOME": "state"})


@linux_only
@pytest.mark.parametrize("user", [None, "", "relative"])
def test_without_a_usable_home_the_state_directory_is_refused(user: str | None) -> None:
    environ = {} if user is None else {"HOME": user}
    with pytest.raises(SettingsError, match="HOME is not set"):
        state_directory(environ)
    with pytest.raises(SettingsError, match="HOME is not set"):
        user_config_path(environ)


def test_a_state_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="is not a directory"):
        state_directory({"ADW_STATE_HOME": str(tmp_path / "file/state")})


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_an_unwritable_state_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(SettingsError, match="is not writable"):
        state_directory({"ADW_STATE_HOME": str(tmp_path / "closed/state")})
