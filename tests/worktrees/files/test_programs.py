"""Files for other programs: each read by the real one, wherever it can be had."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import npm_packages
from tests.support.command_line import Adw
from tests.support.machine import settle
from tests.support.repositories import git

Serve = Callable[[Sequence[str], Path], subprocess.Popen[bytes]]


def need(program: str) -> str:
    """Return where a program is; skip the test without it."""
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        pytest.skip(f"there is no {program}")
    return found


def output_of(*command: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def settings(adw: Adw, text: str) -> None:
    (adw.directory / "adw-worktree.toml").write_text(text)


def commit(adw: Adw, name: str, text: str) -> None:
    path = adw.directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    git("add", name, cwd=adw.directory)
    git("commit", "--quiet", "-m", name, cwd=adw.directory)


def create(adw: Adw, adw_id: str = "a") -> tuple[Path, dict[str, Any]]:
    made = adw.json("create", adw_id)
    return Path(made["path"]), made


# ---- whatever the program ----------------------------------------------------------------------


ALL = '"compose", "direnv", "mise", "procfile", "vite", "vscode"'


def test_nothing_is_written_unasked_and_all_that_is_asked_for_is_ignored(adw: Adw) -> None:
    bare, _ = create(adw)
    assert {one.name for one in bare.iterdir()} == {".git", "README", ".env.ports"}
    settings(adw, f"write = [{ALL}]")
    tree, _ = create(adw, "b")
    written = {one.name for one in tree.iterdir()} - {one.name for one in bare.iterdir()}
    assert written == {
        "compose.override.yaml", ".envrc", "mise.local.toml", ".foreman", ".overmind.env",
        "vite.ports.config.mjs", ".vscode", "b.code-workspace",
    }  # fmt: skip
    assert git("status", "--porcelain", cwd=tree) == ""
    assert adw.json("remove", "b")["kept_until"] is None
    assert not tree.exists()


def test_somebodys_own_file_is_left_as_it_is(adw: Adw) -> None:
    """Settings that a team tracks would be lost, or the branch dirty."""
    commit(adw, ".envrc", "export MINE=1\n")
    commit(adw, ".vscode/settings.json", "{}\n")
    commit(adw, "docker-compose.override.yml", "services: {}\n")
    settings(adw, 'write = ["direnv", "vscode", "compose"]')
    ran = adw("create", "a")
    tree = adw.directory / "trees" / "a"
    assert ran.stderr.count("is somebody's own, and is left as it is") == 3
    assert (tree / ".envrc").read_text() == "export MINE=1\n"
    assert (tree / ".vscode" / "settings.json").read_text() == "{}\n"
    assert not (tree / "compose.override.yaml").exists()
    assert (tree / "a.code-workspace").exists()
    assert git("status", "--porcelain", cwd=tree) == ""


def test_what_to_add_to_somebodys_own_file_is_the_env_file_as_seen_from_there(adw: Adw) -> None:
    commit(adw, "web/.envrc", "export MINE=1\n")
    commit(adw, "mise.local.toml", "\n")
    settings(adw, 'env_file = "ports.env"\nwrite = ["direnv:web", "mise"]')
    told = adw("create", "a").stderr
    assert "add `dotenv_if_exists ../ports.env` to it" in told
    assert 'add [env] _.file = "ports.env" to it' in told


def test_a_file_of_ours_is_brought_up_to_date(adw: Adw) -> None:
    settings(adw, 'write = ["vscode"]')
    tree, _ = create(adw)
    file = tree / ".vscode" / "settings.json"
    whole = file.read_text()
    file.write_text(whole.splitlines()[0] + "\n{}\n")
    assert create(adw)[1]["created"] is False
    assert file.read_text() == whole
    file.write_text("{}\n")
    adw("create", "a")
    assert file.read_text() == "{}\n"


def test_nothing_is_written_through_a_link(adw: Adw, tmp_path: Path) -> None:
    """A repository could have a person's own settings written over."""
    for name in ("away", "web"):
        (tmp_path / name).mkdir()
    os.symlink(tmp_path / "away", adw.directory / ".vscode")
    os.symlink(tmp_path / "web", adw.directory / "web")
    os.symlink(tmp_path / "away" / "rc", adw.directory / ".envrc")
    git("add", "--all", cwd=adw.directory)
    git("commit", "--quiet", "-m", "links", cwd=adw.directory)
    settings(adw, 'write = ["vscode", "vite:web", "direnv", "mise:nowhere"]')
    ran = adw("create", "a")
    assert list((tmp_path / "away").iterdir()) == []
    assert list((tmp_path / "web").iterdir()) == []
    assert ran.stderr.count("a symbolic link leads there") == 2
    assert "there is no directory" in ran.stderr


