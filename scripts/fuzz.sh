#!/bin/sh
# Runs every fuzz test for a time: fuzz.sh 30s. Go runs one at a time.
set -eu
cd "$(dirname "$0")/.."
time=${1:-30s}
go=${GO:-go}
for package in $("$go" list ./...); do
	for name in $("$go" test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $name"
		"$go" test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$package"
	done
done
