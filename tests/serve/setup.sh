# What conformance.sh and clients.sh share: the program, what it is tried with, a guest and a server over HTTP. Read by
# these, with `.`; leaves the shell at the root of the repository.

cd "$(dirname "$0")/../.."
work=$PWD/target/serve
npm=$work/npm/node_modules/.bin
root=$work/root
mkdir -p "$root"

fail() {
    echo "$0: $*" >&2
    exit 1
}

inorder=${INORDER:-target/release/inorder}
if ! [ -x "$inorder" ]; then
    [ -z "${INORDER:-}" ] || fail "there is no program $inorder, which INORDER names"
    cargo build --release
fi

# Installs what package.json names, Node.js too, and puts it before any other.
with_npm() {
    if ! cmp -s tests/serve/package.json "$work/npm/installed.json"; then
        command -v npm >/dev/null || fail "needs npm, which is not here"
        mkdir -p "$work/npm"
        cp tests/serve/package.json "$work/npm/package.json"
        npm install --silent --no-audit --no-fund --prefix "$work/npm" ||
            fail "npm could not install what tests/serve/package.json names"
        cp tests/serve/package.json "$work/npm/installed.json"
    fi
    PATH=$npm:$PATH
    node --version >/dev/null || fail "the Node.js of tests/serve/package.json does not run here"
}

# Sets $plugin to a guest with its descriptions, which are not in a component as it is built.
with_guest() {
    [ -f "target/guests/dist/$1.wasm" ] || plugins/build.sh "$1"
    rm -rf "$work/wit"
    mkdir -p "$work/wit/deps"
    cp "tests/guests/$1/$1.wit" "$work/wit/"
    cp wit/tool.wit "$work/wit/deps/"
    plugin=$work/$1.wasm
    "$inorder" pack "target/guests/dist/$1.wasm" --wit "$work/wit" --output "$plugin" >"$work/pack.log" 2>&1 ||
        fail "$(cat "$work/pack.log")"
}

# Serves, with these arguments, at $url, until the script ends.
serve_http() {
    # The server may be slow to empty the log of the run before, which names another address.
    rm -f "$work/server.log"
    touch "$work/server.log"
    "$inorder" serve --no-audit --http 127.0.0.1:0 --root "$root" "$@" 2>"$work/server.log" &
    server=$!
    trap 'kill "$server" 2>/dev/null || true' EXIT
    trap 'exit 130' INT TERM
    for _ in $(seq 600); do
        url=$(sed -n 's/.*serving \(http[^ ]*\).*/\1/p' "$work/server.log")
        [ -z "$url" ] || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    fail "the server did not start: $(cat "$work/server.log")"
}
