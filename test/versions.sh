#!/bin/sh
#
# Build and test with other PostgreSQL versions, in Debian chroots:
#
#     sh test/versions.sh 17 18 19
#     sh test/versions.sh --prepare 17 18 19      only make the chroots
#
# 17 comes from trixie, 18 from forky, 19 from sid with experimental; the mirror
# is the one that this system's apt uses.  The chroots (half a gigabyte each)
# are kept for the next run below $SAFE_MIGRATE_CHROOTS, by default
# /var/cache/safe_migrate/chroots; remove one to have it made afresh.
#
# Needs root, or sudo.  Each step runs in mount and process namespaces of its
# own, so nothing stays mounted or running however this script ends.
#
# $SAFE_MIGRATE_SUITES: what of test/check.sh to run, default "regress
# isolation tap".

set -eu

# shellcheck source=test/lib.sh
. "$(dirname -- "$0")/lib.sh"

CHROOTS=${SAFE_MIGRATE_CHROOTS:-/var/cache/safe_migrate/chroots}

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

debian_mirror()
{
	# shellcheck disable=SC2016  # apt expands these
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' \
		'Created-By: Packages' 2>/dev/null |
		sed -n 's,^Debian|Debian|\(https*://.*\)$,\1,p' | head -n 1
}

# Run one of the functions below in namespaces of its own.
alone()
{
	unshare --mount --pid --fork --kill-child \
		sh "$SM_TOP/test/versions.sh" --inside "$@"
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
	if [ -z "$mirror" ]
	then
		sm_apt_get update || true
		mirror=$(debian_mirror)
	fi
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


# ---- testing in it

# Inside the namespaces: this tree's copy lies in $root/$copy.
check_in_chroot()
{
	version=$1
	root=$2
	copy=$3
	mount -t proc proc "$root/proc"
	mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"

	# shellcheck disable=SC2086  # a list of words
	SAFE_MIGRATE_NO_INSTALL=1 PG_CONFIG=/usr/lib/postgresql/$version/bin/pg_config \
		chroot "$root" sh "$copy/test/check.sh" \
		${SAFE_MIGRATE_SUITES:-regress isolation tap}
}

check()
{
	version=$1
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
	alone check_in_chroot "$version" "$root" "$copy" || status=1
	rm -rf "${root:?}$work"
	return "$status"
}

# One version, while no other run uses its chroot.
one()
{
	mkdir -p "$CHROOTS"
	(
		flock 9
		prepare "$2" || exit 1
		[ "$1" = --prepare ] || check "$2"
	) 9>"$CHROOTS/$2.lock" </dev/null
}


# ---- main

if [ "${1:-}" = --inside ]
then
	shift
	"$@"
	exit
fi

mode=check
if [ "${1:-}" = --prepare ]
then
	mode=$1
	shift
fi
[ $# -gt 0 ] || sm_die "usage: sh test/versions.sh [--prepare] 17 18 19"
for version in "$@"
do
	suite_of "$version" >/dev/null ||
		sm_die "no recipe for PostgreSQL $version here: there is one for 17, 18 and 19"
done

if [ "$(id -u)" -ne 0 ]
then
	command -v sudo >/dev/null 2>&1 || sm_die "needs root, or sudo, for chroot"
	[ "$mode" = check ] || set -- "$mode" "$@"
	exec sudo -- env SAFE_MIGRATE_CHROOTS="$CHROOTS" \
		SAFE_MIGRATE_SUITES="${SAFE_MIGRATE_SUITES:-}" \
		SAFE_MIGRATE_NO_INSTALL="${SAFE_MIGRATE_NO_INSTALL:-}" \
		sh "$SM_TOP/test/versions.sh" "$@"
fi

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
		one "$mode" "$version" 2>&1 || status=$?
		echo "$status" >"$report.status"
	} | tee "$report.output"

	# The closing line of check.sh; without it, the version itself has failed.
	line=$(tail -n 1 "$report.output" | grep -E '^[0-9]+ passed, [0-9]+ failed$' || true)
	if [ "$(cat "$report.status")" -eq 0 ]
	then
		[ -n "$line" ] || line='ready'
	else
		case $line in
			'' | *' 0 failed') line='0 passed, 1 failed' ;;
		esac
	fi
	echo "PostgreSQL $version: $line" >>"$report"
	[ "$line" != ready ] || continue
	passed=$((passed + ${line%% passed*}))
	line=${line#*passed, }
	failed=$((failed + ${line%% failed*}))
done

printf '\n======== all versions\n'
cat "$report"
[ "$mode" != check ] || echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
