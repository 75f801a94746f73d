package drivers

import (
	"context"

	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// A Program is one program to run for a probe.
type Program struct {
	Path  string   // absolute, within the System's root; also its argv[0]
	Args  []string // the words after argv[0]
	Env   []string // K=V, on top of the environment that the RunFunc has
	Stdin []byte   // nil: an empty input
}

// An Output is what a Program left behind.
type Output struct {
	Stdout, Stderr []byte
	Status         int // 0 when it ended well; any other number is a failure
}

// A RunFunc runs a program and waits for it. It:
//   - runs it in the root and the environment in which the jobs run, or will run;
//   - returns an error only when the program could not be run or was killed;
//   - may be called from several goroutines at once;
//   - bounds the time and the size of the output, and ends with ctx.
type RunFunc func(ctx context.Context, p Program) (Output, error)

// A System is where a toolchain lives.
type System struct {
	Root *rootfs.Root
	Run  RunFunc
	// Getenv tells of the environment that Run has: PATH, COMPILER_PATH,
	// GCC_EXEC_PREFIX and LIBRARY_PATH are asked for. nil: it is empty.
	Getenv func(string) string
	// Dir is where Run's programs begin, an absolute name in Root. What they say
	// of words that name directories from there is kept for this Dir; "": not
	// at all.
	Dir string
	// Cache remembers what Run's programs said; nil: they are asked each time.
	Cache *Cache
}

func (s System) env(key string) string {
	if s.Getenv == nil {
		return ""
	}
	return s.Getenv(key)
}
