#!/bin/sh
# make-venv.sh DIR: make a virtual environment with pip in DIR, needing nothing but Python >= 3.11.
# Debian's python3 comes without ensurepip; pip is then fetched from the package index.
# DIR is ours: what is there and does not work is replaced.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
venv=$1

if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi
for python in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        rm -rf "$venv"
        if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
            "$python" -m venv --clear --without-pip "$venv"
            "$venv/bin/python" "$here/fetch_pip.py"
        fi
        exit 0
    fi
done
echo "error: no Python 3.11 or later was found" >&2
echo "hint: install one (apt install python3, or python.org) and repeat" >&2
exit 1
