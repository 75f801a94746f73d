package argv

import (
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv/option"
)

// Deps is the dependency file that a compile writes beside its output.
type Deps struct {
	File     string // its name, as given or as the driver computes it
	UserOnly bool   // -MMD: system headers are left out
	Phony    bool   // -MP: a rule for each header
	Target   string // the target that the compiler chooses, unquoted; "" when only the command's own (-MT, -MQ) count
}

// Output is the file that the command writes: -o, or the source's base name with .o or .s, in the working directory.
func (c *Command) Output() string {
	if len(c.outputs) > 0 {
		return c.outputs[len(c.outputs)-1]
	}
	stem, _ := splitSuffix(c.Source())
	if c.assembly {
		return stem + ".s"
	}
	return stem + ".o"
}

// splitSuffix takes the last suffix off the base name: dir/a.b.c → a.b, c.
func splitSuffix(name string) (stem, suffix string) {
	base := name[strings.LastIndexByte(name, '/')+1:]
	if i := strings.LastIndexByte(base, '.'); i >= 0 {
		return base[:i], base[i+1:]
	}
	return base, ""
}

// depWords is what the dependency words of the command amount to.
type depWords struct {
	md, mmd  bool     // -MD, -MMD for the driver
	file     string   // the last name that counts; "" when none is given
	named    bool     // a name was given
	userOnly bool     // the last style that counts is -MMD's
	wanted   bool     // dependencies are made at all
	phony    bool     // -MP anywhere
	targets  []string // -MT, -MQ words for the driver, in order
	cpp      bool     // -MT or -MQ among the words that the driver hands on
}

// Deps tells what dependency file the compile makes, by -MD, -MMD or -Wp,-MD,FILE; false when none.
func (c *Command) Deps() (Deps, bool) {
	d := c.depWords()
	if !d.wanted {
		return Deps{}, false
	}
	out := Deps{File: d.file, UserOnly: d.userOnly, Phony: d.phony}
	if !d.named {
		out.File = c.defaultDepFile()
	}
	if t, ok := c.defaultTarget(d); ok {
		out.Target = t
	}
	return out, true
}

// defaultDepFile is the output's name with its suffix, if any, replaced by .d; without -o the source's base name.
func (c *Command) defaultDepFile() string {
	name := c.Source()
	if len(c.outputs) == 0 {
		stem, _ := splitSuffix(name)
		return stem + ".d"
	}
	name = c.Output()
	slash := strings.LastIndexByte(name, '/') + 1
	stem, _ := splitSuffix(name)
	return name[:slash] + stem + ".d"
}

// defaultTarget is the rule's target where the words name none. The driver gives the output's name for its own -MD;
// where it was not told of one (gcc with -Wp,-MD,f, or no -o) the compiler takes the source's base name with .o, with
// -S as well.
func (c *Command) defaultTarget(d depWords) (string, bool) {
	driver := c.family == Clang || d.md || d.mmd
	switch {
	case driver && len(d.targets) > 0:
		return "", false
	case driver && len(c.outputs) > 0:
		return c.Output(), true
	case len(d.targets) > 0 || d.cpp:
		return "", false
	}
	stem, _ := splitSuffix(c.Source())
	return stem + ".o", true
}

// depWords reads the driver's own words first, as gcc's specs put them (-MD, -MMD, -MF, then what is handed on), so
// that the last one wins. clang makes -Wp,-MD,FILE into -MD -MF FILE where it stands.
func (c *Command) depWords() depWords {
	var d depWords
	for i, w := range c.words {
		switch {
		case w.Kind == option.KindDependency:
			d.driver(w)
		case c.family == Clang && c.clangRewrite(i):
			d.md, d.mmd = d.md || strings.HasPrefix(w.Value, "-MD"), d.mmd || strings.HasPrefix(w.Value, "-MMD")
			_, d.file, _ = strings.Cut(w.Value, ",")
			d.named = true
		}
	}
	d.wanted, d.userOnly = d.md || d.mmd, d.mmd
	if c.family != Clang {
		d.handedOn(c.cpp)
	}
	return d
}

// driver adds one word that the driver itself reads.
func (d *depWords) driver(w option.Word) {
	switch w.Name {
	case "-MD":
		d.md = true
	case "-MMD":
		d.mmd = true
	case "-MP":
		d.phony = true
	case "-MF":
		d.file, d.named = w.Value, true
	case "-MT", "-MQ":
		d.targets = append(d.targets, w.Text...)
	}
}

// handedOn adds the words that gcc's driver passes to the preprocessor unread.
func (d *depWords) handedOn(cpp []string) {
	for i := 0; i < len(cpp); i++ {
		name, value, n := cppOption(cpp[i:])
		i += n - 1
		switch name {
		case "-MD", "-MMD":
			d.wanted, d.userOnly, d.file, d.named = true, name == "-MMD", value, true
		case "-MF":
			d.file, d.named = value, true
		case "-MP":
			d.phony = true
		case "-MT", "-MQ":
			d.cpp = true
		}
	}
}

// cppOption reads the next option among words for the preprocessor, and how many words it takes. The name is "" for
// what is not a plain -D, -U, -I, -MD, -MMD, -MF, -MT, -MQ or -MP: all but the last have an operand here, and only
// -D, -U, -I, -MF, -MT and -MQ may have it joined.
func cppOption(words []string) (name, value string, n int) {
	w := words[0]
	if w == "-MP" {
		return w, "", 1
	}
	if slices.Contains([]string{"-D", "-U", "-I", "-MD", "-MMD", "-MF", "-MT", "-MQ"}, w) {
		if len(words) < 2 {
			return "", "", 1
		}
		return w, words[1], 2
	}
	for _, p := range []string{"-D", "-U", "-I", "-MF", "-MT", "-MQ"} {
		if v, ok := strings.CutPrefix(w, p); ok {
			return p, v, 1
		}
	}
	return "", "", 1
}

// badCPPWord finds a word for the preprocessor whose meaning we do not carry; "" when there is none. clang hands the
// words to -cc1, which knows joined -D, -U and -I; its driver reads -Wp,-MD,FILE and -Wp,-MMD,FILE itself.
func (c *Command) badCPPWord() string {
	if c.family == Clang {
		return c.badClangCPPWord()
	}
	for i := 0; i < len(c.cpp); {
		name, _, n := cppOption(c.cpp[i:])
		if name == "" {
			return c.cpp[i]
		}
		i += n
	}
	return ""
}

func (c *Command) badClangCPPWord() string {
	for i, w := range c.words {
		if w.Kind != option.KindToCPP || c.clangRewrite(i) {
			continue
		}
		for _, s := range handedOn(w, "-Wp,") {
			if len(s) < 3 || s[0] != '-' || !strings.ContainsRune("DUI", rune(s[1])) {
				return s
			}
		}
	}
	return ""
}

// clangRewrite reports whether the i-th word is one of those that clang's driver makes into -MD -MF FILE or -MMD -MF
// FILE.
func (c *Command) clangRewrite(i int) bool {
	w := c.words[i]
	parts := strings.Split(w.Value, ",")
	return w.Name == "-Wp," && len(parts) == 2 && (parts[0] == "-MD" || parts[0] == "-MMD")
}
