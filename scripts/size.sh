#!/bin/sh
# Prints the size of the program and of the ten modules that take most of it,
# counted by the symbols that the linker kept.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
CGO_ENABLED=0 "$go" build -trimpath -ldflags '-s -w' -o "$folder/stripped" ./cmd/guardroom
CGO_ENABLED=0 "$go" build -trimpath -o "$folder/full" ./cmd/guardroom
CGO_ENABLED=0 "$go" list -deps -f '{{.ImportPath}} {{with .Module}}{{.Path}}{{else}}std{{end}}' ./cmd/guardroom >"$folder/packages"
"$go" tool nm -size "$folder/full" >"$folder/symbols"
awk -v bytes="$(wc -c <"$folder/stripped")" 'BEGIN {printf "%.1f MiB  guardroom, stripped\n\n", bytes / 1048576}'
awk '
	NR == FNR { module[$1] = $2; next }
	{
		# address size kind name: the package is what stands before the first
		# dot after the last slash of the part before any bracket.
		name = $4
		sub(/^(type:|go:itab\.|type:\.eq\.|type:\.hash\.)[*\[\]]*/, "", name)
		head = name
		sub(/[(\[,].*/, "", head)
		slash = match(head, /[^\/]*$/)
		last = substr(head, slash)
		dot = index(last, ".")
		package = dot ? substr(head, 1, slash - 1) substr(last, 1, dot - 1) : head
		gsub(/%2e/, ".", package)
		m = (package in module) ? module[package] : "other (data of the linker)"
		size[m] += $2
	}
	END { for (m in size) printf "%.2f MiB  %s\n", size[m] / 1048576, m }
' "$folder/packages" "$folder/symbols" | sort -rn | head -10
