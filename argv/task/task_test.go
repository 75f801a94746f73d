package task

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
)

// taskOf reads a command as client and helper do: what the client sends the helper must take, and read alike.
func taskOf(t *testing.T, command string) (*Task, error) {
	t.Helper()
	words := strings.Fields(command)
	d, ok := argv.ParseDriver(words[0])
	if !ok {
		t.Fatalf("%s is no driver", words[0])
	}
	task, err := Read(words[1:], argv.Env{Driver: d})
	if err != nil || task.Kind == Compile || task.Kind == Parts {
		return task, err
	}
	again, err := Read(task.Words(nil), argv.Env{Driver: d, Job: true})
	if err != nil {
		t.Fatalf("%s: sent as %q, which a helper refuses: %v", command, task.Words(nil), err)
	}
	if again.Kind != task.Kind || !slices.Equal(again.Words(nil), task.Words(nil)) {
		t.Errorf("%s: sent as %q, which a helper reads as %q (%s)", command, task.Words(nil), again.Words(nil), again.Kind)
	}
	return task, nil
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		command string
		kind    Kind
		words   string   // of the job
		sources string   // names
		reads   string   // names
		outputs []string // NAME=JOB
	}{
		{"gcc -c conftest.c", Compile, "", "", "", nil},
		{"gcc -flto -O2 -c a.c -o a.o", Compile, "", "", "", nil},
		{"gcc -Werror -c -x c /dev/null -o /dev/null", Compile, "", "", "", nil},
		{"gcc -v -O2 -c a.c -o a.o", Compile, "", "", "", nil},
		{"gcc -c a.c b.c", Parts, "", "a.c b.c", "", nil},
		{"gcc --version", Question, "--version", "", "", nil},
		{"gcc -m32 -print-file-name=libc.a", Question, "-m32 -print-file-name=libc.a", "", "", nil},
		{"gcc -v", Question, "-v", "", "", nil},
		{"gcc -Q --help=target -march=armv8-a", Question, "-Q --help=target -march=armv8-a", "", "", nil},
		{"gcc", Question, "", "", "", nil},
		{"gcc -O2 a.o b.o -o prog", Link, "-O2 a.o b.o -o out", "", "a.o b.o", []string{"prog=out"}},
		{"gcc a.o", Link, "a.o -o out.out", "", "a.o", []string{"a.out=out.out"}},
		{"gcc -shared -Wl,-soname,libx.so.1 -o lib/libx.so.1 a.o", Link, "-shared -Wl,-soname,libx.so.1 a.o -o out.1", "", "a.o", []string{"lib/libx.so.1=out.1"}},
		{"g++ -std=c++17 main.cc util.o -Llib -lutil -lm -o p", Link, "-std=c++17 main.cc util.o -Llib -lutil -lm -o out", "main.cc",
			"util.o lib/libutil.so lib/libutil.a lib/libm.so lib/libm.a", []string{"p=out"}},
		{"gcc a.o -Lx -l:libq.a -o p", Link, "a.o -Lx -l:libq.a -o out", "", "a.o x/libq.a", []string{"p=out"}},
		{"gcc a.o -T board.ld -nostdlib -Wl,-Map=out/p.map,--gc-sections -o p.elf", Link,
			"a.o -T board.ld -nostdlib -Wl,-Map=map,--gc-sections -o out.elf", "", "a.o board.ld", []string{"out/p.map=map", "p.elf=out.elf"}},
		{"gcc a.o -Ttext 0x8000 -Tdata=0x20000000 -nostdlib -o p.elf", Link,
			"a.o -Ttext 0x8000 -Tdata=0x20000000 -nostdlib -o out.elf", "", "a.o", []string{"p.elf=out.elf"}},
		{"gcc a.o -Wl,--dependency-file,d/p.d,-Map=p.map -o d/p", Link, "a.o -Wl,--dependency-file,link-rule,-Map=map -o out", "", "a.o", []string{"d/p.d=link-rule", "p.map=map", "d/p=out"}},
		{"gcc a.o -Xlinker --dependency-file=p.d -o p", Link, "a.o -Xlinker --dependency-file=link-rule -o out", "", "a.o", []string{"p.d=link-rule", "p=out"}},
		{"gcc a.o -Xlinker -Map -Xlinker p.map -o p", Link, "a.o -Xlinker -Map -Xlinker map -o out", "", "a.o", []string{"p.map=map", "p=out"}},
		{"gcc a.o -Wl,--version-script,v.map -Wl,-Lq -Wl,-lz -o p", Link, "a.o -Wl,--version-script,v.map -Wl,-Lq -Wl,-lz -o out", "",
			"a.o v.map q/v.map q/libz.so q/libz.a", []string{"p=out"}},
		{"gcc -MMD -MP --coverage a.o -o p", Link, "-MMD -MP --coverage a.o -o out", "", "a.o", []string{"p=out"}},
		{"gcc a.o -Wl,-Map=- -Wl,-L=/usr/lib -o p", Link, "a.o -Wl,-Map=- -Wl,-L=/usr/lib -o out", "", "a.o", []string{"p=out"}},
		{"gcc -MMD -MP -o out/p.elf a.c b.o", Link, "-MMD -MP a.c b.o -MF rules -MQ out/p.elf -o out.elf", "a.c", "b.o", []string{"out/p.d=rules", "out/p.elf=out.elf"}},
		{"gcc -MD -MF d/x -MT t -o p a.c", Link, "-MD -MF rules -MT t a.c -o out", "a.c", "", []string{"d/x=rules", "p=out"}},
		{"gcc -Wp,-MMD,s/.p.d -o s/p s/p.c", Link, "-Wp,-MMD,rules s/p.c -o out", "s/p.c", "", []string{"s/.p.d=rules", "s/p=out"}},
		{"gcc -Wl,-zrelro,-znow,-O1,--as-needed,--wrap=malloc -Wl,--whole-archive,libq.a,--no-whole-archive a.o -o p", Link,
			"-Wl,-zrelro,-znow,-O1,--as-needed,--wrap=malloc -Wl,--whole-archive,libq.a,--no-whole-archive a.o -o out", "", "a.o libq.a", []string{"p=out"}},
		{"gcc -Wl,-melf_x86_64,-e_start,-umain,-hlibx.so.1,-zmax-page-size=4096,-Tx.ld a.o -o p", Link,
			"-Wl,-melf_x86_64,-e_start,-umain,-hlibx.so.1,-zmax-page-size=4096,-Tx.ld a.o -o out", "", "a.o x.ld", []string{"p=out"}},
		{"gcc -Wl,--sort-section,alignment,--sort-section=name a.o -o p", Link,
			"-Wl,--sort-section,alignment,--sort-section=name a.o -o out", "", "a.o", []string{"p=out"}},
		{"gcc -flto -Wa,--noexecstack a.o -o p", Link, "-flto -Wa,--noexecstack a.o -o out", "", "a.o", []string{"p=out"}},
		{"gcc -Wa,-g a.S -o p", Link, "-Wa,-g a.S -o out", "a.S", "", []string{"p=out"}},
		{"gcc -E a.c", Preprocess, "-E a.c", "a.c", "", nil},
		{"gcc -E -dM -", Preprocess, "-E -dM -", StdinName, "", nil},
		{"gcc -O2 -S -x c - -o -", Preprocess, "-O2 -S -x c - -o -", StdinName, "", nil},
		{"gcc -O2 -c -x c++ - -o a.o", Preprocess, "-O2 -c -x c++ - -o out.o", StdinName, "", []string{"a.o=out.o"}},
		{"gcc -x c - -x none b.o -o p", Link, "-x c - -x none b.o -o out", StdinName, "b.o", []string{"p=out"}},
		{"gcc -E -dM -x c /dev/null", Preprocess, "-E -dM -x c /dev/null", "", "", nil},
		{"gcc -E -P -I inc a.h.in -x c a.c -o a.i", Preprocess, "", "", "", nil}, // two inputs
		{"gcc -E -P -I inc -x c a.in -o a.i", Preprocess, "-E -P -I inc -x c a.in -o out.i", "a.in", "", []string{"a.i=out.i"}},
		{"gcc -Wall -fsyntax-only -c a.c -o a.o", Check, "-Wall -fsyntax-only -c a.c", "a.c", "", nil},
		{"clang -fsyntax-only -Iinc a.c s/b.cc -lm", Check, "-fsyntax-only -Iinc a.c s/b.cc -lm", "a.c s/b.cc", "", nil},
		{"gcc -fsyntax-only -x c /dev/null", Check, "-fsyntax-only -x c /dev/null", "", "", nil},
		{"gcc -fsyntax-only -x c++ -", Check, "-fsyntax-only -x c++ -", StdinName, "", nil},
		{"gcc -fsyntax-only -MD -c s/a.c", Check, "-fsyntax-only -MD -c s/a.c -MF rules -MQ a.o", "s/a.c", "", []string{"a.d=rules"}},
		{"gcc -fsyntax-only -MMD a.c -o d/x.o", Check, "-fsyntax-only -MMD a.c -MF rules -MQ d/x.o", "a.c", "", []string{"d/x.d=rules"}},
		{"clang -fsyntax-only -MD -MF ../q.d -MT t a.c -o d/x.o", Check, "-fsyntax-only -MD -MF rules -MT t a.c", "a.c", "", []string{"../q.d=rules"}},
		{"gcc -fsyntax-only -Wp,-MMD,d/w.d a.c -o x.o", Check, "-fsyntax-only -Wp,-MMD,rules a.c", "a.c", "", []string{"d/w.d=rules"}},
		{"gcc -E -Wp,-MMD,s/.x.d -P -DA -o s/x.lds s/x.lds.S", Preprocess, "-E -Wp,-MMD,rules -P -DA s/x.lds.S -o out.lds", "s/x.lds.S", "", []string{"s/.x.d=rules", "s/x.lds=out.lds"}},
		{"gcc -E -MD -MF x.d a.c -o a.i", Preprocess, "-E -MD -MF rules a.c -o out.i", "a.c", "", []string{"x.d=rules", "a.i=out.i"}},
		{"gcc -O2 -c -x c - -o a.o -MD -MF x.d", Preprocess, "-O2 -c -x c - -MD -MF rules -MQ a.o -o out.o", StdinName, "", []string{"x.d=rules", "a.o=out.o"}},
		{"gcc -E -MMD -MF x.d -MT t a.c", Preprocess, "-E -MMD -MF rules -MT t a.c", "a.c", "", []string{"x.d=rules"}},
		{"clang -E -Wp,-MD,x.d a.c -o a.i", Preprocess, "-E -Wp,-MD,rules a.c -MQ a.i -o out.i", "a.c", "", []string{"x.d=rules", "a.i=out.i"}},
		{"gcc -S -O2 a.c -o -", Preprocess, "-S -O2 a.c -o -", "a.c", "", nil},
		{"gcc -S -x c /dev/null -o -", Preprocess, "-S -x c /dev/null -o -", "", "", nil},
		{"gcc -m32 -Wa,--version -c -x assembler-with-cpp /dev/null -o /dev/null", Question, "-m32 -Wa,--version -c -x assembler-with-cpp /dev/null", "", "", nil},
		{"gcc -Wl,--version a.c -o p", Link, "-Wl,--version a.c", "a.c", "", nil},
		{"gcc -v a.c -o p", Link, "-v a.c -o out", "a.c", "", []string{"p=out"}},
		{"gcc -MM -MT a.o -MF a.d a.c", Preprocess, "-MM -MT a.o -MF rules a.c", "a.c", "", []string{"a.d=rules"}},
	} {
		task, err := taskOf(t, tt.command)
		if tt.kind == Preprocess && tt.words == "" {
			if err == nil {
				t.Errorf("%s: taken", tt.command)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.command, err)
			continue
		}
		var sources, outputs []string
		for _, s := range task.Sources {
			sources = append(sources, s.Source())
		}
		for _, o := range task.Outputs {
			outputs = append(outputs, o.Name+"="+o.Job)
		}
		words := ""
		if task.Kind != Compile && task.Kind != Parts {
			words = strings.Join(task.Words(nil), " ")
		}
		if task.Kind != tt.kind || words != tt.words || strings.Join(sources, " ") != tt.sources ||
			strings.Join(task.Reads, " ") != tt.reads || !slices.Equal(outputs, tt.outputs) {
			t.Errorf("%s: %s %q, sources %q, reads %q, outputs %q\nwant %s %q, %q, %q, %q", tt.command, task.Kind, words, sources,
				task.Reads, outputs, tt.kind, tt.words, tt.sources, tt.reads, tt.outputs)
		}
	}
}

