package sandbox

import (
	"fmt"
	"io"
	"slices"
)

// A Begun is a file that lies in Out before the program starts: one that it changes.
type Begun struct {
	// Name is one of Spec.Outputs, without a directory.
	Name string
	// Content is read to its end, under another uid where the program has one: what it opens must be open.
	Content io.Reader
}

// checkBegun refuses names that Out does not have.
func (s *Spec) checkBegun() error {
	for i, b := range s.Begun {
		again := slices.ContainsFunc(s.Begun[:i], func(o Begun) bool { return o.Name == b.Name })
		if !slices.Contains(s.Outputs, b.Name) || again {
			return fmt.Errorf("sandbox: %q is no output that could have been begun", b.Name)
		}
	}
	return nil
}
