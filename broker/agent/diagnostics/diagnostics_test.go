package diagnostics

import (
	"errors"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
)

// Words of a tree's compile are the local compiler's where nothing of the helper is in
// them; a failure is the source's only where the compiler says so.
func TestOfTree(t *testing.T) {
	const good, wrong = "a.c:1:1: warning: unused variable 'a'\n", "a.c:1:1: error: expected ';'\n"
	for _, tt := range []struct {
		words, env  string
		exit        int
		said        string
		want        broker.Reason
		otherLocale bool
	}{
		{said: ""},
		{said: good},
		{exit: 1, said: wrong},
		{exit: 1, said: "", want: reason.Diagnostics},
		{exit: 4, said: "", want: reason.Diagnostics},
		{exit: 1, said: wrong, words: "-fstack-usage", want: "extra-output"},
		{said: good, words: "-fstack-usage"},
		{said: good, otherLocale: true, want: reason.Diagnostics},
		{said: "", otherLocale: true},
		{said: "a.c: /tmp/ccAb12Cd.s: odd\n", want: reason.Diagnostics},
		{exit: 1, said: "a.c: Assembler messages:\na.c:1: Error: no such instruction\n", want: reason.Diagnostics},
		{exit: 1, said: "cc1: error: cannot open 'x' for writing: Read-only file system\n", want: reason.Diagnostics},
		{exit: 1, said: "clang: error: no such file\n", want: reason.Diagnostics},
		{said: good, words: "-fdiagnostics-color=always", env: "GCC_COLORS=error=1", want: reason.Diagnostics},
		{said: good, env: "GCC_COLORS=error=1"},
	} {
		c := typed(argv.GCC, "12.2.0", tt.words, tt.env, 0)
		c.Settings.ExactLocale = !tt.otherLocale
		err := OfTree(c, broker.Result{ExitCode: tt.exit, Stderr: []byte(tt.said)})
		l, ok := errors.AsType[*reason.Local](err)
		if ok != (tt.want != "") || ok && l.Reason != tt.want {
			t.Errorf("%s, status %d, %q: %v, want %q", strings.TrimSpace(tt.words+" "+tt.env), tt.exit, tt.said, err, tt.want)
		}
	}
}
