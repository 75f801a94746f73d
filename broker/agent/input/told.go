package input

import (
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/headers"
)

// This file is about names of headers that macros make, as the kernel's trace events
// have them: no scan can follow these, but the preprocessor at home does, and lists
// what it reads. That costs the client what preprocessed text would, and the tree is
// exact.

// reads asks the client's compiler what the compile reads: its preprocessor, or with
// parse all but its code generator, which takes some times as long. u is why.
func (m *Maker) reads(c *compile.Compile, u *headers.Unsound, parse bool) ([]string, error) {
	no := &reason.Treeless{Reason: u.Reason, Text: u.Text}
	words := c.Cmd.Preprocess("")
	if words == nil || parse && c.MakesMore() { // dumps would be written
		return nil, no
	}
	if words = append(words, "-M"); parse {
		// The last words of Preprocess and -M itself say that it ends there.
		words = slices.DeleteFunc(words, func(w string) bool { return w == "-E" || w == "-M" || w == "-fpch-preprocess" })
		words = append(words, "-w", "-fsyntax-only", "-MD", "-MF", "-")
	}
	text, err := m.cpp(c, words)
	if err != nil {
		return nil, err
	}
	names, err := headers.Told(text)
	if err != nil || len(names) == 0 {
		return nil, no
	}
	return names, nil
}

// toldEnough reports whether what the preprocessor alone listed is what the compile
// reads. gcc before 13 heeds pragmas of options only when it compiles, and these
// change macros; they may be hidden in macros themselves.
func toldEnough(c *compile.Compile, tree *headers.Tree) bool {
	return c.Toolchain.Family != argv.GCC || !slices.ContainsFunc(tree.Words, func(w string) bool {
		pragma, ok := strings.CutPrefix(w, "pragma GCC ")
		return ok && (pragma == "optimize" || pragma == "target" || strings.HasSuffix(pragma, "_options")) || w == "optimize" || w == "target"
	})
}
