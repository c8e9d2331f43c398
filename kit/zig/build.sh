#!/bin/sh
# Builds my-tools.wasm, with the descriptions of wit/ in it.
#
# INORDER is the program to use, if it is not the `inorder` in PATH.
set -eu
cd "$(dirname "$0")"

if ! command -v wit-bindgen >/dev/null; then
    cargo install --locked wit-bindgen-cli@0.63.0 --no-default-features --features c --root .tools
    PATH=$PWD/.tools/bin:$PATH
fi
# Zig's library changes with each version: another one than this would not compile src/.
zig=zig
case $(zig version 2>/dev/null) in
0.17.*) ;;
*)
    [ -d .venv ] || python3 -m venv .venv
    .venv/bin/pip install --quiet ziglang==0.17.1
    zig=".venv/bin/python -m ziglang"
    ;;
esac
# What the WIT says, as C, and what its header declares, as Zig. Zig makes its translator when it first needs it:
# ZIG_DEBUG_CMD leaves that one unoptimized, which saves a minute. $zig is several words.
wit-bindgen c wit --out-dir bindings >/dev/null
ZIG_DEBUG_CMD=1 $zig translate-c -target wasm32-wasi -lc bindings/my_tools.h >bindings/my_tools.zig
# A reactor exports functions, and has no main. What goes out of bounds, or overflows, traps and says so: that is `safe`.
$zig build-exe -target wasm32-wasi -mexec-model=reactor -O safe -fstrip -lc -femit-bin=core.wasm \
    bindings/my_tools.c bindings/my_tools_component_type.o \
    --dep bindings -Mroot=src/tools.zig -Mbindings=bindings/my_tools.zig
"${INORDER:-inorder}" pack core.wasm --wit wit --output my-tools.wasm
