package sandbox

import (
	"context"
	"fmt"
	"time"

	"github.com/crosscc/crosscc/sandbox/internal/closure"
)

// A Bind is one entry of what a program needs to see: a file, a link or a
// directory.
type Bind = closure.Bind

// Closure lists what must be visible for programs to run, sorted by place: each
// program with every link on its way, the directories its spelling passes
// through, its interpreter and its libraries by the loader's own list. root is the
// host directory that they are below, "" for "/"; any other's loader is asked in
// run. Runners call it for Spec.Programs by themselves; others need it to know what
// a toolchain is made of.
func Closure(programs []string, root string, run Runner) ([]Bind, error) {
	return closure.Of(programs, root, Lister(run))
}

// Closures is Closure, remembered for as long as every file that was looked at
// stays the same. Its zero value is ready for programs of this machine, for many
// goroutines; for those of images its field List must be a [Lister].
type Closures = closure.Cache

// Lister asks an image's loader, in the sandbox, which libraries a program of the
// image is linked with. run must be able to show a whole root.
func Lister(run Runner) closure.Lister {
	if run == nil {
		return nil
	}
	return func(root, loader, program string) (string, error) {
		out, err := run(context.Background(), &Spec{
			Path: loader, Args: []string{loader, "--list", program}, Env: []string{"LC_ALL=C"}, Dir: "/",
			Root: root, Whole: true, Limits: listLimits(),
		})
		if err != nil {
			return "", err
		}
		defer out.Close()
		if out.ExitCode != 0 {
			return "", fmt.Errorf("status %d: %s", out.ExitCode, FirstLine(append(out.Stdout, out.Stderr...)))
		}
		return string(out.Stdout), nil
	}
}

// listLimits bound a loader that maps a program and its libraries.
func listLimits() Limits {
	return Limits{Wall: 30 * time.Second, CPU: 10 * time.Second, Stdout: 1 << 20, Stderr: 1 << 20, Temp: 1 << 20, Processes: 4}
}