// What libraries need is looked for in -rpath as well, and -l in LIBRARY_PATH.
func TestTaskDirs(t *testing.T) {
	for _, tt := range []struct{ words, libraryPath, runPath, dirs, runDirs, reads string }{
		{"a.o -Lx -Wl,-rpath,/r:$ORIGIN/q -Wl,-rpath-link=l:m -o p", "", "", "x l m", "/r $ORIGIN/q", "a.o"},
		{"a.o -rpath r -Xlinker -rpath -Xlinker s -lz -o p", "", "", "", "r s", "a.o"},
		{"a.o -lz -o p", "/deps/lib::rel", "", "/deps/lib . rel", "",
			"a.o /deps/lib/libz.so /deps/lib/libz.a ./libz.so ./libz.a rel/libz.so rel/libz.a"},
		{"a.o -o p", "", "/one:/two", "", "/one /two", "a.o"},
		{"a.o -lz -o p", "", "", "", "", "a.o"},
	} {
		env := map[string]string{"LIBRARY_PATH": tt.libraryPath, "LD_RUN_PATH": tt.runPath}
		task, err := Read(strings.Fields(tt.words), argv.Env{Driver: argv.Driver{Family: argv.GCC}, Getenv: func(key string) string { return env[key] }})
		if err != nil {
			t.Errorf("%s: %v", tt.words, err)
			continue
		}
		dirs, runDirs, reads := strings.Join(task.Dirs, " "), strings.Join(task.RunDirs, " "), strings.Join(task.Reads, " ")
		if dirs != tt.dirs || runDirs != tt.runDirs || reads != tt.reads {
			t.Errorf("%s with %q: directories %s and %s, reads %s\nwant %s and %s, %s", tt.words, env, dirs, runDirs, reads, tt.dirs, tt.runDirs, tt.reads)
		}
	}
}

