#!/usr/bin/env bash
# Installs the Debian 12 packages that ArchScout needs, those that are missing and no others.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: deploy/debian-packages.sh [--list] [build | test]

Installs what is missing, as root or with sudo; does nothing where all is there.
  build    what building and running needs, and the Fashion-MNIST images (the default)
  test     that, and what tests/run.sh needs
  --list   prints the names instead, one a line
TEXT
}

build=(
    gcc libc6-dev cmake ninja-build pkg-config
    libuv1-dev          # event loop of daemon and agent
    libsqlite3-dev      # the store
    libmicrohttpd-dev   # HTTP server
    libjansson-dev      # JSON
    libprotobuf-c-dev protobuf-c-compiler   # messages to and from workers
    libcurl4-openssl-dev                    # HTTP client
    libdnnl-dev         # training on CPUs
    zlib1g-dev libjpeg-dev libpng-dev       # image files
    libarchive-dev                          # archives of data sets
    nettle-dev                              # SHA-256
    dataset-fashion-mnist
)
test=(g++ libcmocka-dev clang-format clang-tidy ccache jq bsdutils python3)

wanted=("${build[@]}")
list=no
for argument in "$@"; do
    case $argument in
        build) ;;
        test) wanted+=("${test[@]}") ;;
        --list) list=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

if [ "$list" = yes ]; then
    printf '%s\n' "${wanted[@]}"
    exit 0
fi

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for package in "${wanted[@]}"; do
    is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "No apt-get here. Install what provides these Debian 12 packages: ${missing[*]}" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "Missing packages: ${missing[*]}. Run deploy/debian-packages.sh as root, or install sudo." >&2
        exit 1
    }
    as_root=(sudo)
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 "$@" </dev/null
}

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# With a package list that is recent enough the first try succeeds; on a bare system there is none.
if ! apt install --no-install-recommends --yes "${missing[@]}" >"$log" 2>&1; then
    apt update >"$log" 2>&1 && apt install --no-install-recommends --yes "${missing[@]}" >>"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        echo "apt-get could not install the packages (above). Is there a network, and Debian 12's archive in" \
            "/etc/apt/sources.list?" >&2
        exit 1
    }
fi
