"""How often users may do what, counted in the store: for all boards, and through a restart."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage, Storage
from limits.strategies import FixedWindowRateLimiter

from adw_worktree.errors import AdwError
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.users import count_up, counter, forget_counter

STARTS = RateLimitItemPerHour(100, namespace="starts")
"""Of one user: what starts work."""
ALL_STARTS = RateLimitItemPerHour(10_000, namespace="starts")
REQUESTS = RateLimitItemPerMinute(3_000, namespace="requests")
"""Of one user: everything. A person does not come near it."""
TRIES = RateLimitItemPerMinute(10, 15, namespace="tries")
"""Of logging in, for one address from one place."""
TRIES_OF_ADDRESS = RateLimitItemPerMinute(100, 15, namespace="tries")
TRIES_FROM_PLACE = RateLimitItemPerMinute(100, 15, namespace="tries")


class Counted(NamedTuple):
    """Something that is counted: against which limit, and as whose."""

    limit: RateLimitItem
    whose: tuple[str, ...]


class StoredCounters(Storage):
    """Counters in the store, as `limits` wants to have them."""

    STORAGE_SCHEME = None

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    @property
    def base_exceptions(self) -> type[Exception]:
        return AdwError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count up, and return how often it was."""
        now = time.time()
        return count_up(self._database, key, now + expiry, amount, now)

    def get(self, key: str) -> int:
        """Return how often it was."""
        return counter(self._database, key, time.time())[0]

    def get_expiry(self, key: str) -> float:
        """Return when it is forgotten, in seconds since 1970."""
        return counter(self._database, key, time.time())[1]

    def check(self) -> bool:
        """Return whether it can be used: whoever opened the store knows that it can."""
        return True

    def reset(self) -> None:
        """Do nothing: nobody asks for all to be forgotten."""
        raise NotImplementedError

    def clear(self, key: str) -> None:
        """Forget a counter."""
        forget_counter(self._database, key)


def seconds_to_wait(database: Database, *counted: Counted) -> int | None:
    """Count something against its limits; return how long to wait if one is reached, or None."""
    return _wait(StoredCounters(database), counted)


def forget_tries(database: Database, counted: Counted) -> None:
    """Begin anew to count: somebody has remembered their password."""
    FixedWindowRateLimiter(StoredCounters(database)).clear(counted.limit, *counted.whose)


class Requests:
    """Counts all requests in memory: to write down that something was read would cost more."""

    def __init__(self) -> None:
        self._counters = MemoryStorage()

    def seconds_to_wait(self, user_id: int) -> int | None:
        """Count a request; return how long to wait if there were too many, or None."""
        return _wait(self._counters, [Counted(REQUESTS, (str(user_id),))])


def _wait(counters: Storage, counted: list[Counted] | tuple[Counted, ...]) -> int | None:
    limiter = FixedWindowRateLimiter(counters)
    for one in counted:
        if not limiter.hit(one.limit, *one.whose):
            until = limiter.get_window_stats(one.limit, *one.whose).reset_time
            return max(1, math.ceil(until - time.time()))
    return None
