package argv

import (
	"testing"

	"github.com/crosscc/crosscc/argv/option"
)

// TestRules parses each option of the list in a plain command: those that are
// said to be local are, for their own reason.
func TestRules(t *testing.T) {
	for _, f := range []Family{GCC, Clang} {
		for _, o := range option.Rules(f) {
			words := []string{"-c", "a.c", o.Name}
			switch o.Operand {
			case option.SeparateOperand, option.EitherOperand:
				words = append(words, "operand")
			case option.JoinedOperand:
				words[2] += "operand"
			}
			v := Parse(words, Env{Family: f}).Verdict()
			if o.Local != "" && v.Reason != o.Local && v.Reason != option.Prints && v.Reason != option.Verbose {
				t.Errorf("%s %q: %+v, the list says %q", f, words, v, o.Local)
			}
		}
	}
}
