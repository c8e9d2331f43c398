#!/bin/sh
# Builds my-tools.wasm, with the descriptions of wit/ in it.
#
# INORDER is the program to use, if it is not the `inorder` in PATH.
set -eu
cd "$(dirname "$0")"

if ! command -v wit-bindgen >/dev/null; then
    cargo install --locked wit-bindgen-cli@0.63.0 --no-default-features --features go --root .tools
    PATH=$PWD/.tools/bin:$PATH
fi
# What the WIT says, as Go: wit_exports.go calls the functions of export_wit_world, wit_world has the types. The go.mod
# that is made too would take the place of ours.
rm -rf bindings wit_world wit_exports.go
wit-bindgen go wit --out-dir bindings >/dev/null
mv bindings/wit_world bindings/wit_exports.go .
rm -r bindings
# c-shared: functions are exported, and there is no main.
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o core.wasm .
"${INORDER:-inorder}" pack core.wasm --wit wit --output my-tools.wasm
