#!/bin/bash
# The lint: what `make lint` and .ci/run check before any test runs. Prints each
# check, stops at the first that fails. The linter is built once (some minutes)
# below GOPATH and found there again.
set -euo pipefail
cd "$(dirname "$0")/.."

version=2.15.0

say() { echo "lint: $*"; }

# linter prints the path of a golangci-lint of our version, which it builds when
# neither GOPATH/bin nor our own directory has it.
linter() {
    local gopath own candidate
    gopath=$(go env GOPATH)
    own=$gopath/crosscc-tools/golangci-lint-$version
    for candidate in "$gopath/bin/golangci-lint" "$own/golangci-lint"; do
        if [ -x "$candidate" ] && [ "$("$candidate" version --short 2>/dev/null)" = "$version" ]; then
            echo "$candidate"
            return
        fi
    done
    say "building golangci-lint v$version, once" >&2
    GOBIN=$own go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$version" >&2
    echo "$own/golangci-lint"
}

say "gofmt"
unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l)
if [ -n "$unformatted" ]; then
    say "not formatted; mend it with: gofmt -w" $unformatted >&2
    exit 1
fi

say "go mod tidy"
go mod tidy -diff

if [ -x broker/reapi/generate.sh ]; then
    say "generated protobuf code is fresh"
    before=$(git ls-files -co --exclude-standard 'broker/reapi/*.pb.go' 'broker/reapi/**/*.pb.go' | xargs -r sha256sum)
    broker/reapi/generate.sh
    after=$(git ls-files -co --exclude-standard 'broker/reapi/*.pb.go' 'broker/reapi/**/*.pb.go' | xargs -r sha256sum)
    if [ "$before" != "$after" ]; then
        say "broker/reapi's generated code was stale; generate.sh has written it anew" >&2
        exit 1
    fi
fi

say "golangci-lint (staticcheck, vet, import rule and others)"
"$(linter)" run ./...
