#!/bin/sh
# Builds target/plugins/linear.wasm, with the descriptions of wit/linear.wit in it.
#
# componentize-qjs, esbuild and tsc are those in target/kit/bin or in PATH, else npm installs them into target/plugins/linear.
# INORDER is the program to use, if it is not target/release/inorder or the `inorder` in PATH.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd -P)
work=$root/target/plugins/linear
built=$root/target/plugins/linear.wasm

if [ $# -gt 0 ]; then
    echo "usage: plugins/linear/build.sh    builds target/plugins/linear.wasm; needs Node.js 20 with npm, and inorder"
    case $1 in -h | --help) exit ;; esac
    exit 2
fi

fail() {
    echo "plugins/linear/build.sh: $*" >&2
    exit 1
}

tools_are_here() {
    for program in componentize-qjs esbuild tsc; do
        command -v "$program" >/dev/null || return 1
    done
}

mkdir -p "$work"
PATH=$root/target/kit/bin:$PATH
if ! tools_are_here; then
    command -v npm >/dev/null || fail "needs npm, which comes with Node.js"
    cp package.json "$work/"
    npm install --silent --no-audit --no-fund --prefix "$work"
    PATH=$work/node_modules/.bin:$PATH
fi
if [ -z "${INORDER:-}" ]; then
    INORDER=$root/target/release/inorder
    [ -x "$INORDER" ] || INORDER=inorder
fi
command -v "$INORDER" >/dev/null || fail "needs inorder: \`cargo build --release\` builds it, and INORDER names another one"

# componentize-qjs runs the script once as it builds, on a host that has `wasi:io` but not `wasi:http`, whose types are made of those of
# `wasi:io`; what it puts in place of the one does not fit the other. So both have other names until then, of the same length.
hidden='s/wasi:\(http\|io\|clocks\)\([a-z/-]*\)@0\.2\.12/xasi:\1\2@0.2.9/g'
rm -rf "$work/wit"
mkdir -p "$work/wit/deps"
sed "$hidden" wit/plugin.wit >"$work/wit/plugin.wit"
for file in wit/deps/*.wit "$root"/host/files/wit/deps/io.wit "$root"/host/files/wit/deps/clocks.wit "$root/wit/linear.wit"; do
    sed "$hidden" "$file" >"$work/wit/deps/${file##*/}"
done

tsc --project .
esbuild src/tools.ts --bundle --minify --format=esm --platform=neutral --target=es2022 '--external:wasi:*' --log-level=warning \
    --outfile="$work/bundle.js"
sed "$hidden" "$work/bundle.js" >"$work/tools.js"
componentize-qjs --sync --opt-size --wit "$work/wit" --world plugin --js "$work/tools.js" --output "$work/hidden.wasm" >/dev/null
LC_ALL=C sed 's/xasi:/wasi:/g' "$work/hidden.wasm" >"$work/linear.wasm"
rm "$work/hidden.wasm"
"$INORDER" pack "$work/linear.wasm" --wit "$root/wit/linear.wit" >/dev/null
mv "$work/linear.wasm" "$built"
# Compiled now, it does not keep whoever uses it first waiting.
"$INORDER" tools --plugin "$built" >/dev/null
printf '%-36s %5d KiB\n' target/plugins/linear.wasm "$((($(wc -c <"$built") + 1023) / 1024))"
