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
	// command builds; compiler is what it calls for each file, and jobs says in
	// make's and ninja's words how many at once.
	command func(b build, compiler, jobs string) []string
	// try runs what was built; nil when there is nothing to run.
	try func(ctx context.Context, src string, t target) error

	// probes: the build asks the compiler what it can do as it goes. It may keep no
	// dependency files.
	probes bool
	// not says of builds that there are none; nil when all targets and compilers
	// can be had.
	not func(b build) bool
}

// flags are what every file is compiled with besides the project's own words:
// debug info and dependency files are the local ones too.
const flags = "-g -MD"

func projects() []project {
	return []project{
		{
			name: "lua", pkg: "lua5.4", dir: "src",
			command: func(b build, compiler, jobs string) []string {
				return []string{"make", jobs, "linux", "CC=" + compiler, "MYCFLAGS=" + flags,
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
			command: func(_ build, compiler, jobs string) []string {
				return []string{"make", jobs, "CC=" + compiler, "static"}
			},
		},
		{
			name: "fmt", pkg: "fmtlib", cxx: true,
			prepare: func(_ context.Context, src string, b build) error { return writeFmtMakefile(src, b.full) },
			command: func(_ build, compiler, jobs string) []string { return []string{"make", jobs, "CXX=" + compiler} },
		},
		{
			// As its authors build it: CMake writes Ninja's files.
			name: "cmake-fmt", pkg: "fmtlib", cxx: true,
			prepare: func(_ context.Context, src string, b build) error { return writeFmtTests(src, b.full) },
			command: cmakeFmt,
		},
		{
			// A large one of C, with libraries beside it that have Makefiles of
			// their own.
			name: "redis", pkg: "redis", probes: true,
			prepare: func(ctx context.Context, src string, _ build) error {
				return site.Run(ctx, filepath.Join(src, "src"), nil, "sh", "./mkreleasehdr.sh") // it holds a time
			},
			command: func(b build, compiler, jobs string) []string {
				return []string{"make", jobs, "-C", "src", "redis-server", "MALLOC=libc", "CC=" + compiler,
					"AR=" + b.target.tools + "ar", "RANLIB=" + b.target.tools + "ranlib"}
			},
		},
		{
			// Directories of the smallest kernel that there is, with debug info. clang
			// needs tools of LLVM's besides.
			name: "linux", pkg: "linux", probes: true,
			not:     func(b build) bool { return b.family != "gcc" || !strings.HasPrefix(b.target.chost, "aarch64") },
			prepare: prepareLinux,
			command: func(b build, compiler, jobs string) []string {
				tools := b.target.tools
				if wrapper := wrapperOf(compiler); wrapper != "" {
					tools = wrapper + " " + tools
				}
				return linuxMake(jobs, tools, "init/", "lib/", "mm/", "kernel/")
			},
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

// writeFmtTests has CMake make objects of fmt's tests as well. Debian's source
// lacks gtest, which they are compiled with.
func writeFmtTests(src string, full bool) error {
	text := "set(CMAKE_EXPORT_COMPILE_COMMANDS OFF)\n"
	if full {
		text += "add_library(tests OBJECT"
		for _, name := range fmtTests {
			text += " test/" + name + "-test.cc"
		}
		text += ")\ntarget_compile_features(tests PRIVATE cxx_std_17)\n" +
			"target_include_directories(tests PRIVATE include)\ntarget_include_directories(tests SYSTEM PRIVATE gtest/usr/include)\n"
	}
	return os.WriteFile(filepath.Join(src, "tests.cmake"), []byte(text), 0o644)
}

// cmakeFmt puts crosscc before the compiler in the way that CMake has for it.
func cmakeFmt(b build, compiler, jobs string) []string {
	cmake := []string{"cmake", "-S.", "-Bbuild", "-GNinja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DFMT_TEST=OFF", "-DFMT_DOC=OFF",
		"-DCMAKE_PROJECT_FMT_INCLUDE=tests.cmake", "-DCMAKE_SYSTEM_NAME=Linux"}
	if wrapper := wrapperOf(compiler); wrapper != "" {
		cmake = append(cmake, "-DCMAKE_CXX_COMPILER_LAUNCHER="+wrapper)
	}
	cmake = append(cmake, "-DCMAKE_CXX_COMPILER="+strings.Fields(b.localCompiler())[0])
	if b.family == "clang" {
		cmake = append(cmake, "-DCMAKE_CXX_COMPILER_TARGET="+strings.TrimSuffix(b.target.tools, "-"))
	}
	// CMake itself compiles a file to see whose the compiler is, and ninja reads
	// dependency files and takes them away.
	return []string{"sh", "-c", strings.Join(cmake, " ") + " && rm -f build/CMakeFiles/*/CompilerId*/*.o && ninja -C build -d keepdepfile " + jobs}
}

// wrapperOf is crosscc, where a build's compiler begins with it.
func wrapperOf(compiler string) string {
	if first, _, _ := strings.Cut(compiler, " "); filepath.Base(first) == "crosscc" {
		return first
	}
	return ""
}

// prepareLinux configures, and builds what all directories need: scripts, and
// headers made from the compiler's own answers.
func prepareLinux(ctx context.Context, src string, b build) error {
	plain := func(goal string) []string { return linuxMake("-j2", b.target.tools, goal) }
	for _, command := range [][]string{
		plain("tinyconfig"), {"scripts/config", "-d", "DEBUG_INFO_NONE", "-e", "DEBUG_INFO_DWARF5"}, plain("olddefconfig"), plain("prepare"),
	} {
		if err := site.Run(ctx, src, nil, command[0], command[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// linuxMake calls the kernel's make; tools is what it puts before the names of all
// tools. The time of the build is in objects.
func linuxMake(jobs, tools string, goals ...string) []string {
	words := []string{"make", jobs, "-s", "ARCH=arm64", "CROSS_COMPILE=" + tools,
		"KBUILD_BUILD_TIMESTAMP=2022-01-01", "KBUILD_BUILD_USER=crosscc", "KBUILD_BUILD_HOST=crosscc"}
	return append(words, goals...)
}

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
	if err == nil && p.pkg == "fmtlib" && full {
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
