#!/bin/sh
# Lets clients that others wrote use `inorder serve`, over standard input and output and over HTTP: the official inspector's
# CLI and Python client (clients.py), and what LangGraph and the OpenAI Agents SDK come with, as the README has it (frameworks.py).
#
#   tests/serve/clients.sh     about half a minute when all is built and installed
#
# INORDER names the program to try, target/release/inorder by default. The clients come from npm and PyPI.
set -eu
. "$(dirname "$0")/setup.sh"

# Each may take this long, in seconds; as a rule they take ten.
patience=300

# Installs the requirements of a name into a folder of their own: the two want different versions of one package.
with_python() {
    python=$work/$1/bin/python
    if ! cmp -s "tests/serve/$1.txt" "$work/$1/installed.txt"; then
        rm -rf "${work:?}/$1"
        python3 -m venv "$work/$1" || fail "needs python3 with venv"
        "$python" -m pip install --quiet --disable-pip-version-check --requirement "tests/serve/$1.txt"
        cp "tests/serve/$1.txt" "$work/$1/installed.txt"
    fi
}

with_npm
with_guest conformance
rm -rf "$root"
mkdir -p "$root/notes"
echo "the needle is here" >"$root/notes/b.txt"
serve_http --plugin "$plugin"

INORDER=$(command -v "$inorder")
case $INORDER in /*) ;; *) INORDER=$PWD/$INORDER ;; esac
export INORDER PLUGIN="$plugin" ROOT="$root" URL="$url"
for clients in clients frameworks; do
    with_python "$clients"
    timeout "$patience" "$python" "tests/serve/$clients.py"
done
