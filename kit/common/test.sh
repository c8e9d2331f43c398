#!/bin/sh
# Runs the calls of test.json, and compares what they give with expected.json. `./test.sh --update` writes
# expected.json instead: read it before you keep it.
#
# INORDER is the program to run, if it is not the `inorder` in PATH.
set -eu
cd "$(dirname "$0")"

# Exit code 1 says that a call failed, which is no news here: one of them should.
got=$("${INORDER:-inorder}" run test.json --json --no-audit --plugin my-tools.wasm --allow-read '*.txt') ||
    [ $? -eq 1 ]

# A line for each result, without what differs from run to run.
stable() {
    sed -e 's/,"usage":{[^{}]*}//g' -e 's/,"elapsed_ms":[0-9.e-]*//g' -e 's/{"id"/\
&/g'
}

if [ "${1:-}" = --update ]; then
    printf '%s\n' "$got" | stable >expected.json
else
    printf '%s\n' "$got" | stable | diff expected.json -
    echo "all results are as expected"
fi
