package task

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
)

func TestParseTool(t *testing.T) {
	for name, want := range map[string]Tool{
		"ar":                          {Name: "ar"},
		"riscv64-linux-gnu-ar":        {Prefix: "riscv64-linux-gnu", Name: "ar"},
		"gcc-ar":                      {Kin: argv.GCC, Name: "ar"},
		"aarch64-linux-gnu-gcc-nm-12": {Prefix: "aarch64-linux-gnu", Kin: argv.GCC, Name: "nm", Suffix: "12"},
		"llvm-strip-14":               {Kin: argv.Clang, Name: "strip", Suffix: "14"},
		"ld.bfd":                      {Name: "ld.bfd"},
	} {
		if got, ok := ParseTool(name); !ok || got != want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "gcc", "my-ar", "ar-12", "gcc-strip", "llvm-ld", "bear", "gcc-ar-x", "llvm-as", "gcc-as", "cc-ar", "ar.sh", "x/ar"} {
		if got, ok := ParseTool(name); ok {
			t.Errorf("%s is %+v", name, got)
		}
	}
}

// toolOf reads a command as client and helper do.
func toolOf(t *testing.T, command string) (*Task, error) {
	t.Helper()
	words := strings.Fields(command)
	task, err := ReadNamed(words[0], words[1:], argv.Env{})
	if err != nil {
		return task, err
	}
	again, err := ReadNamed(words[0], task.Words(nil), argv.Env{Job: true})
	if err != nil || again.Kind != task.Kind || !slices.Equal(again.Words(nil), task.Words(nil)) || !slices.Equal(again.Outputs, task.Outputs) {
		t.Errorf("%s: sent as %q, which a helper reads as %+v, %v", command, task.Words(nil), again, err)
	}
	return task, nil
}

