# shellcheck shell=sh
#
# Debian chroots with other PostgreSQL versions, for the scripts of this
# directory that take versions; they read it after lib.sh.  What it gives:
#
#     suite_of VERSION            fails where there is no recipe for a chroot
#     debian_mirror, apt_sources  the mirror that this system's apt uses, and all
#                                 that it uses of Debian
#     root_only ARGUMENT...       start the script again as root, if it is not
#     for_each COMMAND VERSION... run "COMMAND VERSION" for each, and add up the
#                                 closing lines "N passed, N failed"
#     in_turn VERSION COMMAND...  make the chroot where it is missing; run a
#                                 command while nobody else uses the chroot
#     chroot_packages VERSION PACKAGE...
#                                 install what is missing there
#     chroot_run VERSION SCRIPT ARGUMENT...
#                                 run a script of this tree there
#
# 17 comes from trixie, 18 from forky, 19 from sid with experimental.  The
# chroots (half a gigabyte each) are kept for the next run below
# $SAFE_MIGRATE_CHROOTS, by default /var/cache/safe_migrate/chroots; remove one
# to have it made afresh.

CHROOTS=${SAFE_MIGRATE_CHROOTS:-/var/cache/safe_migrate/chroots}

# Another server than those of the versions asked for.
unset PG_CONFIG

# What is in a chroot; when this changes, older ones are made afresh.
RECIPE=1

suite_of()
{
	case $1 in
		17) echo trixie ;;
		18) echo forky ;;
		19) echo sid ;;
		*) return 1 ;;
	esac
}

# apt_sources FORMAT: what this system's apt uses of Debian, in the words of
# apt-get indextargets; apt knows whose a mirror is when it has the lists.
apt_sources()
{
	# shellcheck disable=SC2016  # apt expands these
	set -- --format '$(ORIGIN)|'"$1" 'Created-By: Packages' 'Origin: Debian'
	[ -n "$(apt-get indextargets "$@" 2>/dev/null)" ] ||
		sm_apt_get update >&2 || true
	apt-get indextargets "$@" 2>/dev/null | sed 's/^Debian|//' | sort -u
}

debian_mirror()
{
	# shellcheck disable=SC2016  # apt expands these
	apt_sources '$(LABEL)|$(REPO_URI)' |
		sed -n 's,^Debian|\(https*://.*\)$,\1,p' | head -n 1
}

# Run one of the functions below in mount and process namespaces of its own, so
# that nothing stays mounted or running however that ends.
alone()
{
	unshare --mount --pid --fork --kill-child \
		sh "$SM_TOP/test/${0##*/}" --inside "$@" &
	alone=$!

	# It ignores what would end it, and would hold the lock of the chroot.
	trap 'kill -KILL "$alone"; exit 143' HUP INT TERM
	alone_status=0
	wait "$alone" || alone_status=$?
	trap - HUP INT TERM
	return "$alone_status"
}


# ---- making a chroot

