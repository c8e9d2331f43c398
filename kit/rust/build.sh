#!/bin/sh
# Builds my-tools.wasm, with the descriptions of wit/ in it.
#
# INORDER and GUEST_CARGO are the programs to use, if they are not the `inorder` and `cargo` in PATH.
set -eu
cd "$(dirname "$0")"
cargo=${GUEST_CARGO:-cargo}
target=wasm32-wasip2
folder=${CARGO_TARGET_DIR:-target}

if [ -z "${GUEST_CARGO:-}" ] && command -v rustup >/dev/null; then
    rustup --quiet target add "$target"
fi
"$cargo" build --release --quiet --target "$target" --target-dir "$folder"
cp "$folder/$target/release/my_tools.wasm" my-tools.wasm
"${INORDER:-inorder}" pack my-tools.wasm --wit wit
