package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An author writes small projects: headers of few names in many directories, so
// that every name may lead to several files, and sources that show in their
// objects which of them the compiler has read, and from where. All is drawn from
// one seed.
type author struct {
	*rand.Rand
	dir     string
	headers []header
	guarded map[string]string // headers with #pragma once, to copy: path to content
}

// A header is one file that others may include.
type header struct {
	dir, name string
	id        int
}

// Directories of a project. Sources are in src, and in src/deep.
var headerDirs = []string{"include", "include/sub", "other", "other/sub", "plat", "src", "src/deep"}

// Names of headers; two of them are names of the C library's.
var headerNames = []string{"a.h", "b.h", "c.h", "config.h", "limits.h", "string.h"}

// pick takes one of a list.
func pick[T any](a *author, list ...T) T { return list[a.IntN(len(list))] }

func (a *author) chance(percent int) bool { return a.IntN(100) < percent }

// write writes a project into the author's directory: each of headerDirs, a
// source of each kind, links and copies.
func (a *author) write() error {
	a.guarded = make(map[string]string)
	for _, dir := range headerDirs {
		if err := os.MkdirAll(filepath.Join(a.dir, dir), 0o755); err != nil {
			return err
		}
		for _, name := range headerNames {
			if a.chance(45) {
				a.headers = append(a.headers, header{dir, name, len(a.headers) + 1})
			}
		}
	}
	var errs []error
	for _, h := range a.headers {
		errs = append(errs, a.file(filepath.Join(h.dir, h.name), a.header(h)))
	}
	for _, dir := range headerDirs {
		errs = append(errs, a.file(filepath.Join(dir, "data.bin"), "data of "+dir))
	}
	errs = append(errs,
		a.file("src/list.def", "ITEM(one, 1)\nITEM(two, __LINE__)\nITEM(three, 3)\n"),
		a.file("include/forced.h", "#define FORCED __FILE__\n"), a.file("include/macros.h", "int not_seen;\n#define MACROS 7\n"),
		a.file("src/plain.c", a.source("src")), a.file("src/deep/far.c", a.source("src/deep")),
		a.file("src/plain.cc", a.source("src")), a.file("src/deep/far.cc", a.source("src/deep")),
		a.file("src/wrong.c", "#include \"a.h\"\nint wrong(int n) { return n + }\n"),
		a.file("src/warned.cc", "#include <limits.h>\nint warned(unsigned n) { int k; if (n < -1) n = n; }\n"),
		a.more(),
	)
	return errors.Join(errs...)
}

func (a *author) file(name, text string) error {
	return os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644)
}

// more adds what only a file system can say: links to files and directories, hard
// links, copies with equal and with other times.
func (a *author) more() error {
	at := func(name string) string { return filepath.Join(a.dir, name) }
	errs := []error{a.file("data.bin", "data"), os.Symlink("include/sub", at("linked")), os.Symlink("../other", at("plat/up"))}
	for _, name := range slices.Sorted(maps.Keys(a.guarded)) { // in an order that the seed decides
		text := a.guarded[name]
		base := filepath.Base(name)
		other := filepath.Join(pick(a, headerDirs...), base)
		if _, err := os.Lstat(at(other)); err == nil {
			continue
		}
		switch a.IntN(4) {
		case 0:
			to, err := filepath.Rel(filepath.Dir(at(other)), at(name))
			errs = append(errs, err, os.Symlink(to, at(other)))
		case 1:
			errs = append(errs, os.Link(at(name), at(other)))
		case 2:
			errs = append(errs, a.file(other, text), a.age(name, 100), a.age(other, 100))
		case 3:
			errs = append(errs, a.file(other, text), a.age(name, 100), a.age(other, 200))
		}
	}
	return errors.Join(errs...)
}

// age sets a file's time, so many seconds after an old one.
func (a *author) age(name string, seconds int64) error {
	then := time.Unix(1_600_000_000+seconds, 0)
	return os.Chtimes(filepath.Join(a.dir, name), then, then)
}