make_chroot()
{
	version=$1
	root=$2
	mirror=$3
	suite=$(suite_of "$version")

	# The scripts of debootstrap: one that does not know a suite yet treats it
	# like sid.
	script=/usr/share/debootstrap/scripts/$suite
	[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid

	mkdir -p "$root/etc/dpkg/dpkg.cfg.d" "$root/etc/apt/apt.conf.d" \
		"$root/etc/apt/preferences.d" "$root/usr/sbin" \
		"$root/etc/postgresql-common/createcluster.d"
	cat >"$root/etc/dpkg/dpkg.cfg.d/safe_migrate" <<-END
		force-unsafe-io
		path-exclude=/usr/share/doc/*
		path-exclude=/usr/share/man/*
		path-exclude=/usr/share/locale/*
	END
	cat >"$root/etc/apt/apt.conf.d/99safe_migrate" <<-END
		APT::Install-Recommends "false";
		Acquire::Check-Valid-Until "false";
		Acquire::Languages "none";
		Acquire::Retries "3";
	END

	debootstrap --variant=minbase --force-check-gpg \
		"$suite" "$root" "$mirror" "$script"

	if [ "$suite" = sid ]
	then
		# From experimental nothing but this version of PostgreSQL.
		echo "deb $mirror experimental main" \
			>"$root/etc/apt/sources.list.d/experimental.list"
		cat >"$root/etc/apt/preferences.d/safe_migrate" <<-END
			Package: src:postgresql-$version
			Pin: release a=experimental
			Pin-Priority: 500
		END
	fi

	# Installing a server shall neither make a cluster nor start anything.
	echo 'create_main_cluster = false' \
		>"$root/etc/postgresql-common/createcluster.d/safe_migrate.conf"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"

	mount -t proc proc "$root/proc"
	chroot "$root" apt-get -q update
	chroot "$root" apt-cache show "postgresql-server-dev-$version" >/dev/null 2>&1 ||
		sm_die "no package postgresql-server-dev-$version in $(sources_of "$version") today"
	chroot "$root" apt-get -q -y install "postgresql-$version" \
		gcc libc6-dev make libipc-run-perl

	# The package with the headers depends on clang and LLVM, a gigabyte that
	# the build has no use for (with_llvm = no): take its files only.
	# shellcheck disable=SC2016  # the inner shell expands this
	chroot "$root" sh -euc 'cd /var/tmp
		apt-get -q download -o APT::Sandbox::User=root postgresql-server-dev-$0
		dpkg-deb -x postgresql-server-dev-$0_*.deb /
		rm postgresql-server-dev-$0_*.deb
		apt-get clean
		rm -rf /var/lib/apt/lists/*' "$version"
}

sources_of()
{
	case $1 in
		19) echo "Debian sid and experimental" ;;
		*) echo "Debian $(suite_of "$1")" ;;
	esac
}

# A chroot without its mark is what a run left that was cut off.
prepare()
{
	version=$1
	root=$CHROOTS/$version
	mark=$root/.safe_migrate_recipe
	[ "$(cat "$mark" 2>/dev/null)" != "$RECIPE" ] || return 0

	sm_packages_of_host
	mirror=$(debian_mirror)
	[ -n "$mirror" ] || sm_die "found no Debian mirror in the configuration of apt"

	sm_say "PostgreSQL $version: making a chroot of $(sources_of "$version") in $root (takes minutes, kept)"
	rm -rf --one-file-system "$root"
	mkdir -p "$root"
	started=$(date +%s)
	sm_quietly alone make_chroot "$version" "$root" "$mirror" || return 1
	echo "$RECIPE" >"$mark"
	sm_say "PostgreSQL $version: made in $(($(date +%s) - started)) s"
}

sm_packages_of_host()
{
	command -v debootstrap >/dev/null 2>&1 ||
		[ -n "${SAFE_MIGRATE_NO_INSTALL:-}" ] || {
		sm_apt_get update || true
		sm_apt_get install --no-install-recommends debootstrap \
			debian-archive-keyring || true
	}
	command -v debootstrap >/dev/null 2>&1 || sm_die "debootstrap is missing"
}



# One version, while no other run uses its chroot.
in_turn()
{
	version=$1
	shift
	mkdir -p "$CHROOTS"
	(
		flock 9
		prepare "$version" || exit 1
		"$@"
	) 9>"$CHROOTS/$version.lock" </dev/null
}


# ---- using it

# Inside the namespaces.  $SAFE_MIGRATE_BIND is a directory of ours that is to be
# seen there, at the same place.
enter_chroot()
{
	root=$1
	shift
	mount -t proc proc "$root/proc"
	mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"

	# Terminals of its own, for tests that need one.
	mkdir -p "$root/dev/pts"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
	[ -e "$root/dev/ptmx" ] || ln -s pts/ptmx "$root/dev/ptmx"
	if [ -n "${SAFE_MIGRATE_BIND:-}" ]
	then
		mkdir -p "$root$SAFE_MIGRATE_BIND"
		mount --bind "$SAFE_MIGRATE_BIND" "$root$SAFE_MIGRATE_BIND"
		mount -o remount,bind,ro "$root$SAFE_MIGRATE_BIND"
	fi
	chroot "$root" "$@"
}

chroot_packages()
{
	root=$CHROOTS/$1
	shift
	missing=
	for package in "$@"
	do
		[ "$(dpkg-query --admindir="$root/var/lib/dpkg" -W \
			-f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing="$missing $package"
	done
	[ -n "$missing" ] && [ -z "${SAFE_MIGRATE_NO_INSTALL:-}" ] || return 0
	sm_say "Installing in $root:$missing"
	# shellcheck disable=SC2086,SC2016  # a list of words; the inner shell expands
	sm_quietly alone enter_chroot "$root" env DEBIAN_FRONTEND=noninteractive \
		sh -euc 'apt-get -q update
			apt-get -q -y install "$@"
			apt-get clean
			rm -rf /var/lib/apt/lists/*' sh $missing
}

# $PG_CONFIG is for the script there; by default it is that of Debian's server.
chroot_run()
{
	version=$1
	script=$2
	shift 2
	root=$CHROOTS/$version
	work=/var/tmp/safe_migrate.$$
	copy=$work/tree

	# What a run left that was cut off.
	rm -rf "$root/var/tmp/safe_migrate".* "$root/tmp/safe_migrate".*

	mkdir "$root$work" "$root$copy"
	if [ -d "$SM_TOP/../shared/corpus" ]
	then
		mkdir "$root$work/shared"
		cp -R "$SM_TOP/../shared/corpus" "$root$work/shared/"
		chmod -R u+w "$root$work/shared"
	fi
	tar -C "$SM_TOP" --exclude=./.git --exclude='*.o' --exclude='*.so' -cf - . |
		tar -C "$root$copy" --no-same-owner -xf -
	status=0
	alone enter_chroot "$root" env SAFE_MIGRATE_NO_INSTALL=1 \
		PG_CONFIG="${PG_CONFIG:-/usr/lib/postgresql/$version/bin/pg_config}" \
		sh "$copy/$script" "$@" || status=1
	rm -rf "${root:?}$work"
	# The next run would remove it there.
	[ -z "${SAFE_MIGRATE_KEEP:-}" ] || mv -n "$root"/tmp/safe_migrate.* /tmp/
	return "$status"
}


# ---- the scripts themselves

# Start the script again with sudo unless we are root already.
root_only()
{
	[ "$(id -u)" -ne 0 ] || return 0
	command -v sudo >/dev/null 2>&1 || sm_die "needs root, or sudo, for chroot"
	set -- sh "$SM_TOP/test/${0##*/}" "$@"
	for name in CHROOTS SOURCES SUITES TESTS SERIAL KEEP NO_INSTALL
	do
		eval "value=\${SAFE_MIGRATE_$name:-}"
		# shellcheck disable=SC2154  # set by eval
		[ -z "$value" ] || set -- "SAFE_MIGRATE_$name=$value" "$@"
	done
	exec sudo -- env "$@"
}

