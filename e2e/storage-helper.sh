#!/bin/bash
# Runs ccache-storage-crosscc below a ccache that knows storage helpers (4.13 and
# later; Debian 12 has 4.7), and that ccache's own HTTP:
#
#     e2e/storage-helper.sh [SUITE]
#
# It fetches ccache and what it is linked with from the Debian suite (default:
# forky), at the mirror that this machine uses, into a directory of its own, with apt's lists beside it, installs nothing,
# and removes all of it. make test does not run it: a suite that moves on must not
# break a build. The protocol itself is tested in broker/ccache/crsh.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:-forky}
dir=$(mktemp -d)
pids=()
cleanup() {
    local p
    ccache --stop-storage-helpers 2>/dev/null || true
    for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap cleanup EXIT

echo "fetching ccache of $suite"
mkdir -p "$dir"/apt/{lists/partial,cache/archives/partial} "$dir"/{debs,root,bin,run,src}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | grep -v security | head -n 1)
echo "deb [signed-by=$keys] $mirror $suite main" >"$dir/apt/sources"
: >"$dir/apt/status" # nothing is installed: apt names all that ccache needs
apt=(apt-get -qq -o "Dir::Etc::SourceList=$dir/apt/sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$dir/apt/lists"
    -o "Dir::State::Status=$dir/apt/status" -o "Dir::Cache=$dir/apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
"${apt[@]}" update
mapfile -t packages < <("${apt[@]}" --simulate --no-install-recommends install ccache | awk '$1 == "Inst" { print $2 }')
(cd "$dir/debs" && "${apt[@]}" download "${packages[@]}")
for deb in "$dir"/debs/*.deb; do dpkg -x "$deb" "$dir/root"; done
loader=$(find "$dir/root" -name 'ld-linux*.so*' | head -n 1)
libraries=$(find "$dir/root" -name 'libc.so.6' -printf '%h\n' | head -n 1)
cat >"$dir/bin/ccache" <<END
#!/bin/sh
exec "$loader" --library-path "$libraries" "$dir/root/usr/bin/ccache" "\$@"
END
chmod 755 "$dir/bin/ccache"

go build -o "$dir/bin/" ./cmd/crosscc ./cmd/crossccd ./cmd/ccache-storage-crosscc
"$dir/bin/crossccd" serve --grpc off --http 127.0.0.1:0 --state "$dir/state" --ready-file "$dir/ready" 2>"$dir/helper.log" &
pids+=($!)
for _ in $(seq 300); do [ -e "$dir/ready" ] || sleep 0.2; done
address=$(sed -n 's/^http //p' "$dir/ready")

export PATH=$dir/bin:$PATH XDG_RUNTIME_DIR=$dir/run CCACHE_REMOTE_STORAGE=crosscc://$address
ccache --version | head -n 1
chmod 700 "$dir/run"
echo 'int f(int n) { return n * 3; }' >"$dir/src/a.c"
cd "$dir/src"
gcc -O2 -c a.c -o want.o

# compile CLIENT: as a client whose own cache is empty.
compile() {
    CCACHE_DIR=$dir/$1 CCACHE_LOGFILE=$dir/$1.log ccache gcc -O2 -c a.c -o a.o
    cmp a.o want.o
}
# counts CLIENT COUNTER N
counts() {
    local have
    have=$(CCACHE_DIR=$dir/$1 ccache --print-stats | awk -v c="$2" '$1 == c { print $2 }')
    if [ "$have" != "$3" ]; then
        echo "storage-helper.sh: client $1 has $2 $have, want $3" >&2
        cat "$dir/$1.log" >&2
        exit 1
    fi
}

compile one
counts one remote_storage_write 2
grep 'Storage helper: ccache-storage-crosscc .*get/put/remove info exists' "$dir/one.log"
compile two
counts two remote_storage_hit 1
CCACHE_RESHARE=1 compile two # asks whether it is there
counts two remote_storage_error 0
counts two remote_storage_timeout 0
chmod u+w "$dir"/state/store/claims/*/*
truncate -s -1 "$dir"/state/store/claims/*/*
compile three
counts three remote_storage_miss 1
counts three remote_storage_error 0
compile four
counts four remote_storage_hit 1
CCACHE_REMOTE_STORAGE=http://$address/ccache compile five # its own HTTP, the same entries
counts five remote_storage_hit 1
ccache --stop-storage-helpers
sleep 1
if ls "$dir"/run/ccache-tmp/storage-crosscc-* 2>/dev/null; then
    echo "storage-helper.sh: the storage helper did not stop" >&2
    exit 1
fi
echo "storage-helper.sh: well"
