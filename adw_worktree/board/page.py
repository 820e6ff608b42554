"""The page: its files, and the addresses under which a browser finds it."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FILES = Path(__file__).with_name("static")
VIEWS = (
    "/",
    "/features/{name}",
    "/phases/{name}",
    "/slots",
    "/insight",
    "/docs",
    "/people",
    "/login",
    "/register",
)
"""Each shows the same page, which looks at its address."""


class Files(StaticFiles):
    """Files that a browser asks for again only if they have changed."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def add_page(app: FastAPI) -> None:
    """Have the application answer with the page, too."""

    def show_page() -> FileResponse:
        return FileResponse(_FILES / "index.html", headers={"Cache-Control": "no-cache"})

    for address in VIEWS:
        app.get(address, include_in_schema=False)(show_page)
    app.mount("/static", Files(directory=_FILES))
