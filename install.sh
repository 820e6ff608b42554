#!/bin/sh
# install.sh: install adw-worktree for this user, and make a first worktree in the repository that
# the caller is in. Touches nothing of the system's Python; run it again to upgrade.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${XDG_DATA_HOME:-$HOME/.local/share}/adw-worktree/venv
bin=$HOME/.local/bin

mkdir -p "$(dirname "$venv")" "$bin"
sh "$here/scripts/make-venv.sh" "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$here"
for program in adw-worktree git-adw-worktree; do
    ln -sf "$venv/bin/$program" "$bin/$program"
done
echo "installed $("$bin/adw-worktree" --version) in $bin"
case ":$PATH:" in
    *":$bin:"*) ;;
    *) echo "note: add it to your PATH: export PATH=\"$bin:\$PATH\"" ;;
esac

if git rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
    "$bin/adw-worktree" create first-adw
else
    echo "next: in a git repository with a commit, adw-worktree create first-adw"
fi