// header is the text of one. It can be read any number of times.
func (a *author) header(h header) string {
	var b strings.Builder
	style := a.IntN(3)
	switch style {
	case 0:
		fmt.Fprintf(&b, "#pragma once\n#ifdef O_%[1]d\n#define TWICE_%[1]d 1\n#else\n#define O_%[1]d\n", h.id) // a copy of it may not be the same
	case 1:
		fmt.Fprintf(&b, "#ifndef H_%d\n#define H_%d\n", h.id, h.id)
	case 2: // counts how often it is read
		fmt.Fprintf(&b, "#ifndef C_%[1]d\n#define C_%[1]d 0\n#else\n#undef C_%[1]d\n#define C_%[1]d 1\n#endif\n#if !C_%[1]d\n", h.id)
	}
	for range a.IntN(3) {
		b.WriteString(a.include(h.dir))
	}
	switch {
	case h.name == "limits.h" || h.name == "string.h":
		fmt.Fprintf(&b, "#include_next <%s>\n", h.name)
	case a.chance(10):
		fmt.Fprintf(&b, "#include_next <%s>\n", pick(a, "limits.h", "string.h"))
	}
	fmt.Fprintf(&b, "#define M_%d(x) ((x) * %d + __LINE__)\n#define WHERE_%d __FILE__\n", h.id, h.id, h.id)
	switch a.IntN(4) {
	case 0:
		fmt.Fprintf(&b, "struct S_%d { int a : %d; char name[%d]; };\nstatic inline int fn_%d(int n) { return (int)sizeof(struct S_%d) + M_%d(n); }\n",
			h.id, 1+a.IntN(30), 1+a.IntN(40), h.id, h.id, h.id)
	case 1:
		fmt.Fprintf(&b, "__attribute__((noinline, unused)) static int fn_%d(int n) { const char *f = __FILE__; return f[n %% 3] + M_%d(n); }\n", h.id, h.id)
	case 2:
		fmt.Fprintf(&b, "#ifdef __cplusplus\ntemplate <typename T, int N = %d> inline T tfn_%d(T n) { T v[N] = {}; return v[0] + n * N; }\n"+
			"static inline int fn_%d(int n) { return tfn_%d<int>(n) + (int)tfn_%d<long, 3>(n); }\n#else\n"+
			"#define GEN(n) _Generic((n), int: %d, default: 1)\nstatic inline int fn_%d(int n) { return GEN(n); }\n#undef GEN\n#endif\n",
			1+a.IntN(9), h.id, h.id, h.id, h.id, h.id, h.id)
	case 3:
		fmt.Fprintf(&b, "enum e_%d { E_%da, E_%db = __LINE__ };\nstatic inline int fn_%d(int n) { return n == E_%db ? %d : E_%da; }\n",
			h.id, h.id, h.id, h.id, h.id, h.id, h.id)
	}
	b.WriteString("#endif\n")
	if style == 0 {
		a.guarded[filepath.Join(h.dir, h.name)] = b.String()
	}
	return b.String()
}

// include is a directive for a header as seen from a directory: by each form of
// name that there is. Most lead somewhere; what does not is asked for first.
func (a *author) include(from string) string {
	h := pick(a, a.headers...)
	rel, err := filepath.Rel(from, filepath.Join(h.dir, h.name))
	if err != nil {
		panic(err) // both are relative
	}
	name := pick(a, h.name, "sub/"+h.name)
	switch a.IntN(9) {
	case 8:
		return fmt.Sprintf("#import \"%s\"\n", rel)
	case 0, 1:
		return fmt.Sprintf("#include \"%s\"\n", rel)
	case 2:
		return fmt.Sprintf("#include \"%s\"\n", strings.Replace(rel, "sub/", "sub/../sub/./", 1))
	case 3:
		return fmt.Sprintf("#if __has_include(<%s>)\n#include <%s>\n#endif\n", name, name)
	case 4:
		return fmt.Sprintf("#if __has_include(\"%s\")\n#include \"%s\"\n#endif\n", name, name)
	case 5:
		n := a.IntN(1 << 30)
		return fmt.Sprintf("#define HEADER_%d \"%s\"\n#include HEADER_%d\n", n, rel, n)
	case 6:
		return fmt.Sprintf("#ifdef MACROS\n#include \"%s\"\n#else\n#include <%s>\n#endif\n", rel, pick(a, "stddef.h", "limits.h", "stdint.h"))
	}
	return fmt.Sprintf("#if __has_include_next(<%s>)\n#include_next <%s>\n#endif\n", h.name, h.name)
}

