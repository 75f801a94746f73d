package argv

import (
	"strings"

	"github.com/crosscc/crosscc/argv/option"
)

// CodeWords are the set of options that decides, beside the source, what the compiler proper makes: all words but those
// that are known to name inputs, outputs, headers and macros, or to move only what is said. Words of which nothing is
// known are among them. Two commands with one set differ in their sources only.
//
// Words whose value is a name that is copied into the object (a seed, a prefix) stand for any such name. ok is false for
// a command that no set describes: one for the CPU of whoever compiles, unless that is told what it means ([Env.Native]).
func (c *Command) CodeWords() (words []string, ok bool) {
	last := map[string]int{}
	for i, w := range c.words {
		last[w.Name] = i
	}
	for i, w := range c.words {
		switch w.Kind {
		case option.KindInput, option.KindOutput, option.KindMode, option.KindLanguage, option.KindDependency, option.KindCPP, option.KindToCPP, option.KindDiagnostic:
			continue
		case option.KindLinker:
			continue
		case option.KindExtra, option.KindNamed, option.KindOptInfo, option.KindReads, option.KindDump:
			// Such a file is written or read for any source that this is compiled with.
			return nil, false
		}
		switch {
		case w.Native() && last[w.Name] == i && !c.keepsNative:
			return nil, false
		case c.drops(&w), copied(w.Text[0]):
			continue
		}
		words = append(words, w.Text...)
	}
	return words, true
}

// copied finds options whose value is a name for the object and nothing else.
func copied(s string) bool {
	name, _, ok := strings.Cut(s, "=")
	return ok && (name == "-frandom-seed" || strings.HasPrefix(name, "-f") && strings.HasSuffix(name, "-prefix-map"))
}