def test_a_restored_worktree_has_the_files_of_its_slot(adw: Adw) -> None:
    settings(adw, 'write = ["vscode"]')
    tree, made = create(adw)
    (tree / "work").write_text("mine\n")
    adw("remove", "a", "--force")
    adw("reserve", "b", "--slot", str(made["slot"]))
    adw("restore", "a")
    ports = adw.json("env", "a")["variables"]
    assert ports["ADW_SLOT"] != str(made["slot"])
    assert f"a · {ports['BACKEND_PORT']} " in (tree / ".vscode" / "settings.json").read_text()


# ---- each program ------------------------------------------------------------------------------


def test_direnv_loads_the_slot_once_it_is_allowed(adw: Adw) -> None:
    direnv = need("direnv")
    settings(adw, 'write = ["direnv"]')
    (adw.directory / ".envrc").write_text("export OF_MAIN=1\n")
    output_of(direnv, "allow", cwd=adw.directory)
    ran = adw("create", "a")
    tree = adw.directory / "trees" / "a"
    assert f"direnv allow {tree}" in ran.stderr
    refused = subprocess.run([direnv, "exec", ".", "true"], cwd=tree, capture_output=True)
    assert refused.returncode != 0
    output_of(direnv, "allow", cwd=tree)
    script = 'echo "$OF_MAIN $ADW_ID $BACKEND_PORT $VITE_BACKEND_URL"'
    port = adw.json("env", "a")["variables"]["BACKEND_PORT"]
    said = output_of(direnv, "exec", ".", "sh", "-c", script, cwd=tree)
    assert said == f"1 a {port} http://localhost:{port}\n"
    assert "allow" not in adw("create", "a").stderr


def test_foreman_starts_the_processes_on_the_slots_ports(adw: Adw) -> None:
    foreman = need("foreman")
    commit(adw, "Procfile", 'web: echo "got $PORT $BACKEND_PORT $FRONTEND_PORT $SECRET"\n')
    commit(adw, ".gitignore", ".env\n")
    (adw.directory / ".env").write_text("SECRET=kept\n")
    settings(adw, 'write = ["procfile"]\ninclude = [".env"]')
    tree, made = create(adw)
    ports = made["ports"]
    said = output_of(foreman, "start", cwd=tree)
    assert f"got {ports['backend']} {ports['backend']} {ports['frontend']} kept" in said


def test_honcho_reads_the_env_file(adw: Adw) -> None:
    honcho = need("honcho")
    commit(adw, "Procfile", 'web: echo "got $BACKEND_PORT"\n')
    tree, made = create(adw)
    said = output_of(honcho, "--no-colour", "-e", ".env.ports", "start", cwd=tree)
    assert f"got {made['ports']['backend']}" in said


