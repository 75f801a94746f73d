package toolchains

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// An Identity is what two toolchains must share to be interchangeable, as the
// compiler itself tells it. It is comparable, holds no path, and does not
// depend on the machine that the compiler runs on.
type Identity struct {
	Family    argv.Family // GCC or Clang
	Target    string      // canonical triple
	Version   string      // "12.2.0"; "12.3.1 20230526" for a snapshot, "Apple 15.0.0" for another's numbers
	Package   string      // who built it: "Debian 12.2.0-14"
	Assembler string      // first line of the assembler's --version; "" where clang assembles
	Defaults  string      // hex digest of what the compiler does unasked; clang's is the same for all its targets
	Libm      string      // clang: hex digest of how the host's libm folds; "" for gcc, which has its own arithmetic
}

// String names a toolchain for people: "gcc 12.2.0 (Debian 12.2.0-14) for aarch64-linux-gnu".
func (i Identity) String() string {
	s := fmt.Sprintf("%s %s", i.Family, i.Version)
	if i.Package != "" {
		s += " (" + i.Package + ")"
	}
	return s + " for " + i.Target
}

// Text is all of an identity in one line, for keys: String leaves parts away.
func (i Identity) Text() string {
	type fields Identity // which has no String
	return fmt.Sprintf("%+q", fmt.Sprintf("%+v", fields(i)))
}

// A Fingerprint maps the roles of a toolchain's files to the hex SHA-256 of
// their contents. It tells that a toolchain changed, or that two are the same
// files. Roles: driver, driver++, cc1, cc1plus, cc1obj, cc1objplus, as, objcopy
// (with its libraries), specs, and lib:NAME for each library but the C library's own.
type Fingerprint map[string]string

// A Toolchain is one compiler at one place for one target.
type Toolchain struct {
	Identity
	Fingerprint Fingerprint
	Path        string          // the C driver; "" when absent
	CXXPath     string          // the C++ driver of the same toolchain; "" when absent
	Languages   []argv.Language // those it can compile, of C, CXX, ObjC and ObjCXX
	Programs    []string        // what a sandbox must show for it to run; see Programs
	Targets     []string        // clang: LLVM's names of its targets; empty for gcc
	Unasked     Unasked         // gcc: what is behind Identity.Defaults
	// Derived are the words, -m32, that make this gcc of another target one for
	// Target. They stand before all of a job's; nil: it needs none.
	Derived []string
	Image   string // the image that it lies in, for people; "" for a machine's own
}

// CanTarget reports whether a compile for target is worth asking about: for gcc
// its own target and those that differ from it in the default -march, which is
// among the defaults that can be said; for clang any architecture that it was
// built for. A helper then probes with that target.
func (t Toolchain) CanTarget(target string) bool {
	if t.Family != argv.Clang {
		return triple.Kin(t.Target, target)
	}
	t3, err := triple.Parse(target)
	if err != nil {
		return false
	}
	if name := t3.LLVM(); name != "" {
		return slices.Contains(t.Targets, name)
	}
	return slices.Contains(t.Targets, t3.Arch)
}

// A Match is how well a toolchain fits a build; a higher one is better.
type Match int

const (
	None       Match = iota // not to be used
	Lines                   // same code and data, other line tables: the source's form decides, never MatchOf
	Calibrated              // same version, other revision, assembler, programs or defaults: to be proven (broker/calibrate)
	Identical               // the same bytes
)

func (m Match) String() string {
	return [...]string{"none", "lines", "calibrated", "identical"}[m]
}

