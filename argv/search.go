package argv

import (
	"github.com/crosscc/crosscc/argv/allow"
	"github.com/crosscc/crosscc/argv/option"
)

// An Option is one word of a command line with its operand, under the name that the option table gives it:
// "--include-directory=x" is {"-I", "x"}, "--sysroot=x" and "--sysroot x" are {"--sysroot", "x"}.
type Option struct {
	Name, Value string
}

// Preprocessor gives the words that move the preprocessor alone, in the order in which it sees them: search path,
// macros, files that are included first, and whatever else has no meaning once the text is preprocessed. Those behind
// -Wp, and -Xpreprocessor come last, as gcc and clang both have it.
func (c *Command) Preprocessor() []Option {
	var out []Option
	for _, w := range c.words {
		switch {
		case w.Kind == option.KindXclang && allow.CC1Directory(w.Value):
			out = append(out, Option{"-Xclang", w.Value}) // the directory is the next -Xclang's
		case w.Kind == option.KindCPP && w.Name == "--sysroot=":
			out = append(out, Option{"--sysroot", w.Value})
		case w.Kind == option.KindCPP:
			out = append(out, Option{w.Name, w.Value})
		}
	}
	for words := c.cpp; len(words) > 0; {
		name, value, n := cppOption(words)
		if name == "-D" || name == "-U" || name == "-I" {
			out = append(out, Option{name, value})
		}
		words = words[n:]
	}
	return out
}

// HandsOn reports whether the command hands words to the preprocessor by -Wp, or -Xpreprocessor.
func (c *Command) HandsOn() bool { return len(c.cpp) > 0 }

// Family is the family whose rules the words were read by.
func (c *Command) Family() Family { return c.family }
