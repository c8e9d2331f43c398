#!/bin/sh
# Installs a Rust compiler for wasm32-wasip2 into PREFIX from Debian's packages alone, for machines
# where `rustup target add wasm32-wasip2` cannot download. plugins/build.sh calls it when needed.
#
#   plugins/guest-toolchain.sh PREFIX     then: PREFIX/cargo build --target wasm32-wasip2
#
# About 200 MB down, 800 MB on disk. It needs apt-get and dpkg with a Debian mirror configured, and a
# Rust toolchain, whose cargo and wasm linkers it uses. The packages are those of Debian testing: its
# compiler may want a newer C library than this machine's, so it runs under its own loader, and nothing
# outside PREFIX is touched. PREFIX appears whole or not at all.
set -eu

main() {
    prefix=${1:?usage: plugins/guest-toolchain.sh PREFIX}
    for tool in apt-get apt-cache dpkg rustc cargo; do
        command -v "$tool" >/dev/null || fail "needs $tool, which is not here"
    done
    linkers=$(rustc --print sysroot)/lib/rustlib/$(rustc --print host-tuple)/bin
    [ -x "$linkers/wasm-component-ld" ] ||
        fail "needs wasm-component-ld, which rustup's toolchains have and $linkers has not"

    mkdir -p "$(dirname "$prefix")"
    work=$(mktemp -d "$prefix.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    work=$(cd "$work" && pwd)

    fetch
    wrap
    rm -rf "$work/apt" "$work/debs"
    "$work/rustc" --version || fail "the compiler was installed, and does not run"
    chmod 755 "$work"
    rm -rf "$prefix"
    mv "$work" "$prefix"
}

# Downloads the compiler and the shared libraries it needs, and unpacks them into $work/root.
fetch() {
    apt=$work/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$work/debs" "$work/root"
    mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
        /etc/apt/sources.list.d/debian*.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
    [ -n "$mirror" ] || fail "no Debian mirror is configured in /etc/apt"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -f "$keys" ] || fail "needs $keys, from the package debian-archive-keyring"
    echo "deb [signed-by=$keys] $mirror testing main" >"$apt/sources.list"

    with_apt apt-get update -o APT::Update::Error-Mode=any ||
        fail "the package lists of Debian testing could not be fetched"
    std=$(with_apt apt-cache depends libstd-rust-dev |
        sed -n 's/.*Depends: \(libstd-rust-[0-9.]*\)$/\1/p' | head -n 1)
    [ -n "$std" ] || fail "Debian testing has no libstd-rust-dev that names its library"
    libraries=$(with_apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts \
        --no-breaks --no-replaces --no-enhances "$std" | grep '^[a-z]')
    # shellcheck disable=SC2086  # one package per word
    (cd "$work/debs" &&
        with_apt apt-get download rustc libstd-rust-dev libstd-rust-dev-wasm32 $libraries) ||
        fail "the packages of Debian testing could not be fetched"
    for deb in "$work"/debs/*.deb; do
        dpkg -x "$deb" "$work/root"
    done
}

# Runs an apt program on the lists in $work alone, not on the system's.
with_apt() {
    program=$1
    shift
    "$program" -qq -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$work/apt/lists" -o Dir::State::status=/dev/null \
        -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root "$@"
}

# Writes the wrappers. They find everything beside themselves, so the folder can be moved.
wrap() {
    set -- "$work"/root/usr/lib/*/ld-linux-*.so.*
    loader=${1#"$work/"}
    cat >"$work/rustc" <<WRAPPER
#!/bin/sh
here=\$(cd "\$(dirname "\$0")" && pwd)
exec "\$here/$loader" --library-path "\$here/$(dirname "$loader")" \\
    "\$here/root/usr/bin/rustc" --sysroot "\$here/root/usr" "\$@"
WRAPPER
    cat >"$work/cargo" <<'WRAPPER'
#!/bin/sh
# This machine's cargo and wasm linkers, with the compiler beside this file.
here=$(cd "$(dirname "$0")" && pwd)
linkers=$(rustc --print sysroot)/lib/rustlib/$(rustc --print host-tuple)/bin
export RUSTC="$here/rustc" PATH="$linkers:$linkers/gcc-ld:$PATH"
exec cargo "$@"
WRAPPER
    chmod +x "$work/rustc" "$work/cargo"
}

fail() {
    echo "plugins/guest-toolchain.sh: $*" >&2
    exit 1
}

main "$@"
