package agent

import (
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/headers"
)

// This file is about names of headers that macros make, as the kernel's trace events
// have them: no scan can follow these, but the preprocessor at home does, and lists
// what it reads. That costs the client what preprocessed text would, and the tree is
// exact.

// reads asks the client's compiler what the compile reads. u is why.
func (c *compile) reads(u *headers.Unsound) ([]string, error) {
	no := &treeless{reason: u.Reason, text: u.Text}
	words := c.cmd.Preprocess("")
	if words == nil {
		return nil, no
	}
	text, err := c.cpp(append(words, "-M"))
	if err != nil {
		return nil, err
	}
	names, err := headers.Told(text)
	if err != nil || len(names) == 0 {
		return nil, no
	}
	return names, nil
}

// tellable keeps a tree at home that rests on what the compiler listed, when its
// preprocessor alone may see other macros than the compile does: gcc before 13 heeds
// pragmas of options only when it compiles.
func (c *compile) tellable(src headers.Source, tree *headers.Tree) error {
	if !tree.Told || c.toolchain.Family != argv.GCC {
		return nil
	}
	i := slices.IndexFunc(tree.Words, func(w string) bool {
		pragma, ok := strings.CutPrefix(w, "pragma GCC ")
		return ok && (pragma == "optimize" || pragma == "target" || strings.HasSuffix(pragma, "_options")) || w == "optimize" || w == "target"
	})
	if i < 0 {
		return nil
	}
	return &treeless{reason: headers.Computed, text: "the name of a file is made by macros, and " + tree.Words[i] + " in " + src.Cmd.Source() + " or its headers may change these"}
}
