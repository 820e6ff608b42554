"""What the board does not do for somebody, with the status of the answer."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.responses import JSONResponse


class Denied(HTTPException):
    """A refusal that only the board knows."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(status, message)
        self.code, self.hint = code, hint

    def answer(self) -> JSONResponse:
        """Return the refusal as the API has it."""
        error = {"code": self.code, "message": self.detail, "hint": self.hint}
        return JSONResponse({"error": error}, self.status_code, self.headers)


class TooLong(Denied):
    """A request is longer than any that is answered."""

    def __init__(self, most: int) -> None:
        super().__init__(
            413, "too-long", f"a request has at most {most} bytes", "leave something out"
        )


class TooMany(Denied):
    """Something came too often."""

    def __init__(self, what: str, seconds: int) -> None:
        super().__init__(
            429, "too-many", f"there were too many {what}", f"wait for {seconds} seconds"
        )
        self.headers = {"Retry-After": str(seconds)}
