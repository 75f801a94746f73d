// Package workload is what the contenders compile: sources of the benchmark's own
// making. Start with All.
package workload

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// A Workload is sources of our own making, and the Makefile that compiles them.
type Workload struct {
	Name    string
	About   string // for the tables, after the number of files
	Jobs    int    // how many files
	Suffix  string // of sources
	flags   string
	headers map[string]string
	// source is the text of file i. Files of another round have other code, so
	// that no cache of results can know their objects.
	source func(i, round int) string
}

// TinyFiles is how many files the workload tiny has.
const TinyFiles = 3000

// All are all that there are, by name: c++, c, huge, tiny.
func All() map[string]*Workload {
	all := make(map[string]*Workload)
	for _, w := range []*Workload{cxx(40), plainC(300), huge(200_000), tiny(TinyFiles)} {
		all[w.Name] = w
	}
	return all
}

// Few is the workload with its first n files only.
func (w *Workload) Few(n int) *Workload {
	small := *w
	small.Jobs = min(n, w.Jobs)
	return &small
}

// Write makes the workload in dir, as it is in a round.
func (w *Workload) Write(dir string, round int) error {
	for _, d := range []string{"src", "include", "obj"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for name, text := range w.headers {
		if err := os.WriteFile(filepath.Join(dir, "include", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "Makefile"), []byte(w.makefile()), 0o644); err != nil {
		return err
	}
	return w.Edit(dir, round)
}

// Edit writes every source as it is in a round.
func (w *Workload) Edit(dir string, round int) error {
	for i := range w.Jobs {
		name := filepath.Join(dir, "src", fmt.Sprintf("f%04d%s", i, w.Suffix))
		if err := os.WriteFile(name, []byte(w.source(i, round)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Clean removes the objects.
func (w *Workload) Clean(dir string) error {
	for i := range w.Jobs {
		if err := os.Remove(w.Object(dir, i)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// Object is the name of file i's object.
func (w *Workload) Object(dir string, i int) string {
	return filepath.Join(dir, "obj", fmt.Sprintf("f%04d.o", i))
}

// makefile is without built-in rules and without a shell: make starts COMPILER
// itself, once an object.
func (w *Workload) makefile() string {
	var b strings.Builder
	b.WriteString("MAKEFLAGS += -r\n.SUFFIXES:\nOBJECTS =")
	for i := range w.Jobs {
		fmt.Fprintf(&b, " obj/f%04d.o", i)
	}
	fmt.Fprintf(&b, "\nall: $(OBJECTS)\nobj/%%.o: src/%%%s\n\t$(COMPILER) %s $(DEFINE) -Iinclude -c $< -o $@\n", w.Suffix, w.flags)
	return b.String()
}

// Compiler is the driver that the workload needs.
func (w *Workload) Compiler() string {
	if w.Suffix == ".cc" {
		return "g++"
	}
	return "gcc"
}

// heavyHeaders are those of C++'s standard headers that bring most others.
var heavyHeaders = []string{
	"regex", "filesystem", "future", "complex", "random", "execution", "unordered_map", "iomanip",
	"iostream", "map", "condition_variable", "memory_resource", "ranges", "functional", "valarray", "thread",
}

// cxx is what C++ projects are like: small sources, eight standard
// headers each and six of the project's own.
func cxx(n int) *Workload {
	const own, each = 80, 6
	w := &Workload{
		Name: "c++", About: "C++ files with eight standard headers and six of the project's own each, -std=c++20 -O2",
		Jobs: n, Suffix: ".cc", flags: "-std=c++20 -O2", headers: make(map[string]string),
	}
	for i := range own {
		w.headers[fmt.Sprintf("part%02d.h", i)] = fmt.Sprintf("#pragma once\n#include <string>\n"+
			"// What part %[1]d is made of.\nstruct part%02[1]d {\n\tint count = %[1]d;\n\tstd::string name;\n\tint weight() const { return count * %[2]d; }\n};\n", i, i+3)
	}
	w.source = func(i, round int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "// File %d, written in round %d.\n", i, round)
		for k := range 8 {
			fmt.Fprintf(&b, "#include <%s>\n", heavyHeaders[(i+k*5)%len(heavyHeaders)])
		}
		b.WriteString("#include <string>\n#include <vector>\n#ifndef SALT\n#define SALT 0\n#endif\n")
		for k := range each {
			fmt.Fprintf(&b, "#include \"part%02d.h\"\n", (i*each+k)%own)
		}
		fmt.Fprintf(&b, "int salt%d = %d + SALT;\n", i, round)
		for k := range each {
			part := (i*each + k) % own
			fmt.Fprintf(&b, "int sum%d_%d(const std::vector<part%02d> &all)\n{\n\tint sum = salt%d;\n\tfor (const auto &p : all)\n\t\tsum += p.weight() + (int)p.name.size();\n\treturn sum;\n}\n", i, k, part, i)
		}
		return b.String()
	}
	return w
}

// plainC is small C files, whose compile is short beside what surrounds it.
func plainC(n int) *Workload {
	w := &Workload{
		Name: "c", About: "small C files with five headers of libc and two of the project's own each, -O2",
		Jobs: n, Suffix: ".c", flags: "-O2", headers: map[string]string{
			"project.h": "#ifndef PROJECT_H\n#define PROJECT_H\n#include \"list.h\"\nint project_log(const char *text, int level);\n#endif\n",
			"list.h":    "#ifndef LIST_H\n#define LIST_H\nstruct list { struct list *next; int value; };\n#endif\n",
		},
	}
	w.source = func(i, round int) string {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		var b strings.Builder
		fmt.Fprintf(&b, "/* File %d, written in round %d. */\n", i, round)
		b.WriteString("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <errno.h>\n#include <unistd.h>\n#include \"project.h\"\n" +
			"#ifndef SALT\n#define SALT 0\n#endif\n")
		fmt.Fprintf(&b, "int salt%d = %d + SALT;\n", i, round)
		for k := range 6 {
			fmt.Fprintf(&b, "int work%d_%d(struct list *l, const char *text)\n{\n\tint sum = salt%d;\n\tfor (; l; l = l->next)\n\t\tsum = sum * %d + l->value;\n"+
				"\tif (sum %% %d == 0 && strlen(text) > %d)\n\t\tproject_log(text, sum);\n\treturn sum;\n}\n", i, k, i, random.IntN(90)+3, random.IntN(90)+2, random.IntN(20))
		}
		return b.String()
	}
	return w
}

// huge is one file of so many lines, as generators write them.
func huge(lines int) *Workload {
	w := &Workload{Name: "huge", About: fmt.Sprintf("one C file of %d lines, -O0", lines), Jobs: 1, Suffix: ".c", flags: "-O0"}
	w.source = func(_, round int) string {
		var b bytes.Buffer
		fmt.Fprintf(&b, "#include <stdio.h>\n#ifndef SALT\n#define SALT 0\n#endif\nint salt = %d + SALT;\n", round)
		const rows, entry = 12, 20
		for i := range (lines - 5) / entry {
			fmt.Fprintf(&b, "/* Entry %d of the table. */\nstatic const struct { const char *name; int value; } table%d[] = {\n", i, i)
			for k := range rows {
				fmt.Fprintf(&b, "\t{ \"row %d of %d\", %d },\n", k, i, i*k%1000)
			}
			fmt.Fprintf(&b, "};\nint entry%d(int a, int b)\n{\n\treturn a < %d ? table%d[a].value + b * salt : b;\n}\n\n", i, rows, i)
		}
		return b.String()
	}
	return w
}

// tiny is many files with next to nothing in them: what it measures is
// the client under many jobs at once.
func tiny(n int) *Workload {
	return &Workload{
		Name: "tiny", About: "C files of ten lines with one header of the project's own, -O1",
		Jobs: n, Suffix: ".c", flags: "-O1",
		headers: map[string]string{"tiny.h": "#ifndef TINY_H\n#define TINY_H\nint tiny_log(const char *text);\n#endif\n"},
		source: func(i, round int) string {
			return fmt.Sprintf("#include \"tiny.h\"\nint salt%[1]d = %[2]d;\nint tiny%[1]d(int a)\n{\n\tif (a == %[1]d)\n\t\treturn tiny_log(\"%[1]d\");\n\treturn a * salt%[1]d;\n}\n", i, round)
		},
	}
}