// MatchOf compares the toolchain that a build uses with one that a helper has,
// for a source in lang and a command with these words. Calibrated says only that
// it is worth a proof: nobody may hand over an object of it before that. The
// words that come back are those that make the build's defaults explicit. The
// string says, when the match is None, why; it continues a sentence that begins
// with the helper's name.
func MatchOf(want Toolchain, lang argv.Language, words []string, have Toolchain) (Match, []string, string) {
	if have.Family != want.Family || have.Target != want.Target {
		return None, nil, fmt.Sprintf("has %s, this build uses %s %s for %s", have.short(), want.Family, want.Version, want.Target)
	}
	if have.Version != want.Version {
		return None, nil, fmt.Sprintf("has %s, this build uses %s", have.short(), want.Version)
	}
	text := lang == argv.Asm // which no compiler proper sees
	if lang = base(lang); !slices.Contains(have.Languages, lang) {
		return None, nil, fmt.Sprintf("has %s without %s", have.short(), lang)
	}
	if have.Libm != want.Libm {
		return None, nil, fmt.Sprintf("has %s on a C library that folds mathematical functions otherwise than this build's", have.short())
	}
	if w := recorded(words); w != "" && len(have.Derived) > 0 {
		return None, nil, fmt.Sprintf("has %s by %s alone, which the debug information of %s would say", have.short(), strings.Join(have.Derived, " "), w)
	}
	if have.Defaults != want.Defaults {
		explicit, why := Explicit(want.Unasked, have.Unasked, lang, words)
		if why != "" {
			return None, nil, fmt.Sprintf("has %s with other defaults than this build's: %s", have.short(), why)
		}
		return Calibrated, slices.Concat(have.Derived, explicit), ""
	}
	if len(have.Derived) > 0 {
		return Calibrated, slices.Clone(have.Derived), ""
	}
	splits := want.Family == argv.GCC && slices.Contains(words, "-gsplit-dwarf") // clang does that by itself
	if have.Identity == want.Identity && sameRoles(want.Fingerprint, have.Fingerprint, lang, text, splits) {
		return Identical, nil, ""
	}
	return Calibrated, nil, ""
}

// short is String without the package.
func (i Identity) short() string { return fmt.Sprintf("%s %s for %s", i.Family, i.Version, i.Target) }

// gccCompilers are gcc's compilers proper. clang's one program reads them all.
var gccCompilers = [...]struct {
	Role     string
	Language argv.Language
	Driver   string // role of the driver that a build calls for it
}{
	{"cc1", argv.C, "driver"},
	{"cc1plus", argv.CXX, "driver++"},
	{"cc1obj", argv.ObjC, "driver"},
	{"cc1objplus", argv.ObjCXX, "driver++"},
}

// CompilerRoles are the roles of gcc's compilers proper, which are their names, too.
func CompilerRoles() []string {
	var roles []string
	for _, c := range gccCompilers {
		roles = append(roles, c.Role)
	}
	return roles
}

// Languages derives what a toolchain can compile from the roles that are there.
func (f Fingerprint) Languages(family argv.Family) []argv.Language {
	var list []argv.Language
	for _, c := range gccCompilers {
		if family == argv.Clang || f[c.Role] != "" {
			list = append(list, c.Language)
		}
	}
	return list
}

// sameRoles compares the fingerprints of the roles that a source in lang uses; one
// that is text for the assembler alone uses no compiler proper, and one whose debug
// information is split off uses objcopy. A role that one side lacks differs, and so
// do two empty fingerprints.
func sameRoles(a, b Fingerprint, lang argv.Language, text, splits bool) bool {
	used := map[string]bool{"objcopy": splits}
	for _, print := range []Fingerprint{a, b} {
		for role := range print {
			used[role] = used[role] || role == "as" || role == "specs" || strings.HasPrefix(role, "lib:")
		}
	}
	for _, c := range gccCompilers {
		if c.Language == lang {
			used[c.Driver] = true
			used[c.Role] = !text && (used[c.Role] || a[c.Role] != "" || b[c.Role] != "")
		}
	}
	for _, role := range slices.Sorted(maps.Keys(used)) {
		if used[role] && (a[role] == "" || a[role] != b[role]) {
			return false
		}
	}
	return true
}

// base is the language that a preprocessed text was written in, and C for assembler.
func base(l argv.Language) argv.Language {
	if l.Assembles() {
		return argv.C // its compiler preprocesses; that of .s is no part of it, and does no harm
	}
	for _, c := range gccCompilers {
		if l == c.Language || l == c.Language.Preprocessed() {
			return c.Language
		}
	}
	return l
}
