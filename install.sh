#!/bin/sh
# install.sh: install adw-worktree for this user, and make a first worktree in the repository that
# the caller is in. Touches nothing of the system's Python; run it again to upgrade.
set -eu
: "${HOME:?is not set; adw-worktree is installed for one user, in ~/.local}"
here=$(cd "$(dirname "$0")" && pwd -P)
venv=${XDG_DATA_HOME:-$HOME/.local/share}/adw-worktree/venv
bin=$HOME/.local/bin
# Where `man` looks by itself, given that $bin is on PATH.
man=$HOME/.local/share/man/man1

# What another installer has put there stays.
for program in adw-worktree git-adw-worktree; do
    link=$bin/$program
    if [ -e "$link" ] && [ "$(readlink "$link")" != "$venv/bin/$program" ]; then
        echo "error: $link exists, and this script did not put it there" >&2
        echo "hint: uninstall the other adw-worktree, or remove that file, and repeat" >&2
        exit 1
    fi
done

mkdir -p "${venv%/*}" "$bin"
sh "$here/scripts/bootstrap/make-venv.sh" "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$here[board]"
for program in adw-worktree git-adw-worktree; do
    ln -sf "$venv/bin/$program" "$bin/$program"
    # A page that somebody else put there stays.
    ours=$venv/share/man/man1/$program.1
    page=$man/$program.1
    if [ ! -e "$page" ] || [ "$(readlink "$page")" = "$ours" ]; then
        mkdir -p "$man" && ln -sf "$ours" "$page"
    fi
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
