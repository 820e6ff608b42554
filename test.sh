#!/bin/sh
# test.sh [NOX-ARGUMENTS]: run the tests, or what nox is told, from a venv of the checkout's own.
set -eu
cd "$(dirname "$0")"
# Not .venv: that one is the developer's.
venv=.nox/bootstrap
mkdir -p .nox
sh scripts/bootstrap/make-venv.sh "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "nox>=2024.4.15"
[ $# -gt 0 ] || set -- -s tests
exec "$venv/bin/nox" "$@"
