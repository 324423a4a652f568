#!/bin/sh
# Prints the size of the program and of the ten modules that take most of it.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
CGO_ENABLED=0 "$go" build -trimpath -ldflags '-s -w' -o "$folder/stripped" ./cmd/guardroom
CGO_ENABLED=0 "$go" build -trimpath -o "$folder/full" ./cmd/guardroom
awk -v bytes="$(wc -c <"$folder/stripped")" 'BEGIN {printf "%7.2f MiB  guardroom, stripped; of that\n\n", bytes / 1048576}'
"$go" run ./internal/gen/size "$folder/full" ./cmd/guardroom
