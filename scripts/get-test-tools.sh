#!/bin/sh
# Gets what the test suite needs and the machine does not have: a C compiler
# (the race detector links with it), PostgreSQL's server programs, moto's
# server. Prints on standard output what must come first on PATH ("DIR:", or
# nothing); says on standard error, in one line each, what it could not get and
# how a person can. It always ends with 0: the tests that need a missing
# program fail by themselves.
set -u
cd "$(dirname "$0")/.." || exit 1

moto_version=5.2.1
moto_folder=.tools/moto

say() { echo "test tools: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# as_root runs a command as root, if that needs no password.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif have sudo && sudo -n true 2>/dev/null; then
		sudo -n "$@"
	else
		return 1
	fi
}

updated=
# install gets packages by the system's package manager:
# install "apt names" "dnf names" "apk names" "brew names"
install() {
	{
		if have apt-get; then
			if [ -z "$updated" ]; then
				as_root apt-get -o Acquire::Retries=5 update -q
				updated=yes
			fi
			# shellcheck disable=SC2086 # a list of names
			as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300 install -yq --no-install-recommends $1
		elif have dnf; then
			# shellcheck disable=SC2086
			as_root dnf install -y $2
		elif have apk; then
			# shellcheck disable=SC2086
			as_root apk add $3
		elif have brew; then
			# shellcheck disable=SC2086
			brew install $4
		else
			return 1
		fi
	} </dev/null >&2
}

# postgres_folder prints where initdb and postgres are, if not on PATH.
postgres_folder() {
	for d in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
		[ -x "$d/postgres" ] && [ -x "$d/initdb" ] && found=$d
	done
	echo "${found-}"
}

have_postgres() { { have initdb && have postgres; } || [ -n "$(postgres_folder)" ]; }

path=

if ! have cc && ! have gcc; then
	say "getting a C compiler for the race detector"
	install "gcc libc6-dev" "gcc glibc-devel" "gcc musl-dev" "gcc" ||
		say "no C compiler, and the race detector needs one: apt-get install gcc libc6-dev (dnf install gcc)"
fi

if ! have_postgres; then
	say "getting PostgreSQL"
	install "postgresql" "postgresql-server" "postgresql" "postgresql@17" || true
	have_postgres ||
		say "no PostgreSQL server programs: apt-get install postgresql (dnf install postgresql-server, brew install postgresql@17)"
fi
if ! have initdb && [ -n "$(postgres_folder)" ]; then
	path="$(postgres_folder):$path"
fi

# moto_is_right asks a Python whether it has the version that the tests know.
moto_is_right() {
	[ "$("$1" -c 'import importlib.metadata as m; print(m.version("moto"))' 2>/dev/null)" = "$moto_version" ]
}

# find_moto looks for a moto of the right version and puts its folder first. It
# may be on PATH, in the project's folder, or where a user's Python keeps it.
find_moto() {
	if have moto_server && have python3 && moto_is_right python3; then
		return 0
	fi
	for d in "$PWD/$moto_folder/bin" "${HOME:-/nowhere}/.pyenv/shims" "${HOME:-/nowhere}/.local/bin"; do
		python=python3
		[ -x "$d/python3" ] && python="$d/python3"
		if [ -x "$d/moto_server" ] && moto_is_right "$python"; then
			path="$d:$path"
			return 0
		fi
	done
	return 1
}

if ! find_moto; then
	say "getting moto $moto_version into $moto_folder"
	have python3 || install "python3" "python3" "python3" "python3" || true
	if have python3 && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
		install "python3-venv" "python3" "py3-pip" "python3" || true
	fi
	rm -rf "$moto_folder"
	if python3 -m venv "$moto_folder" >&2 &&
		"$moto_folder/bin/pip" install --quiet --retries 5 --timeout 60 --disable-pip-version-check "moto[server]==$moto_version" </dev/null >&2; then
		path="$PWD/$moto_folder/bin:$path"
	else
		rm -rf "$moto_folder"
		say "no moto server: install python3 with venv, then: python3 -m venv $moto_folder && $moto_folder/bin/pip install 'moto[server]==$moto_version'"
	fi
fi

printf '%s' "$path"