// source is the text of one that compiles as C and as C++.
func (a *author) source(dir string) string {
	var b strings.Builder
	for _, name := range []string{"assert.h", "stdio.h", "stdlib.h", "stddef.h", "errno.h", "stdarg.h"} {
		if a.chance(40) {
			fmt.Fprintf(&b, "#include <%s>\n", name)
		}
	}
	b.WriteString("#include <assert.h>\n#ifdef __cplusplus\n")
	for _, name := range []string{"type_traits", "utility", "array", "cstdint", "initializer_list"} {
		if a.chance(40) {
			fmt.Fprintf(&b, "#include <%s>\n", name)
		}
	}
	b.WriteString("#endif\n")
	for range 2 + a.IntN(4) {
		b.WriteString(a.include(dir))
	}
	b.WriteString("#define STRING_(x) #x\n#define STRING(x) STRING_(x)\n#define BOTH(a, b) do { sum += (a); sum ^= (b); } while (0)\n")
	if dir == "src" {
		b.WriteString("#define ITEM(name, n) item_##name = n,\nenum items {\n#include \"list.def\"\n};\n#undef ITEM\n")
	}
	b.WriteString("const char *where = __FILE__ \":\" STRING(__LINE__), *first = __BASE_FILE__;\n")
	b.WriteString("#ifdef FORCED\nconst char *forced = FORCED;\n#endif\n#ifdef NAME\nconst char *name = NAME;\n#endif\n#ifdef MACROS\nint macros = MACROS;\n#endif\n")
	b.WriteString("#ifdef __cplusplus\nnamespace {\nstruct base { virtual ~base() {} virtual int get(int n) const { return n; } };\n" +
		"struct derived : base { int get(int n) const override { return n * 2; } };\n}\n" +
		"int virtually(const base &b) { auto twice = [&](int n) { return b.get(n) + b.get(n); }; return twice(3); }\n#endif\n")
	b.WriteString("#ifdef NAMED\n#if __has_include(NAMED)\n#include NAMED\n#endif\n#endif\n")
	if a.chance(20) {
		b.WriteString("__asm__(\".section .rodata\\n.incbin \\\"data.bin\\\"\\n.text\\n\");\n")
	}
	b.WriteString("#ifdef __cplusplus\nextern \"C\"\n#endif\nint entry(int n)\n{\n\tint sum = n;\n\tassert(n != 42 && \"a message\");\n")
	for _, h := range a.headers {
		fmt.Fprintf(&b, "#ifdef M_%[1]d\n\tBOTH(M_%[1]d(sum), fn_%[1]d(sum));\n\tsum += WHERE_%[1]d[1];\n#endif\n#if C_%[1]d || TWICE_%[1]d\n\tsum++;\n#endif\n", h.id)
	}
	b.WriteString("\treturn sum;\n}\n")
	return b.String()
}

// An invocation is one compile: words[0] is the compiler.
type invocation struct {
	dir   string
	env   []string // what it has besides its client's
	words []string
}

// A combination is what every run must have had, whatever else is drawn.
type combination struct{ target, family, language, debug string }

// combinations are those of the promise.
func combinations() []combination {
	var list []combination
	for _, target := range []string{"x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu", "arm-linux-gnueabihf"} {
		for _, family := range []string{"gcc", "clang"} {
			for _, language := range []string{"c", "cc"} {
				for _, debug := range []string{"-g", "-g3", "-gdwarf-4", "-gz"} {
					list = append(list, combination{target, family, language, debug})
				}
			}
		}
	}
	return list
}

// compiler is its name and the words that make it the target's.
func (c combination) compiler() []string {
	switch {
	case c.family == "clang" && c.language == "c":
		return []string{"clang-14", "--target=" + c.target}
	case c.family == "clang":
		return []string{"clang++-14", "--target=" + c.target}
	case c.language == "c":
		return []string{c.target + "-gcc"}
	}
	return []string{c.target + "-g++"}
}