func TestReadTool(t *testing.T) {
	for _, tt := range []struct {
		command string
		words   string // run with outputs as O/JOB
		reads   string
		outputs string // NAME=JOB, + behind those that are changed
	}{
		{"ar rcs libx.a a.o b.o", "rcsD O/out0.a a.o b.o", "libx.a a.o b.o", "libx.a=out0.a+"},
		{"riscv64-linux-gnu-ar cru lib/libx.a a.o", "crD O/out0.a a.o", "lib/libx.a a.o", "lib/libx.a=out0.a+"},
		{"ar -r -c -s libx.a a.o", "rcsD O/out0.a a.o", "libx.a a.o", "libx.a=out0.a+"},
		{"ar csrDT libx.a a.o", "csrTD O/out0.a a.o", "libx.a a.o", "libx.a=out0.a+"},
		{"ar qc libx.a a.o", "qcD O/out0.a a.o", "libx.a a.o", "libx.a=out0.a+"},
		{"ar rcsD libx.a", "rcsD O/out0.a", "libx.a", "libx.a=out0.a+"},
		{"ar s libx.a", "sD O/out0.a", "libx.a", "libx.a=out0.a+"},
		{"ar ra m.o libx.a a.o", "raD m.o O/out0.a a.o", "libx.a a.o", "libx.a=out0.a+"},
		{"ar d libx.a a.o", "dD O/out0.a a.o", "libx.a", "libx.a=out0.a+"},
		{"ar t libx.a", "t libx.a", "libx.a", ""},
		{"ar pv libx.a a.o", "pv libx.a a.o", "libx.a", ""},
		{"ar x libx.a", "x libx.a", "libx.a", ""},
		{"ar -xv ../libx.a a.o b.c a.o", "xv ../libx.a a.o b.c a.o", "../libx.a", "a.o=out0.o b.c=out1.c"},
		{"ar --version", "--version", "", ""},
		{"ar -V", "-V", "", ""},
		{"ar", "", "", ""},
		{"ranlib libx.a", "O/out0.a", "libx.a", "libx.a=out0.a+"},
		{"gcc-ranlib -D libx.a liby.a", "-D O/out0.a O/out1.a", "libx.a liby.a", "libx.a=out0.a+ liby.a=out1.a+"},
		{"nm -B a.o", "-B a.o", "a.o", ""},
		{"nm -B /dev/null", "-B /dev/null", "", ""},
		{"nm", "", "a.out", ""},
		{"llvm-nm-14 --format=posix -g a.o", "--format=posix -g a.o", "a.o", ""},
		{"strip prog", "O/out0", "prog", "prog=out0+"},
		{"strip -s -R .note -K main -o p q", "-s -R .note -K main -o O/out0 q", "q", "p=out0"},
		{"strip --version", "--version", "", ""},
		{"ld -v", "-v", "", ""},
		{"ld -m elf_x86_64 -v", "-m elf_x86_64 -v", "", ""},
		{"ld -m elf_x86_64 --help", "-m elf_x86_64 --help", "", ""},
		{"objcopy -O binary fw.elf out/fw.bin", "-O binary fw.elf O/out0.bin", "fw.elf", "out/fw.bin=out0.bin"},
		{"objcopy --rename-section .a=.b a.o", "--rename-section .a=.b O/out0.o", "a.o", "a.o=out0.o+"},
		{"objcopy --add-section .x=data --add-gnu-debuglink=p.debug p q", "--add-section .x=data --add-gnu-debuglink=p.debug p O/out0", "data p.debug p", "q=out0"},
		{"ld -r -o x.o a.o b.o", "-r a.o b.o -o O/out0.o", "a.o b.o", "x.o=out0.o"},
		{"ld -T s.ld -Map=p.map a.o -ox", "-T s.ld -Map=O/map a.o -o O/out1", "a.o s.ld", "p.map=map x=out1"},
		{"ld -L lib -lz a.o", "-L lib -lz a.o -o O/out0.out", "a.o lib/libz.so lib/libz.a", "a.out=out0.out"},
		{"objcopy -I binary -O elf64-little a.bin b.o", "-I binary -O elf64-little a.bin O/out0.o", "a.bin", "b.o=out0.o"},
		{"objcopy --set-start 0x100 --interleave=2 -b 0 a b", "--set-start 0x100 --interleave=2 -b 0 a O/out0", "a", "b=out0"},
		{"ld -v", "-v", "", ""},
		{"ld -m elf64lriscv -z noexecstack --no-warn-rwx-segments -v", "-m elf64lriscv -z noexecstack --no-warn-rwx-segments -v", "", ""},
		{"ld --dependency-file x.d a.o -o x", "--dependency-file O/link-rule a.o -o O/out1", "a.o", "x.d=link-rule x=out1"},
		{"ld -m elf64lriscv --verbose", "-m elf64lriscv --verbose", "", ""},
		{"ld -v a.o -o x", "-v a.o -o O/out0", "a.o", "x=out0"},
		{"ld --version a.o -o x", "--version a.o", "", ""},
		{"size -A a.o", "-A a.o", "a.o", ""},
		{"readelf -hW a.o", "-hW a.o", "a.o", ""},
		{"objdump -h a.o libx.a", "-h a.o libx.a", "a.o libx.a", ""},
		{"objdump -h", "-h", "a.out", ""},
		{"objdump -i", "-i", "", ""},
		{"llvm-objdump-14 -drw -j .text -M no-aliases --start-address=0x10 p", "-drw -j .text -M no-aliases --start-address=0x10 p", "p", ""},
		{"objdump -b binary -m riscv:rv64 -D p.bin", "-b binary -m riscv:rv64 -D p.bin", "p.bin", ""},
		{"as --version", "--version", "", ""},
		{"as -march=rv64gc -mabi=lp64d --noexecstack -I inc -Is --defsym A=1 -o x.o x.s", "-march=rv64gc -mabi=lp64d --noexecstack -I inc -I s --defsym A=1 x.s -o O/out0.o", "", "x.o=out0.o"},
		{"riscv64-linux-gnu-as -g --defsym=B=2 s/x.s y.s -oz.o", "-g --defsym B=2 s/x.s y.s -o O/out0.o", "", "z.o=out0.o"},
		{"as -o=x --defsym=A=1 x.s", "--defsym A=1 x.s -o O/out0", "", "=x=out0"},
		{"as -EL x.s", "-EL x.s -o O/out0.out", "", "a.out=out0.out"},
		{"strings -n 4 a.o", "-n 4 a.o", "a.o", ""},
	} {
		task, err := toolOf(t, tt.command)
		if err != nil {
			t.Errorf("%s: %v", tt.command, err)
			continue
		}
		var outputs []string
		for _, o := range task.Outputs {
			text := o.Name + "=" + o.Job
			if slices.Contains(task.Changed, o.Job) {
				text += "+"
			}
			outputs = append(outputs, text)
		}
		words := strings.Join(task.Words(func(job string) string { return "O/" + job }), " ")
		if words != tt.words || strings.Join(task.Reads, " ") != tt.reads || strings.Join(outputs, " ") != tt.outputs {
			t.Errorf("%s: %q, reads %q, outputs %q\nwant %q, %q, %q", tt.command, words, task.Reads, outputs, tt.words, tt.reads, tt.outputs)
		}
		if asks := len(task.Reads) == 0 && len(task.Outputs) == 0; asks != (task.Kind == Question) {
			t.Errorf("%s is a %s", tt.command, task.Kind)
		}
	}
}

