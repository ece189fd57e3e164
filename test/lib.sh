# shellcheck shell=sh
#
# Shared by the scripts of this directory, which read it with ". .../lib.sh".
# What it gives, in the order a script usually needs it:
#
#     sm_packages [PACKAGE...]  install what is missing (apt-get, as root or sudo)
#     sm_workdir                make $SM_WORK; it is removed again at exit
#     sm_build                  build, with the VARIABLE=VALUE for make that
#                               $SM_MAKE_FLAG may hold, and install into a
#                               private server tree
#     sm_start NAME [LINE...]   start a cluster of its own with these settings
#     sm_psql ...               psql on it (any client: PGHOST, PGPORT, ... are set)
#     sm_stop NAME              stop it (at exit all are stopped)
#     sm_user COMMAND...        run as the unprivileged user who owns all that
#
# Nothing is installed into the system's PostgreSQL, and no existing cluster is
# touched.  The programs of the server are copied below $SM_WORK: PostgreSQL
# finds its libraries and data files relative to where its programs are, so the
# copy is a server that may have one more extension.
#
# From the environment:
#     PG_CONFIG                  use this server instead of Debian's own
#     SAFE_MIGRATE_KEEP=1        leave $SM_WORK there, and say where
#     SAFE_MIGRATE_NO_INSTALL=1  never call apt-get
#
# For the scripts: $SM_TOP is the source tree, $SM_BIN has psql and pgbench,
# $SM_BUILD the compiled copy of the source tree.

SM_TOP=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
while [ ! -e "$SM_TOP/safe_migrate.control" ] && [ "$SM_TOP" != / ]
do
	SM_TOP=$(dirname -- "$SM_TOP")
done
[ "$SM_TOP" != / ] || {
	echo "error: $0 is not in the source tree of safe_migrate" >&2
	exit 1
}

# Nothing of the caller's may leak into servers, clients and expected results.
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C.UTF-8
export PATH LC_ALL
unset LANGUAGE MAKEFLAGS MFLAGS MAKELEVEL
unset PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGPASSFILE \
	PGSERVICE PGSERVICEFILE PGOPTIONS PGAPPNAME PGSSLMODE PGDATA \
	PGCLIENTENCODING PGTZ PGDATESTYLE PGCONNECT_TIMEOUT
umask 022


sm_say()
{
	printf '%s\n' "$*"
}

sm_die()
{
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# Run a command whose output matters only when it fails.
sm_quietly()
{
	sm_output=$(mktemp /tmp/safe_migrate_log.XXXXXX)
	sm_status=0
	"$@" >"$sm_output" 2>&1 </dev/null || sm_status=$?
	if [ "$sm_status" -ne 0 ]
	then
		tail -n 80 "$sm_output" >&2
		printf 'error: failed with status %s: %s\n' "$sm_status" "$*" >&2
	fi
	rm -f "$sm_output"
	return "$sm_status"
}

sm_root()
{
	if [ "$(id -u)" -eq 0 ]
	then
		"$@"
	elif command -v sudo >/dev/null 2>&1
	then
		sudo -- "$@"
	else
		sm_die "this needs root, or sudo: $*"
	fi
}


# ---- packages

# The major version to build for: the newest server that is here already, else
# the one that Debian's metapackage stands for.
sm_major()
{
	sm_found=
	for sm_directory in /usr/lib/postgresql/*/bin
	do
		[ -e "$sm_directory/postgres" ] || [ -e "$sm_directory/pg_config" ] || continue
		sm_directory=${sm_directory%/bin}
		sm_directory=${sm_directory##*/}
		[ "$sm_directory" -le "${sm_found:-0}" ] || sm_found=$sm_directory
	done
	[ -n "$sm_found" ] ||
		sm_found=$(apt-cache depends postgresql 2>/dev/null |
			sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1)
	printf '%s' "$sm_found"
}

sm_is_installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

