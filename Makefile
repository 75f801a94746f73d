# crosscc's own commands. `make` needs only Go; the others install by apt-get
# what they need and lack (e2e/install.sh says what, and only lists it without root).

GO ?= go

# What wrapper and agent compare: two builds of one changed tree are two builds.
BUILD_VARIABLE = github.com/crosscc/crosscc/broker/local.linkedBuild
BUILD_ID = $(shell cat go.sum $$(find argv toolchains sandbox broker cmd -name '*.go' | LC_ALL=C sort) | sha256sum | cut -c1-16)

.PHONY: all build demo test soak e2e-projects e2e-unlike e2e-targets bench lint docs clean

all: build

# Static programs: the same file runs in any root, and in the sandbox.
build:
	@e2e/install.sh build
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X $(BUILD_VARIABLE)=$(BUILD_ID)' -o bin/ ./cmd/crosscc ./cmd/crossccd ./cmd/crossctl ./cmd/ccache-storage-crosscc

# Lua 5.4 with -g for three targets through crosscc, each object compared with a
# local one.
demo:
	@e2e/install.sh demo
	@$(MAKE) --no-print-directory build
	@$(GO) build -o bin/demo ./e2e/demo
	bin/demo -bin bin -cache .cache/demo

# The race detector watches all but the compressors of images and packs, which have
# no goroutine: watched, one takes fifteen times the processor, and most of some tests'.
RACE = -race $(foreach flate,compress github.com/klauspost/compress,-gcflags='$(flate)/flate=-race=false -d=checkptr=0')

# Unit tests and e2e in one go test call, whose own last line closes the output.
# -count=1: the e2e scripts build ./cmd themselves, which go's test cache can't see.
test:
	@e2e/install.sh test
	$(GO) vet ./...
	@$(GO) test -count=1 -v -run TestEngine ./e2e/dockerd | grep -E 'NOT TESTED|^(ok|FAIL)'
	$(GO) test $(RACE) -count=1 -timeout 40m ./...

# Commands that nobody thought of, through crosscc and without, until SOAK says
# enough: so many of each kind for each compiler, SOAK="-rapid.checks=5000 -rapid.seed=7".
SOAK ?= -rapid.checks=600 -rapid.seed=0
soak:
	@e2e/install.sh test
	$(GO) test -count=1 -timeout 0 -v ./e2e/differ $(SOAK)

# Lua, zlib, fmt (by make, and by CMake and Ninja) and redis for four targets with
# gcc and clang, and directories of an arm64 kernel; each object and dependency file
# compared. It takes an hour.
e2e-projects:
	@e2e/install.sh projects
	@$(MAKE) --no-print-directory build
	@$(GO) build -o bin/demo ./e2e/demo
	bin/demo -bin bin -cache .cache/demo -projects all -targets all -compilers all -full

# Clients of other architectures, in emulation, with their own gcc and this
# machine as the helper: every object compared, both times printed. Half an hour.
# UNLIKE gives it flags, as in make e2e-unlike UNLIKE="-files 20".
e2e-unlike:
	@e2e/install.sh test
	@$(MAKE) --no-print-directory build
	@for client in arm64/arm64 armhf/arm; do \
		CGO_ENABLED=0 GOARCH=$${client#*/} GOARM=7 $(GO) build -trimpath -ldflags '-X $(BUILD_VARIABLE)=$(BUILD_ID)' \
			-o bin/foreign/$${client%/*}/ ./cmd/crosscc ./cmd/crossccd || exit 1; done
	@$(GO) build -o bin/unlike ./e2e/unlike
	bin/unlike $(UNLIKE)

# Each row of the triple table against the compilers that Debian has for it, which
# are fetched (700 MB) and unpacked, not installed.
e2e-targets:
	@e2e/install.sh test
	@$(GO) build -o bin/targets ./e2e/targets
	bin/targets

# The pages that are made from the code's tables; a test says when they are stale.
docs:
	$(GO) test ./broker/agent/reason ./broker/config -run Page -update

# crosscc beside its peers, measured: docs/performance.md. BENCH gives it flags,
# as in make bench BENCH="-full -o tables.md".
bench:
	@e2e/install.sh bench
	@$(MAKE) --no-print-directory build
	@$(GO) build -o bin/bench ./e2e/bench
	bin/bench -bin bin $(BENCH)

lint:
	@e2e/install.sh lint
	@e2e/lint.sh

clean:
	rm -rf bin .cache
