"""The image and the compose file: what they start is what the command line takes, and works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.board import BoardProcess
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw

DEPLOY = CHECKOUT / "deploy"
ADDRESS = "https://board.example.com"
IMAGE = "localhost/adw-worktree-tested"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the services of the compose file, as an engine reads them."""
    programs = str(Path(sys.executable).parent)
    compose = shutil.which("podman-compose", path=programs)
    if compose is None:
        pytest.skip("podman-compose is not installed")
    composed = subprocess.run(
        [compose, "--file", str(DEPLOY / "compose.yaml"), "config"],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": f"{programs}:/usr/bin:/bin", "BOARD_ADDRESS": ADDRESS},
    )
    found: dict[str, Any] = yaml.safe_load(composed.stdout)["services"]
    return found


def test_the_composed_board_answers_to_its_proxy(services: dict[str, Any], adw: Adw) -> None:
    name, *options = services["board"]["command"]
    assert name == "board"
    wanted = [one for one in options if not one.startswith(("--port", "--log-json"))]
    board = BoardProcess(adw, *wanted)
    try:
        assert board.link.startswith(f"{ADDRESS}/register?")
        for host in (f"127.0.0.1:{board.listening}", "board.example.com"):
            address = f"http://127.0.0.1:{board.listening}/health"
            asked = urllib.request.Request(address, headers={"Host": host})
            with urllib.request.urlopen(asked, timeout=20) as answer:
                assert json.load(answer)["status"] == "ok"
    finally:
        board.end()


def test_what_is_composed_is_safe(services: dict[str, Any]) -> None:
    assert {"board", "worker", "proxy", "database"} == services.keys()
    board, worker = services["board"], services["worker"]
    # It believes every proxy, so that nothing but the proxy may reach it.
    assert "ports" not in board
    assert "ports" not in worker
    assert board["pid"] == board["network_mode"] == "service:worker"
    assert worker["hostname"], "what runs is known by it"
    kept = {"state:/state", "repositories:/repositories", "home:/home/adw"}
    assert kept == {*board["volumes"]}
    assert board["volumes"] == worker["volumes"]
    assert services["proxy"]["command"][2:] == ["--from", ADDRESS, "--to", "worker:9400"]


@pytest.fixture(scope="module")
def engine() -> str:
    """Return the program that builds and runs images, if it can do so here."""
    for name in ("podman", "docker"):
        if shutil.which(name) is None:
            continue
        base = re.search(r"(?m)^ARG PYTHON=(\S+)$", (DEPLOY / "Containerfile").read_text())
        assert base is not None
        with suppress(subprocess.TimeoutExpired):
            tried = [name, "run", "--rm", base[1], "true"]
            if subprocess.run(tried, capture_output=True, timeout=120).returncode == 0:
                return name
    pytest.skip("no engine that runs containers, or its base image cannot be had")


@pytest.fixture
def container(engine: str) -> Iterator[str]:
    """Return the name of a container that serves a board, made of the image."""
    file = str(DEPLOY / "Containerfile")
    subprocess.run([engine, "build", "--file", file, "--tag", IMAGE, str(CHECKOUT)], check=True)
    name = "adw-worktree-tested"
    subprocess.run([engine, "run", "--detach", "--rm", "--name", name, IMAGE], check=True)
    yield name
    subprocess.run([engine, "rm", "--force", name], check=True)


@pytest.mark.thorough
def test_the_image_serves_a_board(engine: str, container: str) -> None:
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9400/health').read())"
    for _ in range(100):
        asked = subprocess.run(
            [engine, "exec", container, "/opt/adw-worktree/bin/python", "-c", ask],
            capture_output=True, text=True,
        )  # fmt: skip
        if asked.returncode == 0:
            break
        time.sleep(0.2)
    assert '"status":"ok"' in asked.stdout, asked.stderr
    logged = subprocess.run([engine, "logs", container], capture_output=True, text=True)
    assert "/register?invitation=" in logged.stdout + logged.stderr
    who = subprocess.run([engine, "exec", container, "id", "-u"], capture_output=True, text=True)
    assert who.stdout.strip() == "1000", "not root"
