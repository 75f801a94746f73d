package argv

import (
	"slices"

	"github.com/crosscc/crosscc/argv/option"
)

// This file is what package task needs of a command: what was read of it, before it is judged.

// An Input is one source (or object, or library) of a command.
type Input struct {
	Name string
	X    string // the operand of the -x that was in effect where it stood; "" without one
}

// Language finds the language of the input by its name and -x, for a driver of C++ or of C; a reason where it is none that can
// be sent: option.NotASource is what the linker gets.
func (in Input) Language(cxx bool, f Family) (Language, Reason) {
	return languageOf(in.Name, in.X, cxx, f)
}

// Options are the words as the driver reads them, each with its operand, response files expanded.
func (c *Command) Options() []option.Word { return slices.Clone(c.words) }

// Inputs are all inputs, in their order.
func (c *Command) Inputs() []Input {
	var out []Input
	for _, in := range c.inputs {
		out = append(out, Input{in.name, in.x})
	}
	return out
}

// Named are the operands of all -o.
func (c *Command) Named() []string { return slices.Clone(c.outputs) }

// Prints reports whether the driver prints and leaves, or has nothing to do.
func (c *Command) Prints() bool { return c.printing(Env{}).Reason != "" || len(c.inputs) == 0 }

// MeansNative is the word that means the processor of whoever runs the compiler; nil when none does.
func (c *Command) MeansNative() []string {
	if w := c.nativeWord(); w != nil {
		return slices.Clone(w.Text)
	}
	return nil
}

// Environment finds a variable that makes a compiler do something else than its words say; the verdict is empty when there is
// none.
func Environment(env Env) Verdict { return environment(env) }

// AdmitWord judges one word as [AdmitWhole] does.
func AdmitWord(w option.Word) error { return admitWhole(w) }

// HandedOn are the words that a word hands to a program behind the driver: one, or those between commas for the word of that
// name.
func HandedOn(w option.Word, commas string) []string { return handedOn(w, commas) }
