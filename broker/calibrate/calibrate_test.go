package calibrate

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
)

// local is a compiler of this machine as a side. edit may change what it is given.
func local(t *testing.T, program string, words []string, edit func(u Unit) Unit) Compiler {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%v (see e2e/install.sh test)", err)
	}
	return func(ctx context.Context, u Unit) (Outcome, error) {
		if edit != nil {
			u = edit(u)
		}
		dir := t.TempDir() // one name a compile: debug information has to be mapped
		if err := os.WriteFile(filepath.Join(dir, "corpus.c"), u.Source, 0o644); err != nil {
			return Outcome{}, err
		}
		args := slices.Concat(words, u.Words, []string{"-fdebug-prefix-map=" + dir + "=/crosscc", "-x", u.Language.XName(), "-c", "corpus.c", "-o", "out.o"})
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C", "PWD="+dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err := cmd.Run()
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			return Outcome{Status: e.ExitCode(), Stderr: stderr.Bytes()}, nil
		}
		if err != nil {
			return Outcome{}, err
		}
		object, err := os.ReadFile(filepath.Join(dir, "out.o"))
		return Outcome{Object: object}, err
	}
}

// replacing gives the compiler another text.
func replacing(old, by string) func(Unit) Unit {
	return func(u Unit) Unit {
		u.Source = bytes.ReplaceAll(u.Source, []byte(old), []byte(by))
		return u
	}
}

// A compiler is the same as itself, under any options that people use.
func TestSameCompiler(t *testing.T) {
	for _, tc := range []struct {
		program, words string
		lang           argv.Language
		omitted        string // a piece that these options do not allow
	}{
		{"gcc-12", "-O2", argv.C, ""},
		{"gcc-12", "-O3 -g -std=c89 -fstack-protector-strong -fstack-clash-protection -fcf-protection", argv.C, ""},
		{"gcc-12", "-O1 -m32 -fPIC", argv.C, ""},
		{"gcc-12", "-O2 -mgeneral-regs-only -mno-sse -mcmodel=kernel -fno-pie", argv.C, "floats"},
		{"g++-12", "-Os -g3 -std=c++20 -fcoroutines", argv.CXX, ""},
		{"g++-12", "-O2 -std=c++98 -fno-exceptions -fno-rtti", argv.CXX, ""},
		{"aarch64-linux-gnu-gcc-12", "-O2 -mgeneral-regs-only", argv.C, "floats"},
		{"aarch64-linux-gnu-g++-12", "-O2", argv.CXX, ""},
		{"riscv64-linux-gnu-gcc", "-O2 -g", argv.C, ""},
		{"arm-linux-gnueabihf-gcc", "-O2 -mthumb", argv.C, ""},
		{"clang-14", "-O2 -g", argv.C, ""},
		{"clang++-14", "-O2 -std=c++20", argv.CXX, ""},
		{"clang-14", "-O2", argv.ObjC, ""},
	} {
		family := argv.GCC
		if strings.HasPrefix(tc.program, "clang") {
			family = argv.Clang
		}
		side := local(t, tc.program, strings.Fields(tc.words), nil)
		r, err := Calibrate(t.Context(), family, tc.lang, side, side)
		if err != nil || !r.Same || r.Refused != "" || len(r.Avoid) > 0 {
			t.Errorf("%s %s: %+v, %v", tc.program, tc.words, r, err)
		}
		if (tc.omitted == "") != (len(r.Omitted) == 0) || tc.omitted != "" && !slices.Contains(r.Omitted, tc.omitted) {
			t.Errorf("%s %s: omitted %v, want %q among them", tc.program, tc.words, r.Omitted, tc.omitted)
		}
	}
}

// Each way in which two compilers may differ has its own outcome.
func TestDifferentCompilers(t *testing.T) {
	words := []string{"-O2"}
	home := local(t, "gcc-12", words, nil)
	for _, tc := range []struct {
		name    string
		away    Compiler
		refused []string // all of these are in the reason
		avoid   []string
		same    bool
	}{
		{"revision", local(t, "gcc-12", append(words, "-fno-ident"), nil), []string{".comment"}, nil, false},
		{"stack protector", local(t, "gcc-12", append(words, "-fstack-protector-strong"), nil), []string{".text", "calls_small"}, nil, false},
		{"version", local(t, "gcc-11", words, nil), []string{"differ"}, nil, false},
		{"one attribute", local(t, "gcc-12", words, replacing("__attribute__((noinline)) static", "static")), nil, []string{"noinline"}, false},
		{"two attributes", local(t, "gcc-12", words, func(u Unit) Unit {
			return replacing(`__attribute__((returns_twice)) int ar_twice`, "int ar_twice")(replacing("__attribute__((ms_abi))", "")(u))
		}), nil, []string{"fastcall", "ms_abi", "regparm", "returns_twice", "sseregparm", "stdcall", "sysv_abi"}, false},
		{"a pragma that no word gives away", local(t, "gcc-12", words, replacing("#pragma GCC unroll 4", "")), []string{"pl_loops"}, nil, false},
		{"a macro", local(t, "gcc-12", append(words, "-D_FORTIFY_SOURCE=2"), nil), []string{"_FORTIFY_SOURCE"}, nil, false},
		{"it takes less", local(t, "gcc-12", append(words, "-std=nonsense"), nil), []string{"does not take", "nonsense"}, nil, false},
	} {
		r, err := Calibrate(t.Context(), argv.GCC, argv.C, home, tc.away)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if (len(tc.refused) == 0) != (r.Refused == "") || r.Same || !slices.Equal(r.Avoid, tc.avoid) {
			t.Errorf("%s: %+v, want avoided %v", tc.name, r, tc.avoid)
		}
		for _, text := range tc.refused {
			if !strings.Contains(r.Refused, text) {
				t.Errorf("%s: refused because %q, want %q in it", tc.name, r.Refused, text)
			}
		}
	}
}

// What could not be asked is no result.
func TestNotAsked(t *testing.T) {
	home := local(t, "gcc-12", nil, nil)
	gone := errors.New("gone")
	away := func(context.Context, Unit) (Outcome, error) { return Outcome{}, gone }
	if r, err := Calibrate(t.Context(), argv.GCC, argv.C, home, away); !errors.Is(err, gone) || r.Refused != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

// Every piece says what it is for, and is called by a name of its own.
func TestCorpus(t *testing.T) {
	for _, lang := range []argv.Language{argv.C, argv.CXX} {
		seen := map[string]bool{}
		for _, p := range Corpus(lang) {
			if p.Note == "" || p.Code == "" || seen[p.Name] || !complaint.MatchString(p.Name+":1:2: error: x") {
				t.Errorf("piece %q: note %q", p.Name, p.Note)
			}
			seen[p.Name] = true
		}
		if len(seen) < 40 {
			t.Errorf("%v has %d pieces", lang, len(seen))
		}
	}
}
