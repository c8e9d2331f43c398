#!/bin/sh
# Builds my-tools.wasm, with the descriptions of wit/ in it.
#
# CC is the compiler for WebAssembly, with what it needs to be told: `zig cc -target wasm32-wasi` if nothing else is
# set, and `clang --target=wasm32-wasip1` of the WASI SDK does as well. INORDER is the program to use, if it is not the
# `inorder` in PATH.
set -eu
cd "$(dirname "$0")"

if ! command -v wit-bindgen >/dev/null; then
    cargo install --locked wit-bindgen-cli@0.63.0 --no-default-features --features c --root .tools
    PATH=$PWD/.tools/bin:$PATH
fi
if [ -z "${CC:-}" ] && ! command -v zig >/dev/null; then
    [ -d .venv ] || python3 -m venv .venv
    .venv/bin/pip install --quiet ziglang==0.17.1
    CC=".venv/bin/python -m ziglang cc -target wasm32-wasi"
fi
wit-bindgen c wit --out-dir bindings >/dev/null
# A reactor exports functions, and has no main. $CC is several words.
${CC:-zig cc -target wasm32-wasi} -mexec-model=reactor -Os -Wall -Wextra -Ibindings -o core.wasm \
    src/*.c bindings/my_tools.c bindings/my_tools_component_type.o
"${INORDER:-inorder}" pack core.wasm --wit wit --output my-tools.wasm
