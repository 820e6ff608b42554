"""What the board logs: warnings as text, or each request and warning as a JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_OURS = "adw_worktree"
_NOT_OURS = ("uvicorn", "uvicorn.error", "asyncio")


class JsonLines(logging.Formatter):
    """A JSON object a line: `at`, `level`, `logger`, `message`, and what a request was."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "request", {}),
        }
        if record.exc_info is not None:
            document["error"] = self.formatException(record.exc_info)
        return json.dumps(document)


def log_to_stderr(*, as_json: bool) -> None:
    """Have everything that the board logs go to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(levelname)s: %(message)s")
    handler.setFormatter(JsonLines() if as_json else text)
    for name in (_OURS, *_NOT_OURS):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO if as_json and name == _OURS else logging.WARNING)
