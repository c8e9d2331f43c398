#!/bin/sh
# Runs the protocol's official conformance suite against `inorder serve --http`: every scenario for servers of both
# revisions that it speaks. What it does not offer, and why, is in expected-failures.yaml.
#
#   tests/serve/conformance.sh              all of it, about ten seconds when all is built and installed
#   tests/serve/conformance.sh 2026-07-28   one revision
#
# INORDER names the program to try, target/release/inorder by default. The suite comes from npm, and so does Node.js.
# Scenarios of extensions, which belong to no revision, are not run: none is offered.
set -eu
. "$(dirname "$0")/setup.sh"

# Of each revision: a scenario that hangs is ended by the suite after 30 s.
patience=300

with_npm
with_guest conformance
serve_http --plugin "$plugin"

status=0
for revision in ${*:-2025-11-25 2026-07-28}; do
    report=$work/conformance-$revision.txt
    if timeout "$patience" "$npm/conformance" server --url "$url" --suite all --spec-version "$revision" \
        --expected-failures tests/serve/expected-failures.yaml >"$report" 2>&1; then
        echo "$revision: $(sed -n 's/^Total: //p' "$report"), all of these expected"
    else
        status=1
        sed -n '/^=== SUMMARY/,$p' "$report"
        echo "$revision: the suite failed; all that it said is in $report" >&2
    fi
done
exit $status
