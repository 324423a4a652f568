#!/bin/sh
# Runs every fuzz test for a time: fuzz.sh 30s. Go runs one at a time. It goes
# on after one that fails, names it at the end and ends with 1.
set -eu
cd "$(dirname "$0")/.."
time=${1:-30s}
go=${GO:-go}
failed=
for file in $(find . -name '*_test.go' -not -path './.*' | sort | xargs grep -l '^func Fuzz'); do
	for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "== $(dirname "$file") $name"
		"$go" test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$(dirname "$file")" || failed="$failed $name"
	done
done
if [ -n "$failed" ]; then
	echo "failed:$failed"
	exit 1
fi
