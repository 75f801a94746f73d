package triple

// A Derivation is a target that a gcc for another one serves when it is told Words.
type Derivation struct {
	Target string // canonical
	Words  []string
}

// derivedRule says by which words a gcc for one architecture becomes one for
// another, on Linux and with the same library. Whether it makes the same there is
// for calibration to say.
type derivedRule struct {
	From, To string
	Words    []string
	Notes    string
}

var derivedRules = [...]derivedRule{
	{"x86_64", "i686", []string{"-m32"}, "code is generated without multilib's libraries too; gcc's own default of -march is Debian's i686, or x86-64"},
	{"powerpc64", "powerpc", []string{"-m32"}, "Debian's is for power4 by its tables, which no word turns into a powerpc gcc's defaults: refused where they differ"},
	{"s390x", "s390", []string{"-m31"}, "31-bit; distributions dropped it about 2015"},
	{"sparc64", "sparc", []string{"-m32"}, "sparcv8plus by default"},
}

// Derivations are the targets that a gcc for target serves besides its own, and the
// words for each.
func Derivations(target string) []Derivation {
	t, err := Parse(Canonical(target))
	if err != nil || t.OS != "linux" || t.Env != "gnu" && t.Env != "musl" {
		return nil
	}
	var list []Derivation
	for _, r := range derivedRules {
		if r.From == t.Arch {
			to := t
			to.Arch = r.To
			list = append(list, Derivation{Target: to.Canonical(), Words: r.Words})
		}
	}
	return list
}
