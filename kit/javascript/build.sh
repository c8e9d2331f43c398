#!/bin/sh
# Builds my-tools.wasm, with the descriptions of wit/ in it.
#
# componentize-qjs is the one in PATH, else it is installed into node_modules. INORDER is the program to use, if it is not
# the `inorder` in PATH.
set -eu
cd "$(dirname "$0")"

if ! command -v componentize-qjs >/dev/null; then
    [ -d node_modules ] || npm install --silent --no-audit --no-fund
    PATH=$PWD/node_modules/.bin:$PATH
fi
componentize-qjs --sync --wit wit --world my-tools --js src/tools.js --output my-tools.wasm >/dev/null
"${INORDER:-inorder}" pack my-tools.wasm --wit wit
