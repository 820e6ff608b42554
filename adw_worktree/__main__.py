"""`python -m adw_worktree`."""

import sys

from .cli import main

sys.exit(main())
