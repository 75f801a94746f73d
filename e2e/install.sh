#!/bin/bash
# Installs by apt-get what a goal of the Makefile needs and this Debian lacks:
#
#     e2e/install.sh build|demo|test|projects|bench|lint
#
# It says what it installs, does nothing when nothing is missing, and fetches new
# package lists only when the present ones cannot answer. Without root it prints
# the command that would install what is missing, and exits with 1.
set -euo pipefail
cd "$(dirname "$0")/.."

goal=${1:-}
case $goal in
build) packages=() ;;
lint) packages=(protobuf-compiler) ;; # generate.sh of broker/reapi
bench)
    packages=(
        make gcc g++ libc6-dev bubblewrap
        distcc distcc-pump icecc ccache              # the peers
    )
    ;;
demo | test | projects)
    packages=(
        make gcc libc6-dev                           # the host's own target
        gcc-aarch64-linux-gnu libc6-dev-arm64-cross  # the cross targets
        gcc-riscv64-linux-gnu libc6-dev-riscv64-cross
        bubblewrap                                   # the helper's sandbox
        qemu-user-static                             # runs the foreign lua
        dpkg-dev                                     # dpkg-source unpacks sources
    )
    ;;
*)
    echo "usage: e2e/install.sh build|demo|test|projects|bench|lint" >&2
    exit 2
    ;;
esac
if [ "$goal" = projects ]; then
    packages+=(
        cmake ninja-build                            # fmt's build
        flex bison bc                                # the kernel's
        xz-utils
    )
fi
if [ "$goal" = test ] || [ "$goal" = projects ]; then
    packages+=(
        g++ gcc-12 g++-12 g++-aarch64-linux-gnu g++-riscv64-linux-gnu
        g++-arm-linux-gnueabihf libc6-dev-armhf-cross # the fourth target
        gcc-11 g++-11 gcc-11-aarch64-linux-gnu       # the version that must not match
        g++-12-i686-linux-gnu libc6-dev-i386-cross   # a target that gcc-12 serves by -m32
        clang-14 llvm-14                             # the other family, and its profiles
        gobjc                                        # gcc's Objective-C
        ccache                                       # in front of crosscc, and below it
        util-linux                                   # unshare and setpriv
    )
fi
if [ "$goal" = test ]; then
    packages+=(
        cmake meson ninja-build                      # build with a pinned image
        docker.io                                    # an Engine of the tests' own; its service stays off
    )
fi

# check_go fails with what to do when there is no Go, or one older than go.mod says.
check_go() {
    local want have
    want=$(awk '$1 == "go" { print $2 }' go.mod)
    if ! command -v go >/dev/null; then
        echo "install.sh: no go on PATH: crosscc is built with Go $want or newer; install it and put it on PATH" >&2
        exit 1
    fi
    have=$(go env GOVERSION) || exit 1
    have=${have#go}
    have=${have%% *}
    if [ "$(printf '%s\n' "$want" "$have" | sort -V | head -n 1)" != "$want" ]; then
        echo "install.sh: go $have is too old: crosscc is built with Go $want or newer" >&2
        exit 1
    fi
}

# missing_packages prints those of "$@" that dpkg does not have installed.
missing_packages() {
    local p
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
    done
}

# apt_install installs "$@" from the package lists that are there.
apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        install --no-install-recommends "$@"
}

# The peers' packages bring daemons that take jobs from the network, and Docker's an
# Engine. Benchmark and tests start their own, on loopback and on sockets of theirs:
# those of a package that we install stay off.
policy=/usr/sbin/policy-rc.d
daemons_off() {
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
}
daemons_stay_off() {
    local p
    for p in "${missing[@]}"; do
        case $p in
        distcc) update-rc.d distcc disable ;;
        icecc) update-rc.d iceccd disable && update-rc.d icecc-scheduler disable ;;
        docker.io)
            update-rc.d docker disable
            if command -v systemctl >/dev/null; then systemctl disable docker.socket; fi
            ;;
        esac
    done
}

check_go
if [ "${#packages[@]}" -eq 0 ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "install.sh: no apt-get here; make $goal needs what Debian 12 calls: ${packages[*]}" >&2
    exit 1
fi
mapfile -t missing < <(missing_packages "${packages[@]}")
if [ "${#missing[@]}" -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    {
        echo "install.sh: make $goal needs packages that are not installed: ${missing[*]}"
        echo "install.sh: as root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    } >&2
    exit 1
fi

echo "install.sh: make $goal needs, and apt-get installs: ${missing[*]}"
daemons_off
if ! apt-get -qq install --no-install-recommends --simulate "${missing[@]}" >/dev/null 2>&1 ||
    ! apt_install "${missing[@]}"; then
    # No lists yet, or lists whose packages the mirror has since replaced.
    echo "install.sh: fetching new package lists (apt-get update)"
    apt-get -qq update
    apt_install "${missing[@]}"
fi
daemons_stay_off
