package argv

import (
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv/option"
)

func TestOutputs(t *testing.T) {
	for _, tc := range []struct{ driver, args, want string }{
		{"gcc", "-c dir/a.c", "a.o=out.o"},
		{"gcc", "-S dir/a.c", "a.s=out.o"},
		{"gcc", "-MD -c dir/a.c -o b/x.o", "b/x.d=out.d b/x.o=out.o"},
		{"gcc", "-fstack-usage -fcallgraph-info=su,da -c dir/a.c", "a.su=out.su a.ci=out.ci a.o=out.o"},
		{"gcc", "-fstack-usage -c dir/a.c -o b/x.y.o", "b/x.y.su=out.su b/x.y.o=out.o"},
		{"gcc", "-fstack-usage -c dir/a.c -o b/x", "b/x.su=out.su b/x=out.o"},
		{"clang", "-fsave-optimization-record -fno-save-optimization-record -c a.c", "a.o=out.o"},
		{"gcc", "-frandom-seed=1 --coverage -c a.c -o b/x.o", "b/x.gcno=out.gcno b/x.o=out.o"},
		{"gcc", "-frandom-seed=1 --coverage -fno-test-coverage -c a.c", "a.gcno=out.gcno a.o=out.o"},
		{"clang", "-ftest-coverage --coverage -fno-test-coverage -c a.c", "a.gcno=out.gcno a.o=out.o"},
		{"gcc", "-frandom-seed=1 -ftest-coverage -fno-test-coverage -c a.c", "a.o=out.o"},
		{"gcc", "-fopt-info-vec=v.txt -aux-info p.txt -c a.c", "v.txt=named0 p.txt=named1 a.o=out.o"},
		{"gcc", "-fopt-info-vec -c a.c", "a.o=out.o"},
		{"clang", "-Rpass=.* -mllvm -asan-stack=1 -c a.c", "a.o=out.o"},
		{"gcc", "-fopt-info-vec=stderr -c a.c", "a.o=out.o"},
		{"clang", "--serialize-diagnostics d.dia -fsave-optimization-record -c a.c -o b/x.o", "b/x.opt.yaml=out.opt.yaml d.dia=named0 b/x.o=out.o"},
		{"clang", "-g -gsplit-dwarf -c a.c -o b/x.o", "b/x.dwo=out.dwo b/x.o=out.o"},
		{"clang", "-g -gsplit-dwarf -gno-split-dwarf -c a.c -o b/x.o", "b/x.o=out.o"},
		{"clang", "--coverage -c a.c", "a.gcno=out.gcno a.o=out.o"},
		{"clang", "-ftime-trace -ftime-trace-granularity=10 -c s/a.c", "a.json=out.json a.o=out.o"},
		{"clang", "-ftime-trace -S s/a.c -o b/x.y.s", "b/x.y.json=out.json b/x.y.s=out.o"},
		{"gcc", "-O2 -g -gsplit-dwarf -O0 -c a.c", "a.dwo=out.dwo a.o=out.o"},
		{"gcc", "-O2 -g1 -gsplit-dwarf -c a.c", "a.dwo=out.dwo a.o=out.o"},
		{"gcc", "-O2 -g -gsplit-dwarf -fno-var-tracking -c a.c", "a.dwo=out.dwo a.o=out.o"},
		{"gcc", "-gsplit-dwarf -c s/a.c", "a.dwo=out.dwo a.o=out.o"},
		{"gcc", "-gsplit-dwarf -g0 -c s/a.c -o b/x.o", "b/x.dwo=out.dwo b/x.o=out.o"},
		{"gcc", "-gsplit-dwarf -S s/a.c -o b/x.s", "b/x.s=out.o"},
		{"gcc", "-gsplit-dwarf -g -gno-split-dwarf -c a.c", "a.o=out.o"},
	} {
		env := envFor(t, tc.driver)
		c := Parse(cmd(tc.args), env)
		if v := c.Verdict(); !v.Remote {
			t.Errorf("%s: %+v", tc.args, v)
			continue
		}
		var got []string
		for _, o := range c.Outputs("out.o", "out.d") {
			got = append(got, o.Name+"="+o.Job)
		}
		if !slices.Equal(got, strings.Fields(tc.want)) {
			t.Errorf("%s makes %q, want %s", tc.args, got, tc.want)
		}
		env.Job = true
		sent := Parse(c.Whole("out.o", "out.d", c.NameWords("/w")...), env)
		checkOutputs(t, c, sent)
		if err := AdmitWhole(sent); err != nil {
			t.Errorf("%s: %v", tc.args, err)
		}
	}
}

