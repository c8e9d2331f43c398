#!/bin/sh
# Builds the python plugin into target/plugins/python.wasm, with the descriptions of wit/python.wit in it.
#
# componentize-py is the one of target/kit, else it is installed into target/plugins/python-build, of the version that the kit names.
# INORDER is the program that packs the descriptions, if it is not the `inorder` of target/release or in PATH.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
cd "$here/../.."
out=target/plugins
build=$out/python-build
mkdir -p "$build"

fail() {
    echo "plugins/python/build.sh: $*" >&2
    exit 1
}

command -v python3 >/dev/null || fail "needs python3 with venv, which is not here"
inorder=${INORDER:-target/release/inorder}
command -v "$inorder" >/dev/null || inorder=inorder
command -v "$inorder" >/dev/null || fail "needs inorder, to pack the descriptions: cargo build --release"

if [ -x target/kit/python/bin/componentize-py ]; then
    venv=$PWD/target/kit/python
else
    venv=$PWD/$build/venv
    [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement kit/python/requirements.txt
fi

# What goes into the component: pure Python, whatever this machine is.
rm -rf "$build/vendor" "$build/wit"
"$venv/bin/pip" install --quiet --no-deps --target "$build/vendor" --no-compile \
    --only-binary :all: --python-version 3.14 --implementation py --abi none --platform any \
    --requirement plugins/python/requirements.txt

mkdir -p "$build/wit/deps/python"
cp -R plugins/python/wit/. "$build/wit"
cp wit/python.wit "$build/wit/deps/python"

# VIRTUAL_ENV keeps packages of the system's Python out.
VIRTUAL_ENV=$venv "$venv/bin/componentize-py" --quiet --wit-path "$build/wit" --world component componentize component \
    --python-path plugins/python/src --python-path "$build/vendor" --output "$build/python.wasm"
"$inorder" pack "$build/python.wasm" --wit wit/python.wit
mv "$build/python.wasm" "$out/python.wasm"
printf '%-36s %5d KiB\n' "$out/python.wasm" "$((($(wc -c <"$out/python.wasm") + 1023) / 1024))"
