#!/bin/sh
# Builds my-tools.wasm, with the descriptions of wit/ in it.
#
# componentize-py is the one in PATH, else it is installed into .venv. INORDER is the program to use, if it is not the
# `inorder` in PATH.
set -eu
cd "$(dirname "$0")"

if ! command -v componentize-py >/dev/null; then
    [ -x .venv/bin/pip ] || python3 -m venv --clear .venv
    .venv/bin/pip install --quiet --requirement requirements.txt
    PATH=$PWD/.venv/bin:$PATH
fi
# For your editor; componentize-py makes its own.
rm -rf bindings
componentize-py --quiet --wit-path wit --world my-tools bindings bindings
componentize-py --quiet --wit-path wit --world my-tools componentize app --output my-tools.wasm
"${INORDER:-inorder}" pack my-tools.wasm --wit wit
