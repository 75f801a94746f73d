package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crosscc/crosscc/e2e/object"
	"github.com/crosscc/crosscc/e2e/site"
	"github.com/crosscc/crosscc/e2e/userland"
)

// Names in the user land.
const (
	home    = "/home/project"
	foreign = "/opt/crosscc"
)

// warmLimit bounds how long the first jobs may take to reach the helper: a pair of
// toolchains that is not yet proven is compared first, for each language, and the
// client's side of that is done in emulation.
const warmLimit = 15 * time.Minute

// settleLimit bounds how long counts may lag.
const settleLimit = 10 * time.Second

// A client is a user land with a project in it.
type client struct {
	land    userland.Userland
	jobs    int
	away    int    // make's jobs through crosscc
	project string // its directory on this machine
	foreign string // the directory of the programs of the client's architecture

	want  map[string][]byte // what its own compiler makes, by name
	alone userland.Cost
}

// A row is what came of one build through crosscc.
type row struct {
	arch, agent string
	objects     int
	same        int // objects that are the same but for .comment
	equal       int // those among them that are the same bytes
	other       int // dependency files that are the same
	alone, took userland.Cost
	status      site.Status
	faults      []string
}

// local builds without crosscc.
func (c *client) local(ctx context.Context) (err error) {
	if c.alone, err = c.land.Measure(ctx, userland.View{home: c.project}, locale(), home, c.make(c.jobs, "gcc", "g++")...); err != nil {
		return err
	}
	c.want, err = c.take()
	return err
}

func locale() []string { return []string{"LC_ALL=C.UTF-8"} }

func (c *client) make(jobs int, cc, cxx string) []string {
	return []string{"make", "-s", "-j" + strconv.Itoa(jobs), "CC=" + cc, "CXX=" + cxx}
}

// compare builds through crosscc. dir is the site's, at its own name in the user
// land because the agent's socket lies there.
func (c *client) compare(ctx context.Context, s *site.Site, dir string, inside bool) (r row, err error) {
	r = row{arch: c.land.Arch.Debian, agent: "outside", alone: c.alone}
	view := userland.View{home: c.project, foreign: c.foreign, dir: dir}
	if inside {
		r.agent = "inside"
	} else if err := startOutside(ctx, s, dir); err != nil {
		return r, err
	}
	if err := c.warm(ctx, s, view); err != nil {
		return r, err
	}
	before, err := s.Status(ctx)
	if err != nil {
		return r, err
	}
	agent, err := processTime(before.Agent.PID)
	if err != nil {
		return r, err
	}
	if r.took, err = c.land.Measure(ctx, view, s.Env, home, c.make(c.away, foreign+"/crosscc gcc", foreign+"/crosscc g++")...); err != nil {
		return r, err
	}
	after, err := processTime(before.Agent.PID)
	if err != nil {
		return r, err
	}
	r.took.CPU += after - agent
	have, err := c.take()
	if err != nil {
		return r, err
	}
	if r.status, err = settled(ctx, s, before, len(have)/2); err != nil {
		return r, err
	}
	r.compare(have, c.want)
	return r, nil
}

// processTime is what a process has had of the processors: the agent is nobody's
// child, and no command's time has it.
func processTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("the agent's time: %w", err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // from the third on
	if len(fields) < 13 {
		return 0, fmt.Errorf("the agent's time: %d fields", len(fields))
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	const tick = time.Second / 100 // USER_HZ
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// settled is what was counted since before, when all jobs are in the count: they
// are counted a moment after their wrapper has ended.
func settled(ctx context.Context, s *site.Site, before site.Status, jobs int) (st site.Status, err error) {
	for end := time.Now().Add(settleLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		now, err := s.Status(ctx)
		if err != nil {
			return st, err
		}
		st = now.Since(before)
		if st.Jobs.Remote+st.Jobs.Cached+st.Jobs.Local >= jobs {
			break
		}
	}
	return st, nil
}

// startOutside has this machine's wrapper start this machine's agent, which then
// answers at the socket when the wrapper in the user land asks.
func startOutside(ctx context.Context, s *site.Site, dir string) error {
	source := filepath.Join(dir, "first.c")
	if err := os.WriteFile(source, nil, 0o644); err != nil {
		return err
	}
	env := append(slices.Clone(s.Env), "PATH="+os.Getenv("PATH"))
	return site.Run(ctx, dir, env, s.Program("crosscc"), "gcc", "-c", source, "-o", filepath.Join(dir, "first.o"))
}

// warm compiles a file of each language with the project's flags until both came
// from the helper.
func (c *client) warm(ctx context.Context, s *site.Site, view userland.View) error {
	limited, cancel := context.WithTimeout(ctx, warmLimit)
	defer cancel()
	for _, words := range [][]string{{"gcc", "c"}, {"g++", "c++"}} {
		command := append([]string{foreign + "/crosscc", words[0]}, flags()...)
		command = append(command, "-x", words[1], "-c", "warm", "-o", "/tmp/warm.o")
		var st site.Status
		for st.Jobs.Remote+st.Jobs.Cached == 0 { // a second try finds what the first left
			before, err := s.Status(ctx)
			if err != nil {
				return err
			}
			err = c.land.Run(limited, view, s.Env, home, command...)
			if limited.Err() != nil {
				return fmt.Errorf("the first jobs were not remote within %v; jobs were local because of %v", warmLimit, before.LocalLast)
			}
			if err != nil {
				return err
			}
			if st, err = s.Status(ctx); err != nil {
				return err
			}
			st = st.Since(before)
			time.Sleep(100 * time.Millisecond)
		}
	}
	return nil
}

// take removes the objects and dependency files from the project and gives them.
func (c *client) take() (map[string][]byte, error) {
	made := make(map[string][]byte)
	err := filepath.WalkDir(c.project, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ext := filepath.Ext(path); ext != ".o" && ext != ".d" {
			return nil
		}
		if made[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			return err
		}
		return os.Remove(path)
	})
	if err == nil && len(made) == 0 {
		err = errors.New("the build made no object")
	}
	return made, err
}

// compare counts, and lists what should not be.
func (r *row) compare(have, want map[string][]byte) {
	if len(have) != len(want) {
		r.fault("%d files were made, locally %d", len(have), len(want))
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		equal := bytes.Equal(have[name], want[name])
		if filepath.Ext(name) == ".d" {
			if r.other++; !equal {
				r.fault("%s differs", name)
			}
			continue
		}
		r.objects++
		if err := object.ButComment(name+" of the helper", have[name], name, want[name]); err != nil {
			r.fault("%v", err)
			continue
		}
		r.same++
		if equal {
			r.equal++
		}
	}
	if n := r.status.Jobs.Remote; n != r.objects {
		r.fault("of %d compiles %d were remote; local: %v (%v)", r.objects, n, r.status.LocalReasons, r.status.LocalLast)
	}
	for why, n := range r.status.Preprocessed {
		r.fault("%d compiles had no tree: %s", n, why)
	}
}

func (r *row) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}
