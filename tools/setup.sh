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
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq || say "apt-get update failed; trying with the lists that are there"
        # A fresh machine may be updating itself: wait for its lock.
        # shellcheck disable=SC2086
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o DPkg::Lock::Timeout=300 $missing >/dev/null
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
