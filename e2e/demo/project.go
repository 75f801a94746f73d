package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/e2e/debian"
	"github.com/crosscc/crosscc/e2e/site"
)

// A project is what is built.
type project struct {
	name string
	pkg  string // Debian's source package
	cxx  bool   // the compiler is the C++ driver
	dir  string // where make runs, below the source

	// prepare makes the source ready for one target, with the local compiler
	// where it asks for one; nil when there is nothing to do.
	prepare func(ctx context.Context, src string, b build) error
	// words are make's; compiler is what make calls for each file.
	words func(b build, compiler string) []string
	// try runs what was built; nil when there is nothing to run.
	try func(ctx context.Context, src string, t target) error
}

// flags are what every file is compiled with besides the project's own words:
// debug info and dependency files are the local ones too.
const flags = "-g -MD"

func projects() []project {
	return []project{
		{
			name: "lua", pkg: "lua5.4", dir: "src",
			words: func(b build, compiler string) []string {
				return []string{"linux", "CC=" + compiler, "MYCFLAGS=" + flags,
					"AR=" + b.target.tools + "ar rcu", "RANLIB=" + b.target.tools + "ranlib"}
			},
			try: tryLua,
		},
		{
			name: "zlib", pkg: "zlib",
			prepare: func(ctx context.Context, src string, b build) error {
				env := append(os.Environ(), "CC="+b.localCompiler(), "CFLAGS=-O3 "+flags, "CHOST="+strings.TrimSuffix(b.target.tools, "-"))
				return site.Run(ctx, src, env, "./configure")
			},
			words: func(_ build, compiler string) []string { return []string{"CC=" + compiler, "static"} },
		},
		{
			name: "fmt", pkg: "fmtlib", cxx: true,
			prepare: func(_ context.Context, src string, b build) error { return writeFmtMakefile(src, b.full) },
			words:   func(_ build, compiler string) []string { return []string{"CXX=" + compiler} },
		},
	}
}

// fmtMakefile stands for fmt's CMakeLists.txt: its own flags, our dependency files.
const fmtMakefile = `
CXXFLAGS = -O2 ` + flags + ` -std=c++17 -Iinclude -fvisibility=hidden -Wall -Wextra -pedantic
TESTFLAGS = -isystem gtest/usr/include
all: $(patsubst %%.cc,%%.o,%s)
%%.o: %%.cc
	$(CXX) $(CXXFLAGS) $(TESTFLAGS) -c $< -o $@
`

// fmtTests are those of fmt's own that show most of its templates.
var fmtTests = []string{"args", "chrono", "color", "core", "printf", "ranges"}

func writeFmtMakefile(src string, full bool) error {
	sources := []string{"src/format.cc", "src/os.cc"}
	if full {
		for _, name := range fmtTests {
			sources = append(sources, "test/"+name+"-test.cc")
		}
	}
	return os.WriteFile(filepath.Join(src, "Makefile"), fmt.Appendf(nil, fmtMakefile, strings.Join(sources, " ")), 0o644)
}

// unpack leaves a project's source in dir and says which version it is.
func (p project) unpack(ctx context.Context, from *debian.Archive, dir string, full bool) (version string, err error) {
	version, err = from.Source(ctx, p.pkg, dir)
	if err == nil && p.name == "fmt" && full {
		err = from.Unpack(ctx, "amd64", filepath.Join(dir, "gtest"), "libgtest-dev", "libgmock-dev")
	}
	return version, err
}

// luaProgram exercises strings, tables, closures, integers and floats of the lua
// that was built; luaAnswer is what it must print.
const (
	luaProgram = `
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
local t = {}
for w in ("the quick brown fox"):gmatch("%a+") do t[#t + 1] = w:upper() end
table.sort(t)
print(_VERSION, fib(20), table.concat(t, " "), 7 // 2, 2^0.5, 1 << 40)`
	luaAnswer = "Lua 5.4\t6765\tBROWN FOX QUICK THE\t3\t1.4142135623731\t1099511627776\n"
)

func tryLua(ctx context.Context, src string, t target) error {
	words := append(slices.Clone(t.emulator), filepath.Join(src, "lua"), "-e", luaProgram)
	got, err := site.Output(ctx, src, nil, words[0], words[1:]...)
	if err != nil {
		return err
	}
	if got != luaAnswer {
		return fmt.Errorf("it prints %q, want %q", got, luaAnswer)
	}
	return nil
}
