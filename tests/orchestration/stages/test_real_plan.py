"""From a request to merged work, by the real Claude Code and Codex, whose model follows a script.

One item is planned and never wired, one is wired wrongly, one fault shows after all has landed.
Skipped where npm's programs cannot be had.
"""

from __future__ import annotations

import pytest

from tests.orchestration.stages.test_real_agents import settings
from tests.support.command_line import Adw
from tests.support.features import calls, kill_all, shown, statuses, work
from tests.support.model_server import ModelServer
from tests.support.model_turns import Edit, Say, Shell
from tests.support.plans import plan_text, task
from tests.support.repositories import git_in
from tests.support.scripted_agent import add_settings
from tests.support.stress_size import stress_size

__all__ = ["settings"]

ORDERS = "Endpoint: `POST /api/orders` in `shop/orders.py` (Task 1)"
HEALTH = "Endpoint: `GET /api/health` in `shop/health.py` (Task 2)"
PRICES = "Endpoint: `GET /api/prices` in `shop/prices.py` (Task 3)"
PLAN = plan_text(
    [
        task(1, name="ORDERS", creates=["shop/orders.py"], criteria=["an order gets a number"]),
        task(2, name="HEALTH", creates=["shop/health.py"]),
    ],
    [task(3, name="PRICES", needs="Task 2", creates=["shop/prices.py"])],
    title="Shop",
    front="land: merge",
    integration=[ORDERS, HEALTH, PRICES],
    success=["`python -m compileall -q shop` passes"],
)
APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"


def router(path: str, method: str = "get") -> str:
    """Return a module that has a route, and is included by nobody."""
    return (
        "from fastapi import APIRouter\n\nrouter = APIRouter()\n\n\n"
        f'@router.{method}("{path}")\n'
        'def route() -> dict[str, str]:\n    return {"it": "works"}\n'
    )


def include(name: str, prefix: str) -> Shell:
    """Return a command that has the application include a module's router."""
    line = f"app.include_router({name}.router, prefix={prefix!r})"
    return Shell(f'printf "from shop import {name}\\n\\n{line}\\n" >>shop/main.py')


@pytest.mark.parametrize("agent", stress_size(["claude"], ["claude", "codex"]))
def test_a_request_becomes_a_plan_and_the_plan_merged_work(
    adw: Adw, model: ModelServer, agent: str
) -> None:
    add_settings("[stages.checklist]", kind="gate")
    add_settings("[stages.verify]", run="test -f shop/fixed.py", delay=0.2)
    add_settings("[workflows.build]", stages=["build", "checklist", "ship"])
    model.script = {
        "has the template of a plan": [Edit("plans/shop.md", "# Shop\n\nTBD\n"), Say("A draft.")],
        "is not right yet": [Edit("plans/shop.md", PLAN), Say("A plan.")],
        "It was looked at": [Edit("shop/fixed.py", "FIXED = True\n"), Say("Fixed.")],
        "Do part 1.": [Edit("shop/orders.py", router("/api/orders", "post")), Say("Orders.")],
        "Do part 2.": [
            Edit("shop/health.py", router("/health")),
            include("health", "/status"),
            Say("Health."),
        ],
        "Do part 3.": [
            Edit("shop/prices.py", router("/prices")),
            include("prices", "/api"),
            Say("Prices."),
        ],
    }
    (adw.directory / "shop").mkdir()
    (adw.directory / "shop" / "__init__.py").touch()
    (adw.directory / "shop" / "main.py").write_text(APP)
    git_in(adw.directory, "add", "shop")
    git_in(adw.directory, "commit", "-qm", "shop")
    drafted = adw.json("plan", "draft", "shop", "Orders, health and prices", "--agent", agent)
    assert (drafted["rounds"], drafted["errors"]) == (2, 0)
    git_in(adw.directory, "add", "plans")
    git_in(adw.directory, "commit", "-qm", "plan")

    settings_of_build = {"prompt": "build", "retries": 1, "agents": [agent]}
    add_settings("[stages.make]", **settings_of_build)
    add_settings("[workflows.shop]", stages=["make", "checklist", "ship"])
    adw("feature", "start", "plans/shop.md", "--workflow", "shop", "--yes")
    work(adw)
    try:
        assert statuses(adw, "shop") == dict.fromkeys((1, 2, 3, 4), "completed")
        found = {one["text"]: one for number in (1, 2, 3)
                 for one in shown(adw, f"shop.{number}")["checklist"]}  # fmt: skip
        never_wired, wired_wrongly = found[ORDERS], found[HEALTH]
        assert never_wired["verdict"] == "fail"
        assert "nothing includes the router of shop/orders.py" in never_wired["evidence"]
        assert wired_wrongly["verdict"] == "fail", wired_wrongly
        assert found[PRICES]["verdict"] == "pass"
        assert found["`python -m compileall -q shop` passes"]["verdict"] == "pass"
        feature = adw.json("feature", "show", "shop")["feature"]
        assert (feature["landing"], feature["verified"]) == ("landed", "passed")
        assert feature["checklist"]["fail"] == 2
        landed = git_in(adw.directory, "ls-tree", "-r", "--name-only", "main")
        assert {"shop/orders.py", "shop/health.py", "shop/fixed.py"} <= {*landed.split()}
        assert "failed with exit status 1" in str(model.requests)
        every = [call for number in range(1, 5) for call in calls(adw, f"shop.{number}")]
        assert [call["status"] for call in every] == ["ok"] * 4
        assert feature["cost"]["unknown"] == 0 and feature["cost"]["usd"] > 0
        assert model.strays == []
    finally:
        kill_all()