// ld looks for what libraries need where its own environment says, and not where the driver's does.
func TestToolRunPath(t *testing.T) {
	task, err := ReadNamed("ld", []string{"a.o", "-lz"}, argv.Env{Getenv: func(key string) string { return "of/" + key }})
	if err != nil || strings.Join(task.RunDirs, " ") != "of/LD_RUN_PATH" || len(task.Dirs) != 0 {
		t.Errorf("%+v, %v", task, err)
	}
}

func TestToolRefuses(t *testing.T) {
	for command, want := range map[string]string{
		"ar --plugin x.so rc libx.a a.o":      "--plugin",
		"ar rc --plugin x.so libx.a a.o":      "--plugin",
		"ar rc libx.a --plugin x.so":          "members' names",
		"ar -M":                               `"-M"`,
		"ar dT libx.a a.o":                    "T is for q and r",
		"ar rcs --thin libx.a a.o":            "--thin",
		"ar rcU libx.a a.o":                   `"rcU"`,
		"ar crl libx.a a.o":                   `"crl"`,
		"ar rc":                               "no archive",
		"ar rx libx.a":                        "one of d, m, p",
		"ar rc @words":                        "@words",
		"ar rc libx.a @words":                 "@words",
		"ar rc -libx.a":                       "-libx.a",
		"ar rc libx.a libx.a":                 "members' names",
		"ar --output=/etc x libx.a":           "--output",
		"ar x libx.a ../../etc/x":             "in the working directory",
		"ar x libx.a ..":                      "in the working directory",
		"ar xo libx.a a.o":                    "new times",
		"ar xN 1 libx.a a.o":                  `"xN"`,
		"ar --record-libdeps=x rc libx.a a.o": "--record-libdeps",
		"ranlib -t libx.a":                    `"-t"`,
		"ranlib -U libx.a":                    `"-U"`,
		"ranlib --plugin x.so libx.a":         "--plugin",
		"ranlib libx.a libx.a":                "named twice",
		"nm --plugin x.so a.o":                "--plugin",
		"nm --plugin=x.so a.o":                "--plugin",
		"nm @words":                           "@words",
		"nm -":                                "standard input",
		"strip -o a b c":                      "for one file",
		"strip -o a -o b c":                   "one name",
		"strip -o a a":                        "is the input",
		"strip --plugin=x a":                  "--plugin",
		"strip -R @x a":                       "@x",
		"objcopy a b c":                       "too many",
		"objcopy --dump-section .x=/etc/x a":  "--dump-section",
		"objcopy --add-section .x=-x a":       "--add-section",
		"objcopy --split-dwo=x a":             "--split-dwo",
		"objcopy --interleave --dump-section=.text=/x a b":    "--dump-section",
		"objcopy -I binary -O elf64-little a.bin":             "another output",
		"objcopy --input-target=binary -O elf64-little a.bin": "another output",
		"objcopy --target binary a.bin":                       "another output",
		"objcopy -Ibinary a.bin":                              "another output",
		"objcopy a -x-y":                                      "-x-y",
		"ld --plugin x.so a.o":                                "--plugin",
		"ld -plugin x.so a.o":                                 "-plugin",
		"ld @words":                                           "@words",
		"ld -o a -o b c.o":                                    "more than once",
		"ld -c script a.o":                                    `"-c"`,
		"ld --dependency-file=@x a.o":                         "--dependency-file",
		"ld -o a.o a.o":                                       "is an input",
		"readelf --debug-dump=links a.o":                      "--debug-dump",
		"objdump -W a.o":                                      `"-W"`,
		"objdump --dwarf=links a.o":                           "--dwarf",
		"objdump -dSI src a.o":                                `"-dSI"`,
		"objdump --prefix=/x -S a.o":                          "--prefix",
		"objdump -M @x a.o":                                   "@x",
		"objdump --disassembler-color=terminal a.o":           "terminal",
		"objdump -P x a.o":                                    `"-P"`,
		"as -o x.o":                                           "standard input",
		"as -o x.o --":                                        `"--"`,
		"as -al=x x.s":                                        `"-al=x"`,
		"as --MD x.d x.s":                                     `"--MD"`,
		"as @words":                                           "@words",
		"as -o x.o -o y.o x.s":                                "more than once",
		"as -o x.s x.s":                                       "the output",
		"as -I=inc x.s":                                       `"-I=inc"`,
		"as --defsym":                                         "lacks its operand",
		"as -I @x x.s":                                        "@x",
		"as -march=native x.s":                                "native",
		"as -mllvm x.s":                                       "-mllvm",
		"as -v x.s":                                           `"-v"`,
		"my-ar rc x.a a.o":                                    "not the name",
	} {
		if task, err := toolOf(t, command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", command, task, err, want)
		}
	}
}

