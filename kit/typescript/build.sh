#!/bin/sh
# Checks the types, and builds my-tools.wasm, with the descriptions of wit/ in it.
#
# componentize-qjs, esbuild and tsc are those in PATH, else they are installed into node_modules. INORDER is the program to
# use, if it is not the `inorder` in PATH.
set -eu
cd "$(dirname "$0")"

if ! command -v componentize-qjs >/dev/null || ! command -v esbuild >/dev/null || ! command -v tsc >/dev/null; then
    [ -d node_modules ] || npm install --silent --no-audit --no-fund
    PATH=$PWD/node_modules/.bin:$PATH
fi
tsc --project .
esbuild src/tools.ts --bundle --format=esm --platform=neutral '--external:wasi:*' --log-level=warning \
    --outfile=build/tools.js
componentize-qjs --sync --wit wit --world my-tools --js build/tools.js --output my-tools.wasm >/dev/null
"${INORDER:-inorder}" pack my-tools.wasm --wit wit