sm_apt_get()
{
	sm_quietly sm_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# A new server package makes a cluster and starts it, unless told not to, and a
# pooler is started as a service.
SM_NO_CLUSTER=/etc/postgresql-common/createcluster.d/safe_migrate_tests.conf
SM_NO_SERVICE=/usr/sbin/policy-rc.d

sm_install()
{
	sm_say "Installing: $*"

	# apt would restart servers whose package it has to upgrade on the way.
	if ls /etc/postgresql/*/*/postgresql.conf >/dev/null 2>&1 &&
		apt-get -s install --no-install-recommends "$@" 2>/dev/null |
		grep -q '^Inst postgresql-[0-9]* \['
	then
		sm_die "installing $* would upgrade and restart the PostgreSQL server of this machine: please do that by hand"
	fi

	(
		sm_own_policy=
		trap 'sm_root rm -f "$SM_NO_CLUSTER" $sm_own_policy' EXIT
		trap 'exit 130' HUP INT TERM
		if [ ! -e "$SM_NO_SERVICE" ]
		then
			sm_own_policy=$SM_NO_SERVICE
			sm_root sh -c "printf '#!/bin/sh\nexit 101\n' >$SM_NO_SERVICE && chmod 755 $SM_NO_SERVICE"
		fi
		sm_root mkdir -p "$(dirname "$SM_NO_CLUSTER")"
		sm_root sh -c "echo 'create_main_cluster = false' >$SM_NO_CLUSTER"
		sm_apt_get install --no-install-recommends "$@"
	) || sm_die "could not install $*"
}

# The headers of the very server that is installed, where apt still has them: a
# newer minor version of them would bring a newer server along.
sm_same_version()
{
	case $1 in
		postgresql-server-dev-*) sm_server=postgresql-${1##*-} ;;
		*) sm_server= ;;
	esac
	sm_wanted=
	[ -z "$sm_server" ] || ! sm_is_installed "$sm_server" ||
		sm_wanted=$(dpkg-query -W -f '${Version}' "$sm_server")
	if [ -n "$sm_wanted" ] &&
		apt-cache madison "$1" | grep -qF "| $sm_wanted |"
	then
		printf '%s=%s' "$1" "$sm_wanted"
	else
		printf '%s' "$1"
	fi
}

# Install the compiler, the server and the named packages, as far as they are
# missing.  A package after --optional is skipped where there is none.
sm_packages()
{
	[ -z "${SAFE_MIGRATE_NO_INSTALL:-}" ] || return 0
	command -v apt-get >/dev/null 2>&1 || return 0

	if [ -z "${PG_CONFIG:-}" ] && [ -z "$(sm_major)" ]
	then
		sm_apt_get update || true
		sm_updated=1
		[ -n "$(sm_major)" ] || sm_die "apt knows no package postgresql"
	fi
	[ -n "${PG_CONFIG:-}" ] ||
		set -- "postgresql-$(sm_major)" "postgresql-server-dev-$(sm_major)" "$@"

	sm_missing=
	sm_optional=
	for sm_package in gcc libc6-dev make "$@"
	do
		if [ "$sm_package" = --optional ]
		then
			sm_optional=1
		elif ! sm_is_installed "$sm_package"
		then
			[ -n "${sm_updated:-}" ] || sm_apt_get update || true
			sm_updated=1
			[ -n "$sm_optional" ] &&
				! apt-cache show "$sm_package" >/dev/null 2>&1 ||
				sm_missing="$sm_missing $(sm_same_version "$sm_package")"
		fi
	done
	# shellcheck disable=SC2086  # a list of words
	[ -z "$sm_missing" ] || sm_install $sm_missing
}


# ---- the working directory and its owner

# PostgreSQL refuses to run as root: then everything belongs to "postgres", the
# user that Debian's packages make.
sm_user()
{
	if [ "$(id -u)" -eq 0 ]
	then
		(cd "$SM_BUILD" && exec runuser -u postgres -- \
			env HOME="$SM_WORK/home" TMPDIR="$SM_WORK/tmp" "$@")
	else
		(cd "$SM_BUILD" && exec env HOME="$SM_WORK/home" TMPDIR="$SM_WORK/tmp" "$@")
	fi
}

sm_own()
{
	[ "$(id -u)" -ne 0 ] || chown -R postgres: "$@"
}

sm_workdir()
{
	[ "$(id -u)" -ne 0 ] || id postgres >/dev/null 2>&1 ||
		sm_die "there is no user postgres to run the server as"

	# Not $TMPDIR: the path of a socket must be short, and open to that user.
	SM_WORK=$(mktemp -d /tmp/safe_migrate.XXXXXX)
	trap sm_cleanup EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	chmod 755 "$SM_WORK"
	SM_BUILD=$SM_WORK/build
	SM_ROOT=$SM_WORK/root
	SM_SOCKETS=$SM_WORK/s
	mkdir "$SM_BUILD" "$SM_ROOT" "$SM_WORK/home" "$SM_WORK/tmp" "$SM_SOCKETS"
	chmod 700 "$SM_SOCKETS"
	sm_own "$SM_WORK"
}

sm_cleanup()
{
	sm_exit=$?
	trap - EXIT
	trap '' HUP INT TERM
	if [ -d "${SM_WORK:-}" ]
	then
		# Also those that a killed TAP test left behind.
		find "$SM_WORK" -name postmaster.pid 2>/dev/null |
			while read -r sm_pidfile
			do
				sm_user "$SM_BIN/pg_ctl" stop -s -m immediate -t 60 \
					-D "$(dirname "$sm_pidfile")" >/dev/null 2>&1 </dev/null || true
			done
		if [ -n "${SAFE_MIGRATE_KEEP:-}" ]
		then
			sm_say "Kept: $SM_WORK"
		else
			rm -rf "$SM_WORK"
		fi
	fi
	exit "$sm_exit"
}


# ---- build

