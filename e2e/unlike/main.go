// Command unlike is `make e2e-unlike`: a machine of another architecture is the
// client, and this one the helper. The client is a user land of Debian's packages
// with its own gcc, run in emulation; its wrapper and agent are programs of its
// architecture, and all that it is told is the helper's address. A generated
// project is built there through crosscc and with its own compiler; every object
// must be the same but for .comment, which names the compiler's revision. The
// table at the end has both times.
//
// Start with run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/e2e/debian"
	"github.com/crosscc/crosscc/e2e/site"
	"github.com/crosscc/crosscc/e2e/tool"
	"github.com/crosscc/crosscc/e2e/userland"
)

func main() {
	os.Exit(tool.Main("unlike", run))
}

// options are the command line.
type options struct {
	bin, foreign, cache string
	arches, agents      string
	files, jobs, away   int
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("unlike", flag.ContinueOnError)
	flags.StringVar(&o.bin, "bin", "bin", "directory of this machine's crosscc, crossccd and crossctl")
	flags.StringVar(&o.foreign, "foreign", "bin/foreign", "directory with one of each architecture's crosscc and crossccd: arm64, armhf, i386")
	flags.StringVar(&o.cache, "cache", ".cache/demo", "directory that keeps user lands and apt's lists")
	flags.StringVar(&o.arches, "arches", "arm64,armhf", "the clients' architectures, in Debian's words")
	flags.StringVar(&o.agents, "agents", "inside,outside", "where the agent runs: inside the user land, or outside as a program of this machine that serves the wrapper inside")
	flags.IntVar(&o.files, "files", 300, "how many sources the project has")
	flags.IntVar(&o.jobs, "j", runtime.NumCPU(), "make's jobs at once with its own gcc")
	flags.IntVar(&o.away, "away", 2*runtime.NumCPU(), "make's jobs at once through crosscc: those that wait for a helper need no processor")
	return o, flags.Parse(args)
}

// run is the whole comparison. What it starts is over when it returns.
func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("/tmp", "unlike-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// A helper that was started as root works as another user below it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	archive, err := debian.Open(o.cache)
	if err != nil {
		return err
	}
	var rows []row
	for _, arch := range userland.Arches() {
		if !slices.Contains(strings.Split(o.arches, ","), arch.Debian) {
			continue
		}
		u, err := userland.Open(ctx, archive, arch)
		if err != nil {
			return err
		}
		fmt.Printf("the %s user land is %s\n", arch.Debian, u.Root)
		more, err := o.client(ctx, u, filepath.Join(dir, arch.Debian))
		if err != nil {
			return fmt.Errorf("%s: %w", arch.Debian, err)
		}
		rows = append(rows, more...)
	}
	if len(rows) == 0 {
		return fmt.Errorf("no such architecture or agent: %s, %s", o.arches, o.agents)
	}
	printTable(os.Stdout, rows)
	return verdict(rows)
}

// client builds the project in one user land: with its own compiler, then through
// crosscc with the agent in each place.
func (o options) client(ctx context.Context, u userland.Userland, dir string) (rows []row, err error) {
	c := client{
		land: u, jobs: o.jobs, away: o.away, project: filepath.Join(dir, "project"),
		foreign: filepath.Join(o.foreign, u.Arch.Debian),
	}
	if c.foreign, err = filepath.Abs(c.foreign); err != nil {
		return nil, err
	}
	if err := errors.Join(os.MkdirAll(c.project, 0o755), writeProject(c.project, o.files)); err != nil {
		return nil, err
	}
	fmt.Printf("building %d files with its own gcc\n", o.files)
	if err := c.local(ctx); err != nil {
		return nil, err
	}
	for _, where := range strings.Split(o.agents, ",") {
		fmt.Printf("it took %.1f s; building them through crosscc, the agent %s\n", c.alone.Time.Seconds(), where)
		r, err := c.remote(ctx, o.bin, filepath.Join(dir, where), where == "inside")
		if err != nil {
			return nil, fmt.Errorf("agent %s: %w", where, err)
		}
		fmt.Printf("it took %.1f s, after the first jobs\n", r.took.Time.Seconds())
		rows = append(rows, r)
	}
	return rows, nil
}

// remote is one build through crosscc, with a helper and an agent of its own: no
// other's results are in their caches.
func (c *client) remote(ctx context.Context, bin, dir string, inside bool) (r row, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return r, err
	}
	s, err := site.Start(ctx, bin, dir, nil)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	return c.compare(ctx, s, dir, inside)
}
