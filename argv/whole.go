package argv

import (
	"slices"

	"github.com/crosscc/crosscc/argv/option"
)

// Whole gives the words for compiling the source itself, with its headers, into the file output: the tree form of the
// command. Its dependencies, if it makes any, go to the file depFile, for the very target that the driver would name.
// What the user said stays as it was said, in its order; extra words (the client's own include directories, clang's
// features) stand behind the user's. A command of that form gives itself again.
func (c *Command) Whole(output, depFile string, extra ...string) []string {
	d := c.depWords()
	var out []string
	named := 0
	for i := range c.words {
		switch w := &c.words[i]; {
		case w.OutputName() != "":
			out = append(out, w.Renamed(namedFile(output, named))...)
			named++
		case c.whole(w):
			out = append(out, w.Text...)
		}
	}
	out = append(append(out, extra...), c.keptCPP(d.wanted)...)
	if d.wanted {
		out = append(out, c.wholeDeps(d, depFile)...)
	}
	if x := c.inputs[0].x; x != "" {
		out = append(out, "-x", x)
	}
	mode := "-c"
	if c.assembly {
		mode = "-S"
	}
	return append(out, mode, c.Source(), "-o", output)
}

// whole reports whether a word goes along as it is.
func (c *Command) whole(w *option.Word) bool {
	switch w.Kind {
	case option.KindPlain, option.KindTree, option.KindExtra, option.KindDump, option.KindOptInfo, option.KindReads, option.KindLTO, option.KindTarget, option.KindDebug, option.KindDiagnostic, option.KindAssembler, option.KindXclang:
		return !c.drops(w)
	case option.KindCPP:
		return c.family != Clang || !c.unusedWithoutDefaults(w)
	case option.KindLinker:
		return true // clang says of each that it is not used, gcc of some that it does not know them
	}
	return false
}

// Untellable says why the tree form would not make the compiler say what it says of the command itself; "" when it would.
//
// gcc warns of an -x behind the last input. clang says of words that choose among its own include directories whether they
// were of use, by the language and by each other; in the tree form those directories are given by name.
func (c *Command) Untellable() string {
	if c.family != Clang {
		if c.lastIndex(option.KindLanguage) > c.lastIndex(option.KindInput) {
			return "an -x stands behind the source"
		}
		return ""
	}
	choices := map[string]bool{}
	for _, w := range c.words {
		switch w.Name {
		case unusedIsFine:
			return ""
		case "-stdlib=", "--stdlib=":
			choices["-stdlib="] = true
		case "-nostdinc", "-nostdinc++", "-nostdlibinc", "-nobuiltininc", "-ibuiltininc":
			choices[w.Name] = true
		}
	}
	cxx := c.language == CXX || c.language == ObjCXX
	plain := len(choices) == 0 || len(choices) == 1 && (choices["-nostdinc"] || cxx && (choices["-stdlib="] || choices["-nostdinc++"]))
	if !plain {
		return "clang may say that a word for its include directories was not used"
	}
	return ""
}

// lastIndex is where the last word of a kind stands; -1 when there is none.
func (c *Command) lastIndex(k option.Kind) int {
	for i := len(c.words) - 1; i >= 0; i-- {
		if c.words[i].Kind == k {
			return i
		}
	}
	return -1
}

// unusedWithoutDefaults finds words that only choose among clang's own include directories. Those are given by name, so
// clang would say that the word was not used.
func (c *Command) unusedWithoutDefaults(w *option.Word) bool {
	switch w.Name {
	case "-stdlib=", "--stdlib=", "-nobuiltininc":
		return true
	case "-ibuiltininc":
		return slices.ContainsFunc(c.words, func(w option.Word) bool { return w.Name == "-nobuiltininc" })
	}
	return false
}

// wholeDeps are the dependency words. gcc's driver adds a target of its own to -MD where it sees none, so that word is
// handed past it.
func (c *Command) wholeDeps(d depWords, depFile string) []string {
	words := c.depOptions(d, depFile)
	if c.family == Clang {
		return words
	}
	return append([]string{"-Wp," + words[0] + "," + depFile}, words[3:]...) // "-MD -MF FILE" and the rest
}
