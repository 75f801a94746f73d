package allow

import (
	"strings"
	"testing"
)

// Whole commands are in argv's tests of Admit; here are the words that lie next to one that is permitted.
func TestLists(t *testing.T) {
	assembler := func(s string) bool { return Assembler(strings.Split(s, ","), false) }
	text := func(s string) bool { return Assembler(strings.Split(s, ","), true) }
	cc1 := func(s string) bool { return BadCC1(strings.Fields(s), false) == "" }
	job := func(s string) bool { return BadCC1(strings.Fields(s), true) == "" }
	for _, tc := range []struct {
		name     string
		list     func(string) bool
		yes, not []string
	}{
		{"Word", Word, []string{"-O2", "-gdwarf-5", "-fmax-errors=3", "-march=armv8-a+crc", "-fdebug-prefix-map=/a=@b", "-fdebug-compilation-dir /x"},
			[]string{"-O2\x00", "-fplugin=x", "-fmax-errors=/x", "-fdump-passes", "-mllvm", "-g=/x", "-fdebug-compilation-dir ", "--param x=/y", "@x"}},
		{"Whole", Whole, []string{"-ftime-trace", "-ftime-trace-granularity=10", "-gsplit-dwarf", "-fsanitize=address,undefined", "-aux-info x"},
			[]string{"-ftime-trace=x", "-gsplit-dwarf=single", "-fsanitize=/x", "-aux-info @x", "-save-temps=cwd", "-O2"}},
		{"LLVM", LLVM, []string{"-unroll-threshold=50", "-asan-globals=0"}, []string{"-print-after-all", "-asan-x=/etc/passwd", "-load=x"}},
		{"Assembler", assembler, []string{"--noexecstack", "-march=armv8-a,--warn"}, []string{"-a=x", "@x", "--gdwarf-5", "-march=native", "-mllvm"}},
		{"Assembler of its own text", text, []string{"--gdwarf-5", "-g"}, []string{"-gx", "--gdwarf-5,-al"}},
		{"BadCC1", cc1, []string{"", "-target-feature +crc", "-internal-isystem /x", "-fmacro-prefix-map=/a=b"},
			[]string{"-target-feature", "-target-feature @x", "-load x", "-split-dwarf-file x", "-internal-isystem"}},
		{"BadCC1 of a job", job, []string{"-split-dwarf-file x.dwo", "-coverage-data-file x"}, []string{"-split-dwarf-file -load", "-coverage-data-file"}},
	} {
		for _, s := range tc.yes {
			if !tc.list(s) {
				t.Errorf("%s: %q is refused", tc.name, s)
			}
		}
		for _, s := range tc.not {
			if tc.list(s) {
				t.Errorf("%s: %q is permitted", tc.name, s)
			}
		}
	}
}