func TestTaskRefuses(t *testing.T) {
	for command, want := range map[string]string{
		"gcc -march=native -c a.c":                            "means this machine's processor",
		"gcc -fplugin=x.so -c a.c":                            "plugin",
		"gcc -B. a.o -o p":                                    "-B.",
		"gcc -specs=nano.specs a.o -o p":                      "-specs=nano.specs",
		"gcc -wrapper /bin/sh a.o -o p":                       "-wrapper",
		"gcc -Wl,--plugin,x.so a.o -o p":                      "--plugin",
		"gcc -Wl,-plugin=x.so a.o -o p":                       "-plugin=x.so",
		"gcc -Wl,@words a.o -o p":                             "@words",
		"gcc -Wl,-oformat,-plugin=x.so a.o -o p":              "-oformat",
		"gcc -Wl,-color-diagnostics a.o -o p":                 "-color-diagnostics",
		"gcc -Wl,-ctors-in-init-array a.o -o p":               "-ctors-in-init-array",
		"gcc -Wl,-no-gdb-index a.o -o p":                      "-no-gdb-index",
		"gcc -Wl,-omagic a.o -o p":                            "-omagic",
		"gcc -Wl,-hash-size,-plugin=x.so a.o -o p":            "-hash-size",
		"gcc -Wl,-symbol-ordering-file,-plugin=x.so a.o -o p": "-symbol-ordering-file",
		"gcc -Wl,-library-path,-plugin=x.so a.o -o p":         "-library-path",
		"gcc -Wl,--u,-plugin=x.so a.o -o p":                   "--u",
		"gcc -Wl,-L=/home/x a.o -o p":                         "sysroot",
		"gcc -Wl,-Map=% a.o -o p":                             "-Map=%",
		"gcc -Wl,-o,/etc/x a.o -o p":                          "-o",
		"gcc -Wl,--out-implib=x a.o -o p":                     "--out-implib",
		"gcc -Wl,-dependency-file=x a.o -o p":                 "-dependency-file",
		"gcc -Wl,--dependency-file=x,--dependency-file,y a.o": "2 link-rules",
		"gcc -Wl,-c,x a.o -o p":                               "-c",
		"gcc -Wl,--sysroot=/x a.o -o p":                       "--sysroot",
		"gcc -Wl,-Map a.o -o p":                               "lacks its operand",
		"gcc -Wl,-Map=a,-Map=b a.o -o p":                      "2 maps",
		"gcc -Wl,-T,@x a.o -o p":                              "-T",
		"gcc -fuse-ld=/bin/sh a.o -o p":                       "-fuse-ld=/bin/sh",
		"clang --ld-path=/bin/sh a.o -o p":                    "--ld-path=",
		"gcc -fsyntax-only":                                   "is not a word",
		"gcc -fsyntax-only a.o":                               "no source file",
		"gcc -fsyntax-only a.c b.c -o x":                      "one source",
		"gcc -fsyntax-only -MD b.c":                           "driver's choice",
		"gcc -fsyntax-only -MD a.c b.c":                       "of one source",
		"gcc -fsyntax-only -MD -x c -":                        "of one source",
		"gcc -fsyntax-only -MF x a.c":                         "of one source",
		"gcc -fsyntax-only -MD -MF - a.c":                     "the name of a file",
		"gcc -fsyntax-only -MD -MF @x a.c":                    "response file",
		"gcc -fsyntax-only -MD -Wp,-MD,x a.c":                 "of one source",
		"clang -fsyntax-only -Wp,-MD,x a.c":                   "-Wp,-MD beside",
		"gcc -fsyntax-only -fstack-usage a.c":                 "files besides",
		"gcc -fsyntax-only -fplugin=x.so a.c":                 "plugin",
		"gcc -fsyntax-only -B. a.c":                           "-B.",
		"gcc -MD a.c":                                         "compile with -c first",
		"gcc -MD a.c b.c -o p":                                "compile with -c first",
		"gcc -MD -MF - a.c -o p":                              "the name of a file",
		"gcc -Wp,-MD,a.d -MD a.c b.c -o p":                    "compile with -c first",
		"gcc a.c -o a.c":                                      "is an input as well",
		"gcc a.f90 -o p":                                      "language",
		"gcc x.h":                                             "precompiled",
		"gcc a.o -L=/home/x -o p":                             "sysroot",
		"gcc a.o -Wl,-L,$SYSROOT/srv -o p":                    "sysroot",
		"gcc a.o -Wl,-rpath-link=q:=/usr/../home -o p":        "sysroot",
		"gcc -E - a.c":                                        "2 sources",
		"gcc -c -":                                            "without -x",
		"gcc -c -x c -":                                       "say -o",
		"gcc -c -x c - -o -":                                  "say -o",
		"gcc -c -fstack-usage -x c - -o a.o":                  "one file",
		"gcc - -o p":                                          "without -x",
		"gcc -x c - - -o p":                                   "two sources",
		"gcc -E -MD a.c":                                      "-MD beside -E",
		"gcc -M -MD a.c":                                      "-MD beside -M",
		"gcc -M -Wp,-MD,x a.c":                                "-Wp,-MD,x beside -M",
		"gcc -E -MD -MF - a.c":                                "the name of a file",
		"gcc -E -MD -Wp,-MD,x a.c":                            "need -MD or -MMD, once",
		"gcc -E -Wp,-MD,x -Wp,-MD,y a.c":                      "made once",
		"gcc -E -MF x a.c":                                    "need -MD or -MMD, once",
		"gcc -Wa,--version -c a.c":                            "of /dev/null",
		"gcc -Wa,--version -x c /dev/null":                    "of /dev/null",
		"gcc -Wa,--version,@x -c -x c /dev/null":              "assembler-words",
		"gcc -Wa,--version -fplugin=x -c -x c /dev/null":      "plugin",
		"gcc -c a.c -o -":                                     "say -o",
		"gcc --version x.c":                                   "reads and writes no file",
		"gcc --print-prog-name=as -o x":                       "reads and writes no file",
		"c99 a.c -o p":                                        "a script",
		"gcc -Wa,-a=/etc/x a.c -o p":                          "-a=/etc/x",
		"gcc -flto -Wa,-a=/etc/x a.o -o p":                    "-a=/etc/x",
		"gcc -flto -Wa,@words a.o -o p":                       "@words",
		"gcc -flto -Xassembler @words a.o -o p":               "@words",
		"clang -flto -mllvm -debug-pass=x a.o -o p":           "-debug-pass=x",
		// Long words with one dash, which begin as short ones do that have an operand.
		"gcc -Wl,-error-handling-script=/bin/sh a.o -o p": "-error-handling-script",
		"gcc -Wl,-error-handling-script,/bin/sh a.o":      "-error-handling-script",
		"gcc -Wl,-error-h=/bin/sh a.o -o p":               "-error-h",
		"gcc -Wl,-mri-script=x a.o -o p":                  "-mri-script",
		"gcc -Xlinker -mri-script -Xlinker x a.o -o p":    "-mri-script",
		"gcc -Wl,-mllvm,-x a.o -o p":                      "-mllvm",
		"gcc -Wl,-fplugin=x a.o -o p":                     "-fplugin",
		"gcc -Wl,-load-pass-plugin=x a.o -o p":            "-load-pass-plugin",
		"gcc -fdump-tree-all=/x a.o -o p":                 "-fdump-tree-all",
		"clang -Xclang -load -Xclang x.so a.o -o p":       "-Xclang",
		"gcc -fprofile-use=/etc/shadow a.c -o p":          "compile with -c first",
		"gcc -ffile-prefix-map=@x=y -Wl,-rpath,@x a.o -o": "-rpath",
	} {
		if task, err := taskOf(t, command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", command, task, err, want)
		}
	}
}

// FuzzTask: what is taken is taken again as it is sent, and names nothing that a response file is made of.
func FuzzTask(f *testing.F) {
	for _, s := range []string{"a.o -o p -Wl,-Map=x", "-E a.c -o x", "-Wl,-T -Wl,x a.c -Lx -ly", "-Xlinker -lq -Wl,a,b -shared x.o", "--version", "-fsyntax-only -MD a.c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, " ")
		env := argv.Env{Driver: argv.Driver{Family: argv.GCC}}
		task, err := Read(words, env)
		if err != nil || task.Kind == Compile || task.Kind == Parts {
			return
		}
		sent := task.Words(nil)
		env.Job = true
		again, err := Read(sent, env)
		if err != nil || again.Kind != task.Kind || !slices.Equal(again.Words(nil), sent) {
			t.Fatalf("%q is sent as %q, which is read as %+v, %v", words, sent, again, err)
		}
		for _, o := range again.Outputs {
			if strings.ContainsAny(o.Name[:1], "/-@") || !filepath.IsLocal(o.Name) {
				t.Fatalf("%q writes %q", words, o.Name)
			}
		}
	})
}