# The output of each ends with "N passed, N failed", or it is a failure; what only
# prepares needs no such line.
for_each()
{
	command=$1
	shift
	report=$(mktemp /tmp/safe_migrate_versions.XXXXXX)
	trap 'rm -f "$report" "$report".*' EXIT
	trap 'exit 130' HUP INT TERM
	passed=0
	failed=0
	for version in "$@"
	do
		printf '\n======== PostgreSQL %s\n' "$version"
		{
			status=0
			"$command" "$version" 2>&1 || status=$?
			echo "$status" >"$report.status"
		} | tee "$report.output"

		line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$report.output" |
			tail -n 1)
		if [ "$(cat "$report.status")" -eq 0 ]
		then
			[ -n "$line" ] || line='ready'
		else
			case $line in
				'' | *' 0 failed') line='0 passed, 1 failed' ;;
			esac
			echo "---- PostgreSQL $version" >>"$report.failures"
			grep -E -A 20 '^not ok |^diff -|^---- end of ' "$report.output" |
				head -n 200 >>"$report.failures" || true
		fi
		echo "PostgreSQL $version: $line" >>"$report"
		[ "$line" != ready ] || continue
		passed=$((passed + ${line%% passed*}))
		line=${line#*passed, }
		failed=$((failed + ${line%% failed*}))
	done

	# what failed, again, for it is far above
	printf '\n======== all versions\n'
	cat "$report.failures" "$report" 2>/dev/null || true
	[ "$passed$failed" = 00 ] || echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}


# What alone() has started.
if [ "${1:-}" = --inside ]
then
	shift
	"$@"
	exit
fi
