// Command demo is `make demo`: it builds Lua for three targets through crosscc
// and a helper on loopback, builds it again with the compilers that crosscc
// stands for, and compares the objects byte by byte. It ends with a table, and
// with status 1 when one object differs or one compile was not remote.
//
// Start with run, which is the demo from top to bottom.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

// run is the demo. What it starts is over when it returns, whatever ctx does.
func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	bin := flags.String("bin", "bin", "directory of crosscc, crossccd and crossctl")
	cache := flags.String("cache", ".cache/demo", "directory that keeps Lua's source package and apt's lists")
	debug := flags.Bool("debug", false, "build with -g: code and data must be identical, line tables need not")
	jobs := flags.Int("j", runtime.NumCPU(), "make's jobs at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("the demo's targets are for an x86_64 machine, this one is %s", runtime.GOARCH)
	}
	dir, err := os.MkdirTemp("", "crosscc-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// A helper that was started as root works as another user below it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	source := filepath.Join(dir, "lua")
	name, err := fetchLua(ctx, *cache, source)
	if err != nil {
		return fmt.Errorf("fetch Lua's source: %w", err)
	}
	s, err := startSite(ctx, *bin, dir, *debug)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	fmt.Printf("Lua is Debian's %s without its patches; the helper listens at %s\n", name, s.helper)

	var rows []row
	for _, t := range targets() {
		fmt.Printf("building Lua for %s, through crosscc and without\n", t.chost)
		r, err := s.build(ctx, t, source, *jobs)
		if err != nil {
			return fmt.Errorf("%s: %w", t.chost, err)
		}
		rows = append(rows, r)
	}
	printTable(os.Stdout, rows)
	return verdict(rows)
}