# Copy, or link, a directory of the installed server to the same place below
# $SM_ROOT.
sm_copy_tree()
{
	mkdir -p "$SM_ROOT$(dirname "$1")"
	cp -a "$1" "$SM_ROOT$(dirname "$1")/"
}

sm_link_tree()
{
	[ -e "$SM_ROOT$1" ] && return
	[ -e "$1" ] || sm_die "there is no $1: is the server's development package installed?"
	mkdir -p "$SM_ROOT$(dirname "$1")"
	ln -s "$1" "$SM_ROOT$1"
}

sm_private_server()
{
	sm_pg_config=${PG_CONFIG:-/usr/lib/postgresql/$(sm_major)/bin/pg_config}
	command -v "$sm_pg_config" >/dev/null 2>&1 ||
		sm_die "no $sm_pg_config: is the server's development package installed?"

	# Ask for the real place: pg_config on the PATH may be a wrapper.
	sm_bindir=$("$sm_pg_config" --bindir)
	for sm_what in --bindir --pkglibdir --sharedir
	do
		sm_copy_tree "$("$sm_bindir/pg_config" "$sm_what")"
	done
	for sm_what in --includedir --pkgincludedir --includedir-server --libdir
	do
		sm_link_tree "$("$sm_bindir/pg_config" "$sm_what")"
	done
	sm_own "$SM_ROOT"

	SM_BIN=$SM_ROOT$sm_bindir
	SM_PG_CONFIG=$SM_BIN/pg_config
	[ "$("$SM_PG_CONFIG" --sharedir)" = "$SM_ROOT$("$sm_bindir/pg_config" --sharedir)" ] ||
		sm_die "the server of $sm_bindir cannot be relocated"
	SM_VERSION=$("$SM_PG_CONFIG" --version)
}

sm_make()
{
	sm_user make --no-print-directory PG_CONFIG="$SM_PG_CONFIG" "$@"
}

sm_build()
{
	sm_private_server

	# A copy, so that the user's tree stays clean and a tree of root's builds.
	tar -C "$SM_TOP" --exclude=./.git --exclude='*.o' --exclude='*.so' \
		--exclude=./results --exclude=./output_iso --exclude=./tmp_check \
		-cf - . | tar -C "$SM_BUILD" --no-same-owner -xf -
	sm_own "$SM_BUILD"

	# Real migration histories, where they lie beside the source tree.
	if [ -d "$SM_TOP/../shared/corpus" ]
	then
		mkdir "$SM_WORK/shared"
		cp -R "$SM_TOP/../shared/corpus" "$SM_WORK/shared/"
		chmod -R u+w "$SM_WORK/shared"
		sm_own "$SM_WORK/shared"
	fi

	sm_say "Building for $SM_VERSION"
	sm_quietly sm_make clean
	sm_quietly sm_make -s -j "$(nproc)" ${SM_MAKE_FLAG:+"$SM_MAKE_FLAG"} all || exit 1
	sm_quietly sm_make ${SM_MAKE_FLAG:+"$SM_MAKE_FLAG"} install || exit 1
}


# ---- clusters

sm_free_port()
{
	perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(
		Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# sm_start NAME [LINE...]: each line goes to postgresql.conf.
sm_start()
{
	sm_name=$1
	shift
	sm_data=$SM_WORK/cluster/$sm_name
	[ -d "$SM_WORK/cluster" ] || mkdir "$SM_WORK/cluster"
	sm_own "$SM_WORK/cluster"

	sm_quietly sm_user "$SM_BIN/initdb" -D "$sm_data" -U postgres -A trust \
		--encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions
	PGPORT=$(sm_free_port)
	{
		printf '%s\n' "listen_addresses = ''" "port = $PGPORT" \
			"unix_socket_directories = '$SM_SOCKETS'" \
			"shared_preload_libraries = 'safe_migrate'" "$@"
	} >"$SM_WORK/settings"
	# shellcheck disable=SC2016  # the inner shell expands it
	sm_user sh -c 'cat >>"$0/postgresql.conf"' "$sm_data" <"$SM_WORK/settings"

	# shellcheck disable=SC2034  # for the scripts
	SM_LOG=$SM_WORK/cluster/$sm_name.log
	if ! sm_user "$SM_BIN/pg_ctl" start -s -w -t 60 -D "$sm_data" \
		-l "$SM_LOG" >/dev/null 2>&1 </dev/null
	then
		tail -n 30 "$SM_LOG" >&2
		sm_die "the server did not start"
	fi

	PGHOST=$SM_SOCKETS
	PGUSER=postgres
	PGDATABASE=postgres
	export PGHOST PGPORT PGUSER PGDATABASE
}

sm_stop()
{
	sm_quietly sm_user "$SM_BIN/pg_ctl" stop -s -w -m fast \
		-D "$SM_WORK/cluster/$1"
}

sm_psql()
{
	"$SM_BIN/psql" -X "$@"
}
