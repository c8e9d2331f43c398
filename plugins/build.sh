#!/bin/sh
# Builds the guests from source: plugins/NAME into plugins/dist/NAME.wasm, which is committed, and
# tests/guests/NAME into target/guests/dist/NAME.wasm, which is not.
set -eu

usage() {
    cat <<'USAGE'
usage: plugins/build.sh [--check] [NAME...]

Builds every guest, or only those named, with a Rust toolchain for wasm32-wasip2.

  --check   build nothing: fail if a component in plugins/dist is older than its sources
  --help    print this

GUEST_TOOLCHAIN=rustup or =debian picks the compiler. Without it: the installed one if it knows the
target, else the one in target/guest-toolchain, else `rustup target add`, else Debian's packages.

plugins/dist/NAME.sources lists what NAME.wasm was built from, as sha256sum prints it at the root of the
repository, sorted by path as bytes: wit/NAME.wit, plugins/NAME/**/Cargo.toml, plugins/NAME/**/*.rs but for tests/.
USAGE
}

target=wasm32-wasip2
debian=target/guest-toolchain

main() {
    action=build
    while [ $# -gt 0 ]; do
        case $1 in
        --check) action=check ;;
        -h | --help) usage && exit ;;
        --) shift && break ;;
        -*) usage >&2 && exit 2 ;;
        *) break ;;
        esac
        shift
    done
    root=$(cd "$(dirname "$0")/.." && pwd -P)
    cd "$root"
    selected=$(select_guests "$@")
    [ "$action" = check ] || prepare
    status=0
    for guest in $selected; do
        case $action in
        build) build "$guest" ;;
        check) check "$guest" || status=1 ;;
        esac
    done
    exit "$status"
}

# Prints the folders of the guests named, or of all.
select_guests() {
    all=$(for manifest in plugins/*/Cargo.toml tests/guests/*/Cargo.toml; do
        if [ -f "$manifest" ]; then dirname "$manifest"; fi
    done)
    if [ $# -eq 0 ]; then
        echo "$all"
        return
    fi
    for name in "$@"; do
        echo "$all" | grep -xF -e "plugins/$name" -e "tests/guests/$name" ||
            fail "there is no guest \"$name\"; there are:" "$(echo "$all" | sed 's,.*/,,' | xargs)"
    done
}

build() {
    name=${1##*/}
    package=$(sed -n 's/^name *= *"\(.*\)"/\1/p' "$1/Cargo.toml" | head -n 1)
    case $1 in
    plugins/*) dist=plugins/dist ;;
    *) dist=target/guests/dist ;;
    esac
    before=$(sources "$1")
    # One package at a time: together, they would share the features of their dependencies, and a
    # guest's bytes would depend on what else is built.
    # The manifest is the guest's own, since not every guest is in the workspace of the root.
    "$cargo" build --locked --profile guest --target "$target" --target-dir target/guests \
        --manifest-path "$1/Cargo.toml" --package "$package" || fail "$1 does not build"
    built=target/guests/$target/guest/$(echo "$package" | tr - _).wasm
    for folder in "$root" "$cargo_home" "$HOME"; do
        if [ "$folder" != / ] && grep -aqF "$folder/" "$built"; then
            fail "$built names a path of this machine, below $folder"
        fi
    done
    mkdir -p "$dist"
    replace "$dist/$name.wasm" <"$built"
    if [ "$dist" = plugins/dist ]; then
        [ "$before" = "$(sources "$1")" ] || fail "$1 was changed while it was being built"
        echo "$before" | replace "$dist/$name.sources"
    fi
    printf '%-36s %5d KiB\n' "$dist/$name.wasm" "$((($(wc -c <"$built") + 1023) / 1024))"
}

# Says which sources of a plugin are not what its built component records.
check() {
    name=${1##*/}
    record=plugins/dist/$name.sources
    case $1 in plugins/*) ;; *) return 0 ;; esac
    if ! [ -f "plugins/dist/$name.wasm" ] || ! [ -f "$record" ]; then
        echo "plugins/dist/$name.wasm or .sources is missing: run plugins/build.sh $name" >&2
        return 1
    fi
    now=$(sources "$1")
    if [ "$now" != "$(cat "$record")" ]; then
        echo "plugins/dist/$name.wasm is older than its sources: run plugins/build.sh $name" >&2
        echo "$now" | diff "$record" - | sed -n 's/^[<>] [0-9a-f]*  /  /p' | LC_ALL=C sort -u >&2
        return 1
    fi
}

sources() {
    {
        case $1 in plugins/*) echo "wit/${1##*/}.wit" ;; esac
        find "$1" -type f \( -name '*.rs' -o -name Cargo.toml \) ! -path "$1/tests/*" ! -path "*/target/*"
    } | LC_ALL=C sort | while IFS= read -r file; do
        sha256 "$file" || fail "cannot read $file"
    done
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi
}