def test_compose_maps_the_slots_ports_and_reads_both_env_files(adw: Adw) -> None:
    need("podman")  # its engine need not run
    compose = need("podman-compose")
    commit(
        adw,
        "compose.yaml",
        "services:\n"
        "  backend: {image: x, ports: ['8000:8000'], environment: {S: '${SECRET}'}}\n"
        "  frontend: {image: y, ports: ['${FRONTEND_PORT}:80']}\n",
    )
    commit(adw, ".gitignore", ".env\n")
    (adw.directory / ".env").write_text("SECRET=kept\nADW_ID=wrong\n")
    settings(adw, 'write = ["compose"]\ninclude = [".env"]\ncontainer_ports = {backend = 8000}')
    tree, made = create(adw)
    variables = adw.json("env", "a")["variables"]
    assert variables["COMPOSE_ENV_FILES"] == f"{tree}/.env,{tree}/.env.ports"
    assert (
        f"COMPOSE_ENV_FILES='{tree}/.env,{tree}/.env.ports'\n" in (tree / ".env.ports").read_text()
    )
    told = adw("run", "a", "--", compose, "config").stdout
    assert f"name: {variables['COMPOSE_PROJECT_NAME']}\n" in told
    assert f"- 127.0.0.1:{made['ports']['backend']}:8000\n" in told
    assert "8000:8000\n" not in told.replace(f"{made['ports']['backend']}:8000", "")
    assert f"- {made['ports']['frontend']}:80\n" in told


def test_compose_without_a_dotenv_names_the_env_file_alone(adw: Adw) -> None:
    settings(adw, 'write = ["compose"]')
    tree, _ = create(adw)
    variables = adw.json("env", "a")["variables"]
    assert variables["COMPOSE_ENV_FILES"] == f"{tree}/.env.ports"
    (tree / ".env").write_text("")
    again = adw.json("env", "a")["variables"]
    assert again["COMPOSE_ENV_FILES"] == f"{tree}/.env,{tree}/.env.ports"


def test_compose_knows_the_project_whatever_the_template_says(adw: Adw) -> None:
    commit(adw, "ports.env", "{service_ports}\n")
    settings(adw, 'write = ["compose"]\ntemplate = "ports.env"')
    tree, made = create(adw)
    assert "COMPOSE_PROJECT_NAME" not in adw.json("env", "a")["variables"]
    told = (tree / "compose.override.yaml").read_text()
    assert told.endswith(f"\nname: {adw.directory.name}-a-{made['slot']}\n")


def test_vscode_shows_the_slot_and_its_terminals_have_the_variables(adw: Adw) -> None:
    settings(adw, 'write = ["vscode"]')
    seen = set()
    for name in ("a", "b"):
        tree, made = create(adw, name)
        lines = (tree / ".vscode" / "settings.json").read_text().split("\n", 1)
        assert lines[0].startswith("// Generated by adw-worktree")
        found = json.loads(lines[1])
        workspace = json.loads((tree / f"{name}.code-workspace").read_text().split("\n", 1)[1])
        assert workspace == {"folders": [{"path": "."}], "settings": found}
        assert found["window.title"].startswith(f"{name} · {made['ports']['backend']} ")
        assert found["terminal.integrated.env.linux"] == adw.json("env", name)["variables"]
        colours = found["workbench.colorCustomizations"]
        assert all(re.fullmatch("#[0-9a-f]{6}", one) for one in colours.values())
        seen.add(colours["titleBar.activeBackground"])
    assert len(seen) == 2


@pytest.fixture
def node() -> Path:
    """Return a `node_modules` with Vite and mise; skip where npm cannot install them."""
    modules = npm_packages.modules()
    if modules is None:
        pytest.skip("npm cannot install Vite here")
    return modules


@pytest.fixture
def frontend(adw: Adw, node: Path) -> Path:
    """Return a worktree with a small Vite project."""
    commit(adw, "package.json", '{"type": "module"}\n')
    commit(adw, "index.html", '<script type="module" src="/main.js"></script>\n')
    commit(adw, "main.js", "console.log(import.meta.env.VITE_BACKEND_URL)\n")
    commit(adw, "vite.config.js", "export default { server: { headers: { Mine: 'yes' } } }\n")
    commit(adw, ".gitignore", "node_modules\n")
    settings(adw, 'write = ["vite"]')
    tree, _ = create(adw)
    os.symlink(node, tree / "node_modules")
    return tree


