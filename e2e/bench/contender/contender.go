// Package contender is the ways to compile that are measured beside each other, each
// started at a place and ended alike. Start with Contender and All; each that needs
// daemons has a file of its own.
package contender

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/e2e/bench/place"
)

// The modes of a round: what is known before it.
const (
	Cold   = "cold"   // nothing: daemons are new, caches and the helper's store empty
	Warm   = "warm"   // all but that one line of each source has changed: each object is really compiled
	Define = "define" // all sources; the command has another -D, so each object is really compiled
	Hit    = "hit"    // everything: a cache of results answers
)

// A Contender is one way to compile.
type Contender struct {
	Name  string
	modes string // those that mean something for it
	// quick are those of a run that is not -full; "" means all.
	quick string
	// Local says that it knows no helper, so that the network is all the same.
	Local bool
	// Version is what the contender says of itself; an error says why it can't
	// run. What it writes meanwhile it writes to home.
	Version func(ctx context.Context, home string) (string, error)
	// Start starts its daemons at a place, where nothing of an earlier start is.
	Start func(context.Context, *place.Place) (*Running, error)
}

// A Running is a contender that was started.
type Running struct {
	// Command is what goes before the compiler's name.
	Command string
	// Env is what the client's programs get when so many jobs run at once;
	// nil: nothing.
	Env func(jobs int) []string
	// Check tells what went otherwise than the mode wants since the last check:
	// "" when all n jobs went as they should. Nil: nothing can.
	Check func(ctx context.Context, mode string, n int) (string, error)
	// Stop ends the daemons; nil: there are none.
	Stop func(context.Context) error
}

// All are all that there are. bin is the directory of crosscc's programs.
func All(bin string) []Contender {
	return []Contender{
		makeAlone(), Plain(),
		distcc(), pump(), icecc(), nocc(), ccache(),
		Crosscc(bin), embedded(bin),
	}
}

// Has reports whether the contender meets others in a mode.
func (c Contender) Has(mode string, full bool) bool {
	modes := c.modes
	if !full && c.quick != "" {
		modes = c.quick
	}
	return slices.Contains(strings.Fields(modes), mode)
}

// Plain is the local compiler and nothing else.
func Plain() Contender {
	return Contender{
		Name: "local compiler", modes: Warm + " " + Define, Local: true,
		Version: func(ctx context.Context, home string) (string, error) {
			return firstLine(ctx, home, "gcc", "--version")
		},
		Start: func(context.Context, *place.Place) (*Running, error) { return &Running{}, nil },
	}
}

// makeAlone is the floor under all others: make, and a program that does nothing
// in the compiler's place.
func makeAlone() Contender {
	return Contender{
		Name: "make and `true`", modes: Warm + " " + Hit, Local: true,
		Version: func(ctx context.Context, home string) (string, error) {
			return firstLine(ctx, home, "make", "--version")
		},
		Start: func(context.Context, *place.Place) (*Running, error) { return &Running{Command: "true"}, nil },
	}
}

// firstLine is the first line that a program says of its version. Some say it
// on stderr, some with a status that is not 0.
func firstLine(ctx context.Context, home, name string, args ...string) (string, error) {
	if _, err := exec.LookPath(name); err != nil {
		return "", fmt.Errorf("%s is not on PATH", name)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "HOME="+home)
	out, err := cmd.CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" {
		return "", fmt.Errorf("%s %s says nothing: %w", name, strings.Join(args, " "), err)
	}
	return line, nil
}

// onlyOf tells of n jobs that should all be of one kind, if they are not.
func onlyOf(kind string, have, n int) string {
	if have == n {
		return ""
	}
	return fmt.Sprintf("%d of %d %s", have, n, kind)
}