# Sets $cargo and the compiler's flags.
prepare() {
    command -v cargo >/dev/null || fail "needs cargo: install Rust first"
    unset RUSTFLAGS RUSTC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER CARGO_ENCODED_RUSTFLAGS
    find_toolchain
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    # Fetched before the build, so that the folders to hide exist.
    for manifest in Cargo.toml plugins/*/Cargo.toml; do
        # Those without a lock file of their own are in the workspace of the root.
        [ -f "${manifest%.toml}.lock" ] || continue
        "$cargo" fetch --locked --target "$target" --manifest-path "$manifest" ||
            fail "the dependencies could not be fetched; cargo says above why"
    done
    flags=--remap-path-prefix=$root=/inorder
    for folder in "$cargo_home"/registry/src/*/ "$cargo_home"/git/checkouts/; do
        flags=$flags$(printf '\037')--remap-path-prefix=${folder%/}=/cargo
    done
    export CARGO_ENCODED_RUSTFLAGS="$flags"
}

find_toolchain() {
    case ${GUEST_TOOLCHAIN:-any} in
    any) find_installed || find_debian || add_with_rustup || install_debian ;;
    rustup) find_installed || add_with_rustup ;;
    debian) find_debian || install_debian ;;
    *) fail "GUEST_TOOLCHAIN is rustup, debian or nothing, not \"$GUEST_TOOLCHAIN\"" ;;
    esac || fail "found no Rust toolchain that builds for $target; what was tried is above"
}

find_installed() {
    cargo=cargo
    compiles rustc
}

find_debian() {
    cargo=$root/$debian/cargo
    [ -x "$cargo" ] && compiles "$debian/rustc"
}

add_with_rustup() {
    cargo=cargo
    if ! command -v rustup >/dev/null; then
        echo "there is no rustup here to add the target $target with" >&2
        return 1
    fi
    rustup --quiet target add "$target" && compiles rustc
}

install_debian() {
    cargo=$root/$debian/cargo
    echo "installing a compiler for $target from Debian's packages into $debian" >&2
    plugins/guest-toolchain.sh "$debian" && compiles "$debian/rustc"
}

# Whether a compiler has standard libraries of its own version for the guests, and for the programs
# that run while they are built.
compiles() {
    mkdir -p target
    probe=$(mktemp -d target/probe.XXXXXX)
    found=0
    for triple in "$target" "$("$1" --print host-tuple)"; do
        echo 'pub fn main() { println!() }' | "$1" --target "$triple" --crate-type lib \
            --emit metadata --out-dir "$probe" - 2>/dev/null || found=1
    done
    rm -rf "$probe"
    return "$found"
}

# Replaces a file by standard input, so that a reader sees the old one or the new one, whole.
replace() {
    cat >"$1.new"
    mv "$1.new" "$1"
}

fail() {
    echo "plugins/build.sh: $*" >&2
    exit 1
}

main "$@"
