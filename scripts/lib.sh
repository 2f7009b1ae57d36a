# shellcheck shell=bash
# What the scripts share: where the tree is, and how missing Debian packages get installed.

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

packages_build=(gcc libc6-dev cmake ninja-build pkg-config libev-dev libsqlite3-dev libyaml-dev
    libmicrohttpd-dev libjansson-dev libcurl4-openssl-dev libssl-dev)
packages_record=(ca-certificates ffmpeg)
packages_camera=(libgstrtspserver-1.0-dev gstreamer1.0-plugins-base gstreamer1.0-plugins-good)
packages_test=(clang clang-format libclang-rt-14-dev libcmocka-dev python3 python3-pytest python3-pytest-xdist scdoc prometheus zabbix-agent python3-yaml curl
    systemd man-db chromium e2fsprogs xfsprogs mpv gstreamer1.0-tools gstreamer1.0-libav gstreamer1.0-plugins-bad)
services_unwanted=(prometheus zabbix-agent) # of these packages only the programs are wanted
packages_bench=(nginx-light linux-perf)

say() {
    printf '\n==> %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "packages are missing (see above) and there is no sudo: install them as root, then come back"
    fi
}

package_is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Runs a command during which no package may start its service, then takes the services that came with it
# out of the machine's start.
without_services() {
    local policy=/usr/sbin/policy-rc.d made= status=0 service
    local -a fresh=()
    for service in "${services_unwanted[@]}"; do
        package_is_installed "$service" || fresh+=("$service")
    done
    [ -e "$policy" ] || made=$policy
    [ -z "$made" ] || as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
    "$@" || status=$?
    [ -z "$made" ] || as_root rm -f "$made"
    if [ -d /run/systemd/system ]; then
        for service in "${fresh[@]}"; do
            ! package_is_installed "$service" || as_root systemctl --quiet disable "$service" || true
        done
    fi
    return "$status"
}

# Installs those of the named Debian packages that are missing, without a question.
install_packages() {
    local missing=() package
    for package in "$@"; do
        package_is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "please install by your system's means: ${missing[*]}"
    say "Installing: ${missing[*]}"
    as_root apt-get -qq update
    without_services as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 install "${missing[@]}" >/dev/null ||
        die "apt-get could not install: ${missing[*]}"
}

# build_preset PRESET [CMAKE-OPTION…]: configures and builds; says little when all is well.
build_preset() {
    local preset=$1
    shift
    say "Building ($preset)"
    cmake -S "$tree" --preset "$preset" "$@" >"$tree/build/$preset.log" 2>&1 &&
        cmake --build "$tree/build/$preset" >>"$tree/build/$preset.log" 2>&1 ||
        {
            tail -n 40 "$tree/build/$preset.log" >&2
            die "the build failed; the whole log is build/$preset.log"
        }
}
mkdir -p "$tree/build"
