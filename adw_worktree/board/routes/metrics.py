"""Figures for Prometheus, read from the store when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse

from adw_worktree.board.contents.board import Board, Here
from adw_worktree.board.contents.live import last_event
from adw_worktree.orchestration.store.attempts import most_running

if TYPE_CHECKING:
    from adw_worktree.orchestration.store.database import Database

router = APIRouter(tags=["machine"])
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics", response_class=PlainTextResponse)
def show_metrics(board: Here) -> PlainTextResponse:
    """Return figures in the text format of Prometheus."""
    board.require_admin()
    with board.store() as database:
        registry = CollectorRegistry()
        registry.register(_Figures(board, database))
        return PlainTextResponse(generate_latest(registry).decode(), media_type=_TYPE)


class _Figures(Collector):
    """What the store has now."""

    def __init__(self, board: Board, database: Database) -> None:
        self._board, self._database = board, database

    def collect(self) -> Iterator[Metric]:
        yield self._by_status("adw_features", "Features by status.", "features")
        yield self._by_status("adw_phases", "Phases by status.", "phases")
        most = most_running(self._database)
        yield GaugeMetricFamily("adw_phases_running_limit", "Phases that may run.", most)
        [[calls, usd]] = self._database.execute("SELECT count(*), sum(cost_usd) FROM calls")
        yield CounterMetricFamily("adw_agent_calls", "Calls of agents.", float(str(calls)))
        yield CounterMetricFamily(
            "adw_agent_cost_usd", "What agents have cost, where it is known.", float(str(usd or 0))
        )
        yield CounterMetricFamily("adw_events", "Events.", last_event(self._database))
        followers = self._board.live.followed_by
        yield GaugeMetricFamily("adw_board_followers", "Browsers and programs.", followers)

    def _by_status(self, name: str, about: str, table: str) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, about, labels=["status"])
        rows = self._database.execute(f"SELECT status, count(*) FROM {table} GROUP BY status")
        for status, count in rows:
            family.add_metric([str(status)], float(str(count)))
        return family