// The object holds the names of some outputs: the helper's compiler is told those that the build uses.
func TestNameWords(t *testing.T) {
	for _, tc := range []struct{ driver, args, want, written string }{
		{"gcc", "-O2 -g -c a.c -o b/x.o", "", ""},
		{"gcc", "-fprofile-arcs -frandom-seed=1 -c s/a.c -o b/x.o", "-dumpdir b/ -dumpbase x.c -dumpbase-ext .c", ""},
		{"gcc", "--coverage -frandom-seed=1 -c s/a.cc -o b/x.o", "-dumpdir b/ -dumpbase x.cc -dumpbase-ext .cc", "b/x.gcno"},
		{"gcc", "--coverage -fstack-usage -frandom-seed=1 -c s/a.c", "-dumpdir ∅ -dumpbase a.c -dumpbase-ext .c", "a.su a.gcno"},
		{"clang", "--coverage -c s/a.c -o b/x.o", "-Xclang -coverage-data-file -Xclang /w/b/x.gcda", ""},
		{"clang", "--coverage -fno-profile-arcs -c s/a.c -o b/x.o", "-Xclang -coverage-data-file -Xclang /w/b/x.gcda", ""},
		{"clang", "--coverage -c s/a.c -o /b/x.o", "-Xclang -coverage-data-file -Xclang /b/x.gcda", ""},
		{"gcc", "-g -gsplit-dwarf -MD -c s/a.c -o b/x.o", "-dumpdir b/ -dumpbase x.c -dumpbase-ext .c", "b/x.dwo"},
		{"gcc", "-g -gsplit-dwarf -S s/a.c", "-dumpdir ∅ -dumpbase a.c -dumpbase-ext .c", ""},
		{"clang", "-g -gsplit-dwarf -c s/a.c -o b/x.o", "-Xclang -split-dwarf-file -Xclang b/x.dwo", ""},
	} {
		env := envFor(t, tc.driver)
		c := Parse(cmd(tc.args), env)
		words := c.NameWords("/w")
		if !slices.Equal(words, strings.Split(strings.ReplaceAll(tc.want, "∅", ""), " ")) && len(words)+len(tc.want) > 0 {
			t.Errorf("%s: %q, want %s", tc.args, words, tc.want)
		}
		if len(words) > 0 && Parse(append(slices.Clone(words), cmd(tc.args)...), env).Verdict().Remote {
			t.Errorf("%s: a user's own %q may be sent", tc.args, words)
		}
		env.Job = true
		var written []string
		for _, o := range Parse(c.Whole("out.o", "out.d", words...), env).Outputs("/o/0.o", "/o/1.d") {
			if o.Written != "" {
				written = append(written, o.Written)
			}
		}
		if !slices.Equal(written, strings.Fields(tc.written)) {
			t.Errorf("%s: written at %q, want %s", tc.args, written, tc.written)
		}
	}
}

