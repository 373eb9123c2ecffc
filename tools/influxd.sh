#!/bin/sh
# Builds InfluxDB 2.7's server from the Go module proxy into .influxd/influxd, where tests and `umbra bench store` look
# for it. Its parser for Flux (libflux) is Rust: cargo builds it on the way. The web interface is not in the module.
set -eu
cd "$(dirname "$0")/.."
VERSION=${INFLUXD_VERSION:-v2.7.12}
OUT=$PWD/.influxd

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
for tool in go cargo cc pkg-config; do
    command -v "$tool" >/dev/null 2>&1 || {
        say "building InfluxDB $VERSION needs $tool; install it (go 1.23 or newer, cargo 1.72 or newer), or put influxd on PATH"
        exit 1
    }
done
if [ -x "$OUT/influxd" ] && "$OUT/influxd" version 2>/dev/null | grep -qF "$VERSION"; then
    say "$OUT/influxd is there: $("$OUT/influxd" version)"
    exit 0
fi
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
say "fetching github.com/influxdata/influxdb/v2@$VERSION from the module proxy"
cd "$work" # outside any module
module=$(go mod download -json "github.com/influxdata/influxdb/v2@$VERSION" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
[ -d "$module" ] || { say "the module proxy has no $VERSION; see GOPROXY"; exit 1; }
cp -r "$module" "$work/source" # its go.mod has a replace directive, so that go install does not take it
chmod -R u+w "$work/source"
cd "$work/source"
# influxdata's pkg-config builds libflux when cgo asks for it.
GOBIN="$work/bin" go install github.com/influxdata/pkg-config
# libflux pins a compiler of 2023 and turns warnings into errors: newer compilers warn of more.
cat >"$work/bin/rustc-wrapper" <<'WRAPPER'
#!/bin/sh
exec "$@" --cap-lints warn
WRAPPER
chmod +x "$work/bin/rustc-wrapper"
say "building libflux and influxd (about 4 minutes on two cores)"
command -v rustup >/dev/null 2>&1 && export RUSTUP_TOOLCHAIN="${RUSTUP_TOOLCHAIN:-stable}"
RUSTC_WRAPPER="$work/bin/rustc-wrapper" PKG_CONFIG="$work/bin/pkg-config" go build \
    -tags 'sqlite_foreign_keys,sqlite_json' -ldflags "-s -w -X main.version=$VERSION" \
    -o "$work/influxd" ./cmd/influxd
mkdir -p "$OUT"
mv "$work/influxd" "$OUT/influxd"
say "$("$OUT/influxd" version) in $OUT/influxd"
