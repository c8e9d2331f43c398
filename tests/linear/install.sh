#!/bin/sh
# Installs what the server of these tests needs into target/linear-tests: Linear's schema, and what enforces it.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p target/linear-tests
cp tests/linear/package.json target/linear-tests/
npm install --silent --no-audit --no-fund --prefix target/linear-tests