// What is exact in tree form alone says so.
func TestOnlyTree(t *testing.T) {
	for _, tc := range []struct {
		driver, args string
		want         Reason
	}{
		{"gcc", "-O2 -g -c a.c", ""}, {"gcc", "-flto -fno-lto -c a.c", ""}, {"gcc", "-flto -frandom-seed=1 -c a.c", option.LTO}, {"clang", "-flto=thin -c a.c", option.LTO},
		{"gcc", "-fsanitize=address -c a.c", option.Sanitizer}, {"gcc", "-S -fverbose-asm a.c", option.RecordedCommand}, {"gcc", "-frecord-gcc-switches -c a.c", option.RecordedCommand},
		{"gcc", "-fdiagnostics-format=json -c a.c", option.DiagnosticsFormat}, {"gcc", "-fdiagnostics-parseable-fixits -c a.c", option.DiagnosticsFormat},
		{"gcc", "-c a.s", option.Assembler}, {"clang", "-c a.S", option.Assembler},
		{"gcc", "-fstack-usage -c a.c", option.ExtraOutput}, {"gcc", "-fopt-info -c a.c", option.ExtraOutput}, {"clang", "--serialize-diagnostics x -c a.c", option.ExtraOutput},
		{"clang", "-fprofile-instr-generate -fcoverage-mapping -c a.c", option.Profile}, {"gcc", "-fprofile-use -c a.c", option.Profile},
		{"clang", "-fsanitize-ignorelist=x -c a.c", option.Sanitizer},
	} {
		c := Parse(cmd(tc.args), envFor(t, tc.driver))
		if got, _ := c.OnlyTree(); !c.Verdict().Remote || got != tc.want {
			t.Errorf("%s %s: %+v, only a tree: %q, want %q", tc.driver, tc.args, c.Verdict(), got, tc.want)
		}
		if tc.want == "" {
			continue
		}
		words := c.Words()
		if !c.Language().Assembles() {
			words = append([]string{"-x", "cpp-output"}, words...)
		}
		job := Parse(append(words, "-o", "a.o"), Env{Family: c.Family(), Job: true})
		if err := Admit(job); err == nil {
			t.Errorf("%s: admitted as preprocessed text", tc.args)
		}
	}
}

// A profile's name follows from the output's, or is given.
func TestReads(t *testing.T) {
	for _, tc := range []struct{ driver, args, want string }{
		{"gcc", "-O2 -c a.c", ""}, {"gcc", "-fprofile-use -c s/a.c", "a.gcda"}, {"gcc", "-fprofile-use -c s/a.c -o b/x.o", "b/x.gcda"},
		{"gcc", "-fprofile-use=p -c s/a.c -o b/x.o", "p/#w#d#b#x.gcda"}, {"gcc", "-fprofile-use=/p -c s/a.c -o /b/x.o", "/p/#b#x.gcda"},
		{"gcc", "-fprofile-use=p -c s/a.c -o ../x.o", "?"}, {"clang", "-fprofile-use -c a.c", "default.profdata"},
		{"clang", "-fprofile-instr-use=p -fsanitize-ignorelist=i -c a.c", "p p/default.profdata i i/default.profdata"},
	} {
		got, ok := Parse(cmd(tc.args), envFor(t, tc.driver)).Reads("/w/d")
		if !ok {
			got = []string{"?"}
		}
		if !slices.Equal(got, strings.Fields(tc.want)) {
			t.Errorf("%s %s: reads %q, want %s", tc.driver, tc.args, got, tc.want)
		}
	}
}

// What reads or writes files besides is compared with nothing: the files would be another source's.
func TestFilesHaveNoCodeWords(t *testing.T) {
	for args, want := range map[string]bool{
		"-O2 -fsanitize=address": true, "-O2 -fverbose-asm": true, "-aux-info x": false, "-fopt-info-vec=x": false, "-fstack-usage": false,
		"--coverage -frandom-seed=1": false, "-fprofile-use": false,
	} {
		c := Parse(append(strings.Fields(args), "-c", "a.c"), Env{Family: GCC})
		if _, ok := c.CodeWords(); ok != want || !c.Verdict().Remote {
			t.Errorf("%s: code words %v, want %v, %+v", args, ok, want, c.Verdict())
		}
	}
}
