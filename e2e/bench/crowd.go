package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/account"
	"github.com/crosscc/crosscc/e2e/bench/contender"
	"github.com/crosscc/crosscc/e2e/bench/place"
	"github.com/crosscc/crosscc/e2e/bench/table"
	"github.com/crosscc/crosscc/e2e/bench/workload"
)

// The crowd: how the agent bears many jobs at once.
const (
	crowdName    = "crowd"
	crowdHelpers = 4
	crowdJobs    = 64
)

// A crowdResult is what the run said of the agent.
type crowdResult struct {
	place.Sample
	peak  peak
	note  string // jobs that did not end as they should
	whole bool   // all objects are there
}

// A peak is the most that a process had of something.
type peak struct {
	rss         int64 // kB, of its whole life: the kernel keeps it
	descriptors int   // seen by looking often
	threads     int
}

// crowd builds many small files at -j64 with four helpers, from nothing.
func crowd(ctx context.Context, book *account.Book, bin, root string, w *workload.Workload) (r crowdResult, err error) {
	p, err := place.New(book, root, crowdName, place.Networks()[0], w)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var addresses []string
	for i := range crowdHelpers {
		h, err := contender.StartHelper(ctx, bin, p, fmt.Sprintf("helper%d", i), contender.HelperJobs)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, h.Stop()) }()
		addresses = append(addresses, h.Address)
	}
	run, err := contender.StartClient(bin, p, addresses)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, run.Stop(context.WithoutCancel(ctx))) }()
	// Slots for all jobs, over all helpers.
	env := run.Env(crowdJobs / crowdHelpers)

	watching, stop := context.WithCancel(ctx)
	peaks := make(chan peak, 1)
	go func() { peaks <- watch(watching, p.Client, bin) }()
	r.Sample, err = p.Measure(ctx, env, crowdJobs, "COMPILER="+run.Command+" "+w.Compiler())
	stop()
	r.peak = <-peaks
	if err != nil {
		return r, err
	}
	r.whole = true
	for i := range w.Jobs {
		if info, err := os.Stat(w.Object(p.Work, i)); err != nil || info.Size() == 0 {
			r.whole = false
		}
	}
	r.note, err = run.Check(ctx, contender.Cold, w.Jobs)
	return r, err
}

// watch looks at the agent of a client until ctx ends.
func watch(ctx context.Context, h *place.Host, bin string) (p peak) {
	pid := 0
	for {
		select {
		case <-ctx.Done():
			return p
		case <-time.After(25 * time.Millisecond):
		}
		if pid == 0 {
			pid = contender.FindAgent(h, bin)
			continue
		}
		entries, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
		p.descriptors = max(p.descriptors, len(entries))
		text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
		p.rss = max(p.rss, statusField(string(text), "VmHWM"))
		p.threads = max(p.threads, int(statusField(string(text), "Threads")))
	}
}

// statusField is a number of /proc/PID/status; 0 when it is not there.
func statusField(text, name string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				n, _ := strconv.ParseInt(fields[0], 10, 64)
				return n
			}
		}
	}
	return 0
}

func writeCrowd(w io.Writer, r crowdResult, about string) {
	fmt.Fprintf(w, "\n### make -j%d of %d %s, %d helpers on loopback, cold\n\n", crowdJobs, r.Jobs, about, crowdHelpers)
	note := r.note
	if !r.whole {
		note = "objects are missing; " + note
	}
	table.Write(w, []string{"agent's peak memory, MiB", "peak descriptors", "peak threads", "client CPU, ms a job", "wall, s", "jobs a second", "lost jobs"},
		[][]string{{
			fmt.Sprintf("%.1f", float64(r.peak.rss)/1024), fmt.Sprint(r.peak.descriptors), fmt.Sprint(r.peak.threads),
			table.Figure(clientMillis(r.Sample)), table.Figure(r.Wall.Seconds()), table.Figure(float64(r.Jobs) / r.Wall.Seconds()), orNone(note),
		}})
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