// FuzzTool: what is taken is taken again as it is sent, and no word that a tool gets is one that loads or is a file of words.
func FuzzTool(f *testing.F) {
	for _, s := range []string{"ar rcs x.a a.o", "strip -o a b", "objcopy -O binary a b", "ld -r -o x a.o -Map=m", "as -I i -o x x.s", "nm -B a", "llvm-ranlib x.a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, " ")
		task, err := ReadNamed(words[0], words[1:], argv.Env{})
		if _, isTool := ParseTool(words[0]); err != nil || !isTool {
			return
		}
		sent := task.Words(nil)
		again, err := ReadNamed(words[0], sent, argv.Env{Job: true})
		if err != nil || again.Kind != task.Kind || !slices.Equal(again.Words(nil), sent) || !slices.Equal(again.Outputs, task.Outputs) {
			t.Fatalf("%q is sent as %q, which is read as %+v, %v", words, sent, again, err)
		}
		for _, w := range again.Words(func(job string) string { return "/out/" + job }) {
			if strings.HasPrefix(w, "@") || strings.Contains(w, "plugin") && strings.HasPrefix(w, "-") {
				t.Fatalf("%q is run with %q", words, w)
			}
		}
		for _, o := range again.Outputs {
			if !filepath.IsLocal(o.Job) || o.Name == "" {
				t.Fatalf("%q writes %+v", words, o)
			}
		}
	})
}