def fetched(url: str) -> tuple[str, str | None]:
    """Return what a server says once it is up, and its header `Mine`."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode(), answer.headers["Mine"]
        except OSError:
            assert time.monotonic() < deadline, url
            time.sleep(0.1)


@pytest.mark.thorough
def test_vite_serves_on_the_slots_port_with_its_own_config(
    adw: Adw, frontend: Path, serve: Serve
) -> None:
    variables = adw.json("env", "a")["variables"]
    vite = ["node", "node_modules/vite/bin/vite.js", "--config", "vite.ports.config.mjs"]
    serve(vite, frontend)
    said, mine = fetched(f"http://localhost:{variables['FRONTEND_PORT']}/main.js")
    assert variables["VITE_BACKEND_URL"] in said
    assert mine == "yes"


def test_vite_takes_no_other_port(adw: Adw, frontend: Path) -> None:
    """The next free one may be another ADW's."""
    port = int(adw.json("env", "a")["variables"]["FRONTEND_PORT"])
    with socket.create_server(("127.0.0.1", port)):
        vite = ["node", "node_modules/vite/bin/vite.js", "--config", "vite.ports.config.mjs"]
        done = subprocess.run(
            [*vite, "--host", "127.0.0.1"], cwd=frontend, capture_output=True, text=True, timeout=60
        )
    assert done.returncode != 0
    assert f"Port {port} is already in use" in done.stderr


def test_vite_mode_ports_reads_the_env_file(adw: Adw, frontend: Path, serve: Serve) -> None:
    variables = adw.json("env", "a")["variables"]
    port = variables["FRONTEND_PORT"]
    command = ["node", "node_modules/vite/bin/vite.js", "--mode", "ports", "--port", port]
    serve(command, frontend)
    assert variables["VITE_BACKEND_URL"] in fetched(f"http://localhost:{port}/main.js")[0]


def test_mise_loads_the_slot_once_it_is_trusted(adw: Adw, node: Path) -> None:
    mise = node / "@jdxcode" / "mise-linux-x64" / "bin" / "mise"
    if not mise.exists():
        pytest.skip("there is no mise for this machine")
    settings(adw, 'write = ["mise"]')
    ran = adw("create", "a")
    tree = adw.directory / "trees" / "a"
    assert f"mise trust {tree}" in ran.stderr
    output_of(str(mise), "trust", str(tree), cwd=tree)
    said = json.loads(output_of(str(mise), "env", "--json", cwd=tree))
    variables = adw.json("env", "a")["variables"]
    assert variables.items() <= said.items()


def test_a_program_in_a_directory_of_its_own(adw: Adw) -> None:
    direnv = need("direnv")
    commit(adw, "web/index.html", "\n")
    settings(adw, 'write = ["direnv:web"]')
    tree, made = create(adw)
    output_of(direnv, "allow", cwd=tree / "web")
    said = output_of(direnv, "exec", ".", "sh", "-c", "echo $FRONTEND_PORT", cwd=tree / "web")
    assert said == f"{made['ports']['frontend']}\n"
    assert git("status", "--porcelain", cwd=tree) == ""


def test_a_tmux_window_has_the_variables(adw: Adw, tmp_path: Path) -> None:
    tmux = f"{need('tmux')} -f /dev/null -S {tmp_path}/tmux"
    output_of("sh", "-c", f"{tmux} new-session -d 'sleep 60'", cwd=adw.directory)
    told = tmp_path / "told"
    inside = f"{adw.command[0]} -m adw_worktree run -- sh -c 'echo $ADW_ID $PWD >{told}'"
    try:
        adw("create", "a", "--run", f'{tmux} new-window "{inside}"'.replace("$", "\\$"))
        settle(lambda: told.exists() and told.read_text() != "", "the window did not open")
    finally:
        output_of("sh", "-c", f"{tmux} kill-server", cwd=adw.directory)
    assert told.read_text() == f"a {adw.directory}/trees/a\n"
