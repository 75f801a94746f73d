package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// The modes of a round: what is known before it.
const (
	cold   = "cold"   // nothing: daemons are new, caches and the helper's store empty
	warm   = "warm"   // all but that one line of each source has changed: each object is really compiled
	define = "define" // all sources; the command has another -D, so each object is really compiled
	hit    = "hit"    // everything: a cache of results answers
)

// A contender is one way to compile.
type contender struct {
	name  string
	modes string // those that mean something for it
	// quick are those of a run that is not -full; "" means all.
	quick string
	// local says that it knows no helper, so that the network is all the same.
	local bool
	// version is what the contender says of itself; an error says why it can't
	// run. What it writes meanwhile it writes to home.
	version func(ctx context.Context, home string) (string, error)
	// start starts its daemons at a place, where nothing of an earlier start is.
	start func(context.Context, *place) (*running, error)
}

// running is a contender that was started.
type running struct {
	// command is what goes before the compiler's name.
	command string
	// env is what the client's programs get when so many jobs run at once.
	env func(jobs int) []string
	// check tells what went otherwise than the mode wants since the last check:
	// "" when all n jobs went as they should. Nil: nothing can.
	check func(ctx context.Context, mode string, n int) (string, error)
	// stop ends the daemons.
	stop func(context.Context) error
}

// contenders are all that there are. bin is the directory of crosscc's programs.
func contenders(bin string) []contender {
	return []contender{
		makeAlone(), plain(),
		distcc(), pump(), icecc(), nocc(), ccache(),
		crosscc(bin), embedded(bin),
	}
}

// has reports whether the contender meets others in a mode.
func (c contender) has(mode string, full bool) bool {
	modes := c.modes
	if !full && c.quick != "" {
		modes = c.quick
	}
	return slices.Contains(strings.Fields(modes), mode)
}

// plain is the local compiler and nothing else.
func plain() contender {
	return contender{
		name: "local compiler", modes: warm + " " + define, local: true,
		version: func(ctx context.Context, home string) (string, error) {
			return firstLine(ctx, home, "gcc", "--version")
		},
		start: func(context.Context, *place) (*running, error) { return &running{}, nil },
	}
}

// makeAlone is the floor under all others: make, and a program that does nothing
// in the compiler's place.
func makeAlone() contender {
	return contender{
		name: "make and `true`", modes: warm + " " + hit, local: true,
		version: func(ctx context.Context, home string) (string, error) {
			return firstLine(ctx, home, "make", "--version")
		},
		start: func(context.Context, *place) (*running, error) { return &running{command: "true"}, nil },
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

func noEnv(int) []string { return nil }
