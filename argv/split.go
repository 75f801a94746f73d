package argv

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv/option"
)

// Split is a command that compiles several sources, or compiles and links, taken apart.
type Split struct {
	// Compiles are one plain compile for each source, in their order.
	Compiles []*Command
	// Links says that the objects are for the command's own link, and have no names of their own.
	Links bool
	// Output is what -o says that the link writes; "" without.
	Output string

	family  Family
	words   []option.Word
	sources []bool // of each word that is an input
}

// String says for people what becomes of the command.
func (s *Split) String() string {
	text := fmt.Sprintf("the first of %d compiles", len(s.Compiles))
	if len(s.Compiles) == 1 {
		text = "a compile"
	}
	if s.Links {
		text += ", with a link here behind"
	}
	return text
}

// maxSplit bounds the sources of one command: its objects are held until all are there.
const maxSplit = 64

// Split takes apart a command that is not one plain compile; nil where it can't be done exactly. env is what the command was
// parsed with.
//
// A driver compiles source by source with the words that it would give to each alone, under names that it makes up, and then
// links. Of clang's that is to be asked where it links: some of its versions compile otherwise then, and it says for the whole
// command which words were of no use.
func (c *Command) Split(env Env) *Split {
	s := &Split{Links: c.verdict.Reason == option.Link, family: c.family, words: c.words}
	switch {
	case c.verdict.Reason != option.Link && c.verdict.Reason != option.SeveralInputs, len(c.inputs) > maxSplit,
		c.lastIndex(option.KindLanguage) > c.lastIndex(option.KindInput), s.Links && (c.LTO() || c.first(option.KindExtra) != nil || len(c.outputs) > 1 || c.profiles()),
		!s.Links && len(c.outputs) > 0, len(c.named()) > 0, c.misread(env.Driver.CXX) != "":
		return nil
	}
	for _, in := range c.inputs {
		_, reason := languageOf(in.name, in.x, env.Driver.CXX, c.family)
		switch {
		case reason == "" && in.name != "-":
			s.Compiles = append(s.Compiles, nil)
		case reason != option.NotASource || !s.Links:
			return nil
		}
		s.sources = append(s.sources, reason == "")
	}
	if len(s.Compiles) == 0 || s.Links && !c.splitDeps(len(s.Compiles)) {
		return nil
	}
	if len(c.outputs) > 0 {
		s.Output = c.outputs[0]
	}
	names := map[string]bool{} // that two would write over each other's, as -MF makes them do
	for i, n := 0, 0; i < len(c.inputs); i++ {
		if !s.sources[i] {
			continue
		}
		part := Parse(c.partWords(c.inputs[i], s.Links, n), env)
		if !part.verdict.Remote {
			return nil
		}
		for _, o := range part.Outputs("", "") {
			name := filepath.Clean(o.Name)
			if names[name] {
				return nil
			}
			names[name] = true
		}
		s.Compiles[n] = part
		n++
	}
	return s
}

// profiles reports whether a word has a profile in it, whose name follows from the program's where gcc links.
func (c *Command) profiles() bool {
	return c.family != Clang && slices.ContainsFunc(c.words, func(w option.Word) bool { return w.Reason == option.Profile })
}

// splitDeps reports whether dependencies that a command with a link makes are those of one compile with other words: by the
// driver's own words, of one source (others write over each other's), for an output with a name. Without one clang names them
// for each source; gcc's names have changed with its versions.
func (c *Command) splitDeps(sources int) bool {
	d := c.depWords()
	handed := slices.ContainsFunc(c.cpp, func(s string) bool { return strings.HasPrefix(s, "-M") })
	own := c.family == Clang && len(c.outputs) == 0
	return !d.wanted || (own || sources == 1 && len(c.outputs) == 1) && !handed
}

// partWords are the words of the compile of one source, the n-th.
func (c *Command) partWords(in input, links bool, n int) []string {
	var out []string
	for _, w := range c.words {
		switch {
		case w.Kind == option.KindInput, w.Kind == option.KindLanguage, w.Kind == option.KindOutput, w.Kind == option.KindMode:
		case w.Kind == option.KindLinker && c.family == Clang && links: // of no use, it would say
		default:
			out = append(out, w.Text...)
		}
	}
	if c.family == Clang && links {
		out = append(out, unusedIsFine)
	}
	if in.x != "" {
		out = append(out, "-x", in.x)
	}
	mode := "-c"
	if c.assembly {
		mode = "-S"
	}
	out = append(out, mode, in.name)
	if links {
		out = append(append(out, "-o", fmt.Sprintf("split%d.o", n)), c.linkedDeps(in)...)
	}
	return out
}

// unusedIsFine keeps clang from saying that a word is of no use in one part: whether it is in none has been asked before.
const unusedIsFine = "-Qunused-arguments"

// linkedDeps are words that give the dependencies of a source the names that they have in a command that links.
func (c *Command) linkedDeps(in input) []string {
	d := c.depWords()
	if !d.wanted {
		return nil
	}
	file, target := stemOf(c.Output())+".d", c.Output()
	if len(c.outputs) == 0 {
		stem, _ := splitSuffix(in.name)
		file, target = stem+".d", stem+".o"
	}
	var out []string
	if !d.named {
		out = append(out, "-MF", file)
	}
	if len(d.targets) == 0 {
		out = append(out, "-MQ", target)
	}
	return out
}

// Link gives the words of the link: the command's own, with the objects in the places of the sources. It is for a Split that
// Links.
func (s *Split) Link(objects []string) []string {
	var out []string
	if s.family == Clang {
		out = append(out, unusedIsFine)
	}
	inputs, n := 0, 0
	for _, w := range s.words {
		switch w.Kind {
		case option.KindLanguage: // of sources
		case option.KindInput:
			text := w.Text
			if s.sources[inputs] {
				text = objects[n : n+1]
				n++
			}
			inputs++
			out = append(out, text...)
		default:
			out = append(out, w.Text...)
		}
	}
	return out
}
