package parts

import (
	"strings"
	"testing"
)

func TestSameCommands(t *testing.T) {
	words := func(lines ...string) (out [][]string) {
		for _, l := range lines {
			out = append(out, strings.Fields(l))
		}
		return out
	}
	alone := words("clang -cc1 -E -o /tmp/a-1.s a.S", "clang -cc1as -o a.o /tmp/a-1.s")
	for _, tc := range []struct {
		in   [][]string
		want bool
	}{
		{words("clang -cc1 -E -o /tmp/a-2.s a.S", "clang -cc1as -o /tmp/a-3.o /tmp/a-2.s"), true},
		{words("clang -cc1 -E -o /tmp/a-2.s a.S", "clang -cc1as -mrelax-all -o /tmp/a-3.o /tmp/a-2.s"), false},
		{words("clang -cc1 -E -o /tmp/a-2.s a.S", "clang -cc1as -o /tmp/a-3.o /tmp/b-2.s"), false},
		{words("clang -cc1 -E -o /tmp/a-2.s b.S", "clang -cc1as -o /tmp/a-3.o /tmp/a-2.s"), false},
		{words("clang -cc1 -E -o /tmp/a-2.s a.S"), false},
	} {
		if got := sameCommands(tc.in, alone); got != tc.want {
			t.Errorf("%q is the same: %t", tc.in, got)
		}
	}
}