// command draws one compile of a source of the project.
func (a *author) command(c combination, output string) invocation {
	cwd := pick(a, ".", ".", "src", "linked", "other/sub")
	cmd := invocation{dir: filepath.Join(a.dir, cwd), words: c.compiler()}
	// name is a file's as this command spells it.
	name := func(file string) string {
		rel, err := filepath.Rel(a.real(cwd), filepath.Join(a.dir, file))
		if err != nil || a.chance(20) {
			return filepath.Join(a.dir, file)
		}
		return rel
	}
	set := func(percent int, variable, value string) {
		if a.chance(percent) {
			cmd.env = append(cmd.env, variable+"="+value)
		}
	}
	set(60, "PWD", pick(a, cmd.dir, a.real(cwd), "/", "linked"))
	set(10, "CPATH", name("other")+":"+name(pick(a, headerDirs...)))
	if c.language == "c" {
		set(10, "C_INCLUDE_PATH", name("plat")+":")
	} else {
		set(10, "CPLUS_INCLUDE_PATH", ":"+name("include"))
	}
	add := func(percent int, words ...string) {
		if a.chance(percent) {
			cmd.words = append(cmd.words, words...)
		}
	}
	add(100, c.debug)
	if c.debug == "-gz" {
		add(100, "-g")
	}
	add(100, pick(a, "-O0", "-O1", "-O2", "-O3", "-Os"))
	for range 1 + a.IntN(5) {
		dir := name(pick(a, append(headerDirs, "linked", "plat/up/sub", "absent", "include/../other")...))
		switch a.IntN(7) {
		case 0:
			add(100, "-isystem", dir)
		case 1:
			add(100, "-iquote", dir)
		case 2:
			add(100, "-idirafter"+dir)
		default:
			add(100, "-I"+dir)
		}
	}
	add(15, "-include", name("include/forced.h"))
	add(15, "-imacros", name("include/macros.h"))
	add(15, "-I/usr/include")
	add(15, "-DNAME=\"a b\"")
	add(15, "-fmacro-prefix-map="+a.dir+"=/project")
	add(15, "-ffile-prefix-map="+a.dir+"=.")
	add(30, "-Wall", "-Wextra")
	add(20, "-fPIC")
	add(20, "-ffunction-sections", "-fdata-sections")
	add(10, "-Wsystem-headers", "-Wmissing-include-dirs")
	add(10, "-H")
	add(10, "-DNDEBUG")
	add(10, "-DNAMED="+pick(a, "<a.h>", "\"b.h\"", "<config.h>"))
	add(5, "--sysroot=/")
	add(10, "-fno-common", "-fstack-protector-strong")
	add(10, "-pipe")
	if c.language == "cc" {
		add(100, pick(a, "-std=c++17", "-std=gnu++14", "-std=c++20"))
	} else {
		add(100, pick(a, "-std=gnu17", "-std=c11", "-std=gnu11"))
	}
	switch a.IntN(5) {
	case 0:
		add(100, "-MD")
	case 1:
		add(100, "-MMD", "-MP")
	case 2:
		add(100, "-MD", "-MF", output+".dep", "-MT", "a target $(x)")
	case 3:
		if !slices.ContainsFunc(cmd.env, func(kv string) bool { return strings.HasPrefix(kv, "CPATH=") }) { // which goes behind it
			add(100, "-Wp,-MMD,"+output+".wp", "-MQ", "a target $(x)")
		}
	}
	sources := []string{"src/plain." + c.language, "src/plain." + c.language, "src/deep/far." + c.language}
	if c.language == "c" {
		sources = append(sources, "src/wrong.c")
	} else {
		sources = append(sources, "src/warned.cc")
	}
	if a.chance(15) {
		cmd.words = append(cmd.words, "-S", "-o", output+".s", name(pick(a, sources...)))
	} else {
		cmd.words = append(cmd.words, "-c", name(pick(a, sources...)), "-o", output+".o")
	}
	return cmd
}

// real is where a directory of the project is, links followed.
func (a *author) real(dir string) string {
	path, err := filepath.EvalSymlinks(filepath.Join(a.dir, dir))
	if err != nil {
		panic(err) // the author made it
	}
	return path
}

// outputs removes the files of a directory that begin with prefix and gives their
// contents by name.
func outputs(dir, prefix string) (map[string]string, error) {
	all := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || e.Type() != fs.FileMode(0) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all[e.Name()] = string(text)
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return all, nil
}
