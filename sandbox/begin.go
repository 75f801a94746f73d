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
	// Open gives the file's content. It is called once for each run.
	Open func() (io.ReadCloser, error)
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
