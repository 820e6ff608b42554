"""The rows, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..measure import Scene
from ..peers import Installed
from ..scenes import Workshop
from .create_remove import create_and_remove
from .hooks import hooks
from .many import many
from .parallel import parallel
from .plan import Plan
from .pool import pool
from .startup import completion, startup

ROWS: dict[str, Callable[[Workshop, Plan, Sequence[Installed]], list[Scene]]] = {
    "startup": startup,
    "completion": completion,
    "create": create_and_remove,
    "many": many,
    "pool": pool,
    "hooks": hooks,
    "parallel": parallel,
}
"""By the name that `--only` knows. `create` measures `remove`, too."""
