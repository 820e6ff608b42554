"""`adw-worktree shell-init`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome
from adw_worktree.system.shipped import shipped_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  eval "$(adw-worktree shell-init bash)"          # in ~/.bashrc
  eval "$(adw-worktree shell-init zsh)"           # in ~/.zshrc
  adw-worktree shell-init fish | source           # in ~/.config/fish/config.fish

Then `adw` is adw-worktree, and can change the shell's directory: `adw cd ADW_ID`, `adw cd -` (the
worktree you were in last), `adw create ADW_ID --cd`. Both names complete commands, flags, ADW ids
and branches."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "shell", choices=["bash", "zsh", "fish", "powershell"], help="the shell that reads it"
    )


def run(args: Namespace) -> Outcome:
    # The function `adw` is the same in bash and zsh.
    files = [f"adw.{args.shell}", *(["adw.sh"] if args.shell in ("bash", "zsh") else [])]
    text = "".join(shipped_text("templates/shell", name) for name in files).removesuffix("\n")
    return Outcome({"shell": args.shell, "text": text}, text, exact=True)
