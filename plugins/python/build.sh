#!/bin/sh
# Builds target/plugins/python.wasm, with the descriptions of wit/python.wit in it.
#
# componentize-py is the one in target/kit, else it is installed into target/plugins/python, of the version that the kit
# names. INORDER is the program to use, if it is not target/release/inorder or the `inorder` in PATH.
set -eu
cd "$(dirname "$0")/../.."
root=$(pwd -P)
work=$root/target/plugins/python
built=$root/target/plugins/python.wasm

if [ $# -gt 0 ]; then
    echo "usage: plugins/python/build.sh    builds target/plugins/python.wasm; needs Python 3.10 or newer with venv, and inorder"
    case $1 in -h | --help) exit ;; esac
    exit 2
fi

fail() {
    echo "plugins/python/build.sh: $*" >&2
    exit 1
}

if [ -z "${INORDER:-}" ]; then
    INORDER=$root/target/release/inorder
    [ -x "$INORDER" ] || INORDER=inorder
fi
command -v "$INORDER" >/dev/null || fail "needs inorder: \`cargo build --release\` builds it, and INORDER names another one"

mkdir -p "$work"
venv=$root/target/kit/python
if ! [ -x "$venv/bin/componentize-py" ]; then
    command -v python3 >/dev/null || fail "needs python3 with venv"
    venv=$work/venv
    [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement kit/python/requirements.txt --requirement plugins/python/requirements.txt
fi

# What goes into the component is pure Python, whatever this machine is.
rm -rf "$work/packages" "$work/wit"
"$venv/bin/pip" install --quiet --no-deps --no-compile --target "$work/packages" --requirement plugins/python/requirements.txt \
    --only-binary :all: --python-version 3.14 --implementation py --abi none --platform any
cp -R plugins/python/wit "$work/wit"
mkdir -p "$work/wit/deps/python"
cp wit/python.wit "$work/wit/deps/python/"

# Twice: the first time leaves bytecode in its folder, so that the second does not compile what it imports. What that leaves in
# memory would be a sixth of the component.
rm -rf "$work/src"
cp -R plugins/python/src "$work/src"
for pass in bytecode component; do
    # VIRTUAL_ENV keeps the packages of the system's Python out.
    VIRTUAL_ENV=$venv "$venv/bin/componentize-py" --quiet --wit-path "$work/wit" --world component componentize component \
        --python-path "$work/src" --python-path "$work/packages" --output "$work/python.wasm" || fail "could not make the $pass"
done
"$INORDER" pack "$work/python.wasm" --wit wit/python.wit >/dev/null
mv "$work/python.wasm" "$built"
# Compiled now, it does not keep whoever uses it first waiting.
"$INORDER" tools --plugin "$built" >/dev/null
printf '%-36s %5d KiB\n' "${built#"$root/"}" "$((($(wc -c <"$built") + 1023) / 1024))"
