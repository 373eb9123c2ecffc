#!/bin/sh
# Compiles umbra.p4 into build/, and notes what it was made from.
set -eu
cd "$(dirname "$0")"
if ! command -v p4c-bm2-ss >/dev/null 2>&1; then
    echo "p4c-bm2-ss is not installed (Debian or Ubuntu: the p4lang project's package p4lang-p4c); build/ is left as it is." >&2
    exit 1
fi
mkdir -p build
p4c-bm2-ss --arch v1model --Wdisable=invalid -o build/umbra.json --p4runtime-files build/umbra.p4info.txtpb umbra.p4
sed -i 's/"program" : "[^"]*"/"program" : "umbra.p4"/' build/umbra.json
cat umbra.p4 include/*.p4 | sha256sum | cut -d' ' -f1 > build/sources.sha256
