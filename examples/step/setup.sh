#!/bin/sh
# Makes examples/step/shop, a repository to try the example in, anew.
set -eu
cd "$(dirname "$0")"
rm -rf shop
cp -R project shop
cd shop
# Not in the example itself, of which these are a part.
printf '.memory/\ncoverage.xml\n' >.gitignore
git init --quiet --initial-branch main
git config user.name "Shop"
git config user.email "shop@example.org"
git add .
git commit --quiet --message "A small shop"
