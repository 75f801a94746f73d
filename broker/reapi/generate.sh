#!/bin/sh
# Makes helperpb/*.pb.go from helperpb/helper.proto. The generators' versions
# are fixed here; the lint runs this and fails when the committed files differ.
set -eu
cd "$(dirname "$0")/helperpb"
command -v protoc >/dev/null || {
	echo "generate.sh: protoc is missing: apt-get install protobuf-compiler" >&2
	exit 1
}
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
GOBIN=$bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
PATH=$bin:$PATH protoc --go_out=. --go_opt=paths=source_relative \
	--go-grpc_out=. --go-grpc_opt=paths=source_relative helper.proto
