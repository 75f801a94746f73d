package argv

import (
	"slices"
	"strings"
	"testing"
)

func TestSplitCommand(t *testing.T) {
	for _, tc := range []struct {
		driver, args string
		compiles     []string
		link         string // with objects o0, o1
	}{
		{"gcc", "-O2 -c a.c b/b.c", []string{"-O2 -c a.c", "-O2 -c b/b.c"}, ""},
		{"gcc", "-MD a.c -g -c -x c++ b.c -Ix", []string{"-MD -g -Ix -c a.c", "-MD -g -Ix -x c++ -c b.c"}, ""},
		{"gcc", "-S a.c b.s", nil, ""},
		{"gcc", "-S a.c b.cc", []string{"-S a.c", "-S b.cc"}, ""},
		{"gcc", "a.c", []string{"-c a.c -o split0.o"}, "o0"},
		{"gcc", "-O2 -Wall a.c x.o b.c -L. -lfoo -o prog", []string{"-O2 -Wall -L. -lfoo -c a.c -o split0.o", "-O2 -Wall -L. -lfoo -c b.c -o split1.o"},
			"-O2 -Wall o0 x.o o1 -L. -lfoo -o prog"},
		{"g++", "-x c a.c -x none b.cc libx.a -o p", []string{"-x c -c a.c -o split0.o", "-x none -c b.cc -o split1.o"}, "o0 o1 libx.a -o p"},
		{"gcc", "-MD -g a.c -o d/prog.x", []string{"-MD -g -c a.c -o split0.o -MF d/prog.d -MQ d/prog.x"}, "-MD -g o0 -o d/prog.x"},
		{"gcc", "-MMD -MF f.d -MT t a.c -o prog", []string{"-MMD -MF f.d -MT t -c a.c -o split0.o"}, "-MMD -MF f.d -MT t o0 -o prog"},
		// What is not exact so is left alone.
		{"gcc", "-MD a.c b.c -o prog", nil, ""},
		{"gcc", "-MD a.c", nil, ""},
		{"gcc", "-Wp,-MD,x.d a.c -o prog", nil, ""},
		{"gcc", "-c a.c b.o", nil, ""},
		{"gcc", "-c a.c b.c -o x.o", nil, ""},
		{"gcc", "-c a.c b/a.c", nil, ""},
		{"gcc", "-c a.c a.h", nil, ""},
		{"gcc", "-c -MD -MF x.d a.c b.c", nil, ""},
		{"gcc", "-c -Wp,-MD,x.d a.c b.c", nil, ""},
		{"gcc", "-c -MD -MF ./b.o a.c b.c", nil, ""},
		{"gcc", "-c a.c -x c -", nil, ""},
		{"gcc", "a.o b.o -o prog", nil, ""},
		{"gcc", "a.c -o prog -x c", nil, ""},
		{"gcc", "-v a.c -o prog", nil, ""},
		{"gcc", "-flto -frandom-seed=1 a.c -o prog", nil, ""},
		{"gcc", "-fstack-usage a.c -o prog", nil, ""},
		{"gcc", "-aux-info x a.c b.c -c", nil, ""},
		{"gcc", "-o prog conftest.c", nil, ""},
		{"gcc", "a.c b.f90 -o prog", nil, ""},
		{"gcc", "-fprofile-use a.c b.c -o prog", nil, ""},
		{"gcc", "-fprofile-use=dir a.c -o prog", nil, ""},
		{"g++", "-x c a.c -x none b.c -o p", nil, ""},
		{"g++", "-x c a.c b.c -o p", nil, ""},
		{"g++", "-x c++ a.c b.c -c", []string{"-x c++ -c a.c", "-x c++ -c b.c"}, ""},
		{"g++", "-x c++ a.c b.c d.s -c", nil, ""},
		{"g++", "a.c -x none b.cc -c", []string{"-c a.c", "-x none -c b.cc"}, ""},
		{"gcc", "-x c a.c -x none b.c -c", []string{"-x c -c a.c", "-x none -c b.c"}, ""},
		{"gcc", "-fsyntax-only a.c b.c", nil, ""},
		// clang names dependencies otherwise, and speaks of words that are of no use.
		{"clang", "-O2 a.c -Lx -lm -o prog", []string{"-O2 -Qunused-arguments -c a.c -o split0.o"}, "-Qunused-arguments -O2 o0 -Lx -lm -o prog"},
		{"clang", "-c a.c b.c -lm", []string{"-lm -c a.c", "-lm -c b.c"}, ""},
		{"clang++", "-MMD -xc++ a.c -xnone d/b.cc", []string{
			"-MMD -Qunused-arguments -x c++ -c a.c -o split0.o -MF a.d -MQ a.o", "-MMD -Qunused-arguments -x none -c d/b.cc -o split1.o -MF b.d -MQ b.o",
		}, "-Qunused-arguments -MMD o0 o1"},
		{"clang", "-MD a.c -o d/p.x", []string{"-MD -Qunused-arguments -c a.c -o split0.o -MF d/p.d -MQ d/p.x"}, "-Qunused-arguments -MD o0 -o d/p.x"},
		{"clang", "-fprofile-instr-generate a.c", []string{"-fprofile-instr-generate -Qunused-arguments -c a.c -o split0.o"},
			"-Qunused-arguments -fprofile-instr-generate o0"},
		{"clang", "-MD a.c d/a.c", nil, ""},
		{"clang", "-MD -MF x.d a.c b.c", nil, ""},
		{"clang", "-MD a.c b.c -o p", nil, ""},
		{"clang", "-flto a.c -o prog", nil, ""},
		{"clang", "--coverage a.c -o prog", nil, ""},
		{"clang", "-E a.c b.c", nil, ""},
	} {
		env := envFor(t, tc.driver)
		s := Parse(cmd(tc.args), env).Split(env)
		if (s == nil) != (tc.compiles == nil) {
			t.Errorf("%s: split %v, want %q", tc.args, s, tc.compiles)
			continue
		}
		if s == nil {
			continue
		}
		if len(s.Compiles) != len(tc.compiles) {
			t.Fatalf("%s: %d compiles, want %q", tc.args, len(s.Compiles), tc.compiles)
		}
		if got := s.String(); !strings.Contains(got, "compile") || strings.Contains(got, "link") != s.Links {
			t.Errorf("%s is called %q", tc.args, got)
		}
		for i, part := range s.Compiles {
			if got := part.Words(); !slices.Equal(got, cmd(tc.compiles[i])) || !part.Verdict().Remote {
				t.Errorf("%s: compile %q, %+v, want %s", tc.args, got, part.Verdict(), tc.compiles[i])
			}
		}
		if s.Links != (tc.link != "") || s.Links && !slices.Equal(s.Link([]string{"o0", "o1"}), cmd(tc.link)) {
			t.Errorf("%s: links %v, want %s", tc.args, s.Links, tc.link)
		}
	}
}
