package argv

import (
	"reflect"
	"strings"
	"testing"
)

func TestPreprocessor(t *testing.T) {
	tests := []struct {
		words string
		want  []Option
	}{
		{"-c a.c -O2", nil},
		{"-c -Ia -I b a.c -DX=1 -U Y", []Option{{"-I", "a"}, {"-I", "b"}, {"-D", "X=1"}, {"-U", "Y"}}},
		{"-c -I- -isystem s -isystemt -iquote q -idirafter=x a.c",
			[]Option{{"-I-", ""}, {"-isystem", "s"}, {"-isystem", "t"}, {"-iquote", "q"}, {"-idirafter", "=x"}}},
		{"-c --include-directory=x --sysroot=/r --sysroot /q --no-standard-includes a.c",
			[]Option{{"-I", "x"}, {"--sysroot", "/r"}, {"--sysroot", "/q"}, {"-nostdinc", ""}}},
		{"-c -Wp,-I,w,-DZ,-MD,f -Xpreprocessor -Iv -include i.h -imacros m.h a.c",
			[]Option{{"-include", "i.h"}, {"-imacros", "m.h"}, {"-I", "w"}, {"-D", "Z"}, {"-I", "v"}}},
		{"-c -iprefix p/ -iwithprefix a -iwithprefixbefore b -trigraphs a.c",
			[]Option{{"-iprefix", "p/"}, {"-iwithprefix", "a"}, {"-iwithprefixbefore", "b"}, {"-trigraphs", ""}}},
	}
	for _, tt := range tests {
		c := Parse(strings.Fields(tt.words), Env{Driver: Driver{Family: GCC}})
		if got := c.Preprocessor(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.words, got, tt.want)
		}
		if c.Family() != GCC {
			t.Errorf("family %v", c.Family())
		}
	}
}
