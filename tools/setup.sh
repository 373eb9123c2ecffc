#!/bin/sh
# Sets up what umbra needs: Debian's packages, a virtual environment with pinned dependencies. Does nothing when all is there.
# "setup.sh test" also makes the environment of p4runtime-shell, which cannot share one with finsy.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else say "need root for: $*  (become root, or install sudo)"; exit 1
    fi
}

# 1. Debian packages. Mininet is used without Open vSwitch or a controller: no recommended packages.
if command -v apt-get >/dev/null 2>&1; then
    missing=""
    for package in python3 python3-venv mininet iproute2 ethtool; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        say "installing Debian packages:$missing"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
        # shellcheck disable=SC2086
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    fi
fi

# 2. Python: a virtual environment, filled again when the lock file changes.
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "umbra needs Python 3.11 or newer; $PYTHON is $("$PYTHON" -V). Set PYTHON=/path/to/python3.11"; exit 1; }
environment() { # folder, lock file, what
    wanted=$(sha256sum "$2" setup.cfg | sha256sum)
    if [ "$(cat "$1/.filled" 2>/dev/null)" != "$wanted" ]; then
        say "$3"
        [ -x "$1/bin/python" ] || "$PYTHON" -m venv "$1"
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check -r "$2"
        [ "$1" != .venv ] || "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
        echo "$wanted" >"$1/.filled"
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
