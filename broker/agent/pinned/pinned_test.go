package pinned

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains"
)

// A name means a compiler of the image by family, target and version.
func TestMeans(t *testing.T) {
	cross := toolchains.Toolchain{Identity: toolchains.Identity{Family: argv.GCC, Target: "riscv64-linux-gnu", Version: "12.2.0"}, Path: "/usr/bin/riscv64-linux-gnu-gcc-12", CXXPath: "/usr/bin/riscv64-linux-gnu-g++-12"}
	own := toolchains.Toolchain{Identity: toolchains.Identity{Family: argv.GCC, Target: "x86_64-linux-gnu", Version: "11.3.0"}, Path: "/usr/bin/gcc-11"}
	clang := toolchains.Toolchain{Identity: toolchains.Identity{Family: argv.Clang, Target: "x86_64-pc-linux-gnu", Version: "14.0.6"}, Path: "/usr/bin/clang-14", Targets: []string{"x86-64", "riscv64"}}
	far := own // the gcc of an image for another machine
	far.Target = "aarch64-linux-gnu"
	if machines[runtime.GOARCH] == far.Target {
		far.Target = "riscv64-linux-gnu"
	}
	own.Target = machines[runtime.GOARCH]
	clang.Target = own.Target
	abroad := clang
	abroad.Target = far.Target
	derived := own // what -m32 makes of it
	derived.Target, derived.Derived = "i686-linux-gnu", []string{"-m32"}
	musl := own
	musl.Target = strings.Replace(own.Target, "gnu", "musl", 1)
	for _, tt := range []struct {
		name string
		tc   toolchains.Toolchain
		want bool
	}{
		{"gcc", derived, false},
		{"i686-linux-gnu-gcc", derived, false},
		{"gcc", far, false},
		{"clang", abroad, false},
		{"gcc", musl, true},
		{"riscv64-unknown-linux-gnu-gcc", cross, true},
		{"riscv64-linux-gnu-gcc-12", cross, true},
		{"riscv64-linux-gnu-gcc-12.2", cross, true},
		{"riscv64-linux-gnu-gcc-1", cross, false},
		{"riscv64-linux-gnu-gcc-11", cross, false},
		{"riscv64-linux-gnu-g++", cross, true},
		{"riscv64-linux-gnu-clang", cross, false},
		{"riscv64-linux-musl-gcc", cross, false},
		{"gcc", cross, false},
		{"cc", cross, false},
		{"gcc", own, true},
		{"cc", own, true},
		{"gcc-11", own, true},
		{"gcc-12", own, false},
		{"g++", own, false},
		{"clang", own, false},
		{"clang", clang, true},
		{"clang++-14", clang, true},
		{"cc", clang, true},
	} {
		d, ok := argv.ParseDriver(tt.name)
		if !ok {
			t.Fatalf("%s is no driver", tt.name)
		}
		if got := (&Command{driver: d, said: saidTarget(d, nil)}).means(tt.tc); got != tt.want {
			t.Errorf("%s means %s: %v, want %v", tt.name, tt.tc.Path, got, tt.want)
		}
	}
}

// A language that the image has no compiler for is an error that says so.
func TestSpeaks(t *testing.T) {
	for words, want := range map[string]string{"gcc -c a.c": "", "gcc -c a.S": "", "gcc -c a.s": "", "gcc a.o -o p": "", "gcc -E a.cc": "no compiler for c++", "gcc a.c b.cc -o p": "no compiler for c++", "gcc -c a.m": "no compiler for objective-c"} {
		args := strings.Fields(words)
		read, err := task.ReadNamed(args[0], args[1:], argv.Env{})
		if err != nil {
			t.Fatal(err)
		}
		p := &Command{task: read, tc: toolchains.Toolchain{Path: "/usr/bin/gcc", Languages: []argv.Language{argv.C}}}
		f, refused := errors.AsType[*reason.Failure](p.speaks())
		if refused != (want != "") || refused && (!strings.Contains(f.Text, want) || f.Status != reason.ExitNoCompiler) {
			t.Errorf("%s: %+v", words, f)
		}
	}
}

func TestSaidTarget(t *testing.T) {
	for name, tt := range map[string]struct {
		words []string
		want  string
	}{
		"by its name":       {[]string{"riscv64-linux-gnu-gcc", "-c", "a.c"}, "riscv64-linux-gnu"},
		"by clang's option": {[]string{"clang", "--target=aarch64-linux-gnu", "-c"}, "aarch64-linux-gnu"},
		"by its other form": {[]string{"x86_64-linux-gnu-clang", "-target", "aarch64-linux-gnu"}, "aarch64-linux-gnu"},
		"by nothing":        {[]string{"gcc", "-c", "a.c"}, ""},
		"an operand's":      {[]string{"riscv64-linux-gnu-gcc", "--target=x"}, "riscv64-linux-gnu"},
	} {
		d, _ := argv.ParseDriver(tt.words[0])
		if got := saidTarget(d, tt.words); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A linker's map says the name that the build said.
func TestNameInMap(t *testing.T) {
	read, err := task.Read([]string{"a.o", "-o", "dir/my prog", "-Wl,-Map=x.map"}, argv.Env{})
	if err != nil {
		t.Fatal(err)
	}
	p := &Command{task: read, s: &session.Session{Client: &local.Client{}}, helpers: []fleet.Imaged{}}
	res := broker.Result{Outputs: []broker.Output{{Path: task.MapOutput, Blob: broker.BytesBlob([]byte("LOAD a.o\nOUTPUT(/.crosscc/1 elf64-littleriscv)\n"))}}}
	if err := p.nameInMap(&res); err != nil {
		t.Fatal(err)
	}
	got, err := res.Outputs[0].Blob.Bytes(1000)
	if want := "LOAD a.o\nOUTPUT(dir/my prog elf64-littleriscv)\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// So does its rule for make.
func TestRuleFor(t *testing.T) {
	p := &Command{s: &session.Session{Client: &local.Client{}}}
	got, err := p.ruleFor("lib/x.so", []byte("/.crosscc/2.so: \\\n  a.o\n\na.o:\n"))
	if want := "lib/x.so: \\\n  a.o\n\na.o:\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if _, err := p.ruleFor("my prog", nil); err == nil {
		t.Error("a name that linkers write in ways of their own is taken")
	}
}

// A bare clang that is told its target needs none of this machine's.
func TestMeansTold(t *testing.T) {
	d, _ := argv.ParseDriver("clang")
	tc := toolchains.Toolchain{Identity: toolchains.Identity{Family: argv.Clang, Target: "s390x-linux-gnu"}, Path: "/usr/bin/clang-14", Targets: []string{"x86-64", "riscv64"}}
	for target, want := range map[string]bool{"riscv64-linux-gnu": true, "x86_64-linux-gnu": true, "aarch64-linux-gnu": false} {
		if got := (&Command{driver: d, said: saidTarget(d, []string{"--target=" + target})}).means(tc); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
}

// What an image's tools would not be told is not left out.
func TestUnsaid(t *testing.T) {
	for kind, want := range map[task.Kind]bool{task.ToolRun: true, task.Link: true, task.Preprocess: false} {
		for env, set := range map[string]bool{"GNUTARGET=srec": true, "LDEMULATION=elf_i386": true, "GNUTARGET=": false, "X=y": false} {
			p := &Command{task: &task.Task{Kind: kind}, s: &session.Session{Client: &local.Client{Request: local.Request{Env: []string{env}}}}}
			if got := p.unsaid() != nil; got != (want && set) {
				t.Errorf("%s, %s: %v", kind, env, got)
			}
		}
	}
}
