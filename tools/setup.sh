#!/bin/sh
# Sets up what umbra needs: Debian's packages, a virtual environment with pinned dependencies. Does nothing when all is there.
# "setup.sh test" also installs the real routers and servers that tests and benchmarks work against, none of which is
# started, and makes the environment of p4runtime-shell, which cannot share one with finsy.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else say "need root for: $*  (become root, or install sudo)"; exit 1
    fi
}

# 1. Debian packages, without what they recommend: Mininet needs neither Open vSwitch nor a controller here.
packages="python3 python3-venv mininet iproute2 ethtool"
# Real routers, a DHCP server (with perfdhcp), NAT, ping, a database, another kernel (for cgroup v2): for tests and benchmarks only.
test_packages="frr bird2 kea-dhcp4-server kea-admin nftables iputils-ping influxdb user-mode-linux"

installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; }

install() { # packages
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq || say "apt-get update failed; trying with the lists that are there"
    # A fresh machine may be updating itself: wait for its lock.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@" >/dev/null
}

# Debian starts a daemon when it installs it, and at boot. umbra's tests start their own, in namespaces: what comes
# with them stays off. invoke-rc.d(8) asks /usr/sbin/policy-rc.d, which is there during the installation only.
policy=/usr/sbin/policy-rc.d
install_quietly() { # packages
    if [ -e "$policy" ]; then # somebody's own, as in containers
        "$policy" umbra-test start >/dev/null 2>&1 && { say "$policy lets daemons start: move it away, and run this again"; exit 1; }
        install "$@"
    else
        trap 'as_root rm -f "$policy"' EXIT
        trap 'exit 1' INT TERM HUP
        printf '#!/bin/sh\n# umbra, tools/setup.sh: for the time of an installation\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        install "$@"
        as_root rm -f "$policy"
        trap - EXIT INT TERM HUP
    fi
    if [ -d /run/systemd/system ]; then # not at the next boot either, if this is what brought them
        for unit in frr bird kea-dhcp4-server nftables influxdb; do
            for package in "$@"; do
                case $package in "$unit"*) as_root systemctl disable --quiet "$unit" 2>/dev/null || : ;; esac
            done
        done
    fi
}

if command -v apt-get >/dev/null 2>&1; then
    missing=""
    for package in $packages; do installed "$package" || missing="$missing $package"; done
    # shellcheck disable=SC2086
    if [ -n "$missing" ]; then
        say "installing Debian packages:$missing"
        install $missing
    fi
fi
if [ "${1:-}" = test ]; then
    missing=""
    if command -v apt-get >/dev/null 2>&1; then
        for package in $test_packages; do installed "$package" || missing="$missing $package"; done
        # shellcheck disable=SC2086
        if [ -n "$missing" ]; then
            say "installing Debian packages for the tests (their daemons are not started):$missing"
            install_quietly $missing
        fi
    else
        for need in frr=/usr/lib/frr/bgpd bird2=bird kea-dhcp4-server=kea-dhcp4 kea-admin=perfdhcp nftables=nft iputils-ping=ping influxdb=influxd; do
            command -v "${need#*=}" >/dev/null 2>&1 || missing="$missing ${need%%=*}"
        done
        if [ -n "$missing" ]; then
            say "the tests need what Debian calls$missing, and there is no apt-get here: install them, then run this again"
            exit 1
        fi
    fi
fi

# 2. Python: a virtual environment, filled again when the lock file changes, and made again when it is not sound.
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "umbra needs Python 3.11 or newer; $PYTHON is $("$PYTHON" -V). Set PYTHON=/path/to/python3.11"; exit 1; }
sound() { # folder: not half made, and made here (its scripts name this place) by a Python that is still there
    [ ! -e "$1/.filling" ] && "$1/bin/pip" --disable-pip-version-check --version 2>/dev/null | grep -qF " $(pwd -P)/$1/"
}
environment() { # folder, lock file, what
    wanted=$(sha256sum "$2" setup.cfg | sha256sum)
    if ! sound "$1" || [ "$(cat "$1/.filled" 2>/dev/null)" != "$wanted" ]; then
        say "$3"
        sound "$1" || "$PYTHON" -m venv --clear "$1"
        touch "$1/.filling" # still there next time: this was interrupted
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check -r "$2"
        if [ "$1" = .venv ]; then
            "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
            # `make demo` runs as root under sudo, and leaves no files of root's among the sources.
            "$1/bin/python" -m compileall -q controller ml p4switch topologies
        fi
        echo "$wanted" >"$1/.filled"
        rm "$1/.filling"
    fi
}
environment .venv requirements/lock.txt "making .venv with the pinned dependencies (a minute or two)"
if [ "${1:-}" = test ]; then
    environment .venv-p4runtime-sh requirements/p4runtime-sh.txt "making .venv-p4runtime-sh for the conformance test with p4runtime-shell"
fi

# 3. Debian's mininet, seen from the virtual environment, and nothing else of the system's packages.
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if [ -d /usr/lib/python3/dist-packages/mininet ] && [ ! -e "$site/mininet" ]; then
    ln -s /usr/lib/python3/dist-packages/mininet "$site/mininet"
fi
