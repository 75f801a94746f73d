package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/account"
	"github.com/crosscc/crosscc/e2e/bench/census"
	"github.com/crosscc/crosscc/e2e/bench/contender"
	"github.com/crosscc/crosscc/e2e/bench/link"
	"github.com/crosscc/crosscc/e2e/bench/place"
	"github.com/crosscc/crosscc/e2e/bench/table"
	"github.com/crosscc/crosscc/e2e/bench/workload"
)

// A profile tells where the client's processor time goes.
type profile struct {
	place.Sample
	census.Count
	agent time.Duration // of the agent and what it starts
	note  string
}

// profileOf takes the profile of crosscc with one helper: of a build that is
// warm, or a hit.
func profileOf(ctx context.Context, book *account.Book, bin, root string, w *workload.Workload, s step) (r profile, err error) {
	p, err := place.New(book, root, "profile", place.Networks()[0], w)
	if err != nil {
		return r, err
	}
	m := &meeting{chosen: chosen{arena: arena{w: w}}, round: 1, other: new([]float64)}
	one := &seat{Contender: contender.Crosscc(bin), place: p}
	m.seats = []*seat{one}
	defer func() { err = errors.Join(err, m.close()) }()
	m.round++
	word, err := m.prepare(ctx, s, one)
	if err != nil {
		return r, err
	}
	pid := contender.FindAgent(p.Client, bin)
	if pid == 0 {
		return r, errors.New("no agent runs after a build")
	}
	agent, err := p.Client.Group.Split("agent", filepath.Join(bin, "crossccd")+"\x00agent", pid)
	if err != nil {
		return r, err
	}
	defer func() {
		// The agent ends with the seat, which must be before its group.
		if one.running != nil {
			err = errors.Join(err, one.stop(context.WithoutCancel(ctx)))
		}
		_, cerr := agent.Close()
		err = errors.Join(err, cerr)
	}()
	before, err := agent.Used()
	if err != nil {
		return r, err
	}
	c, cerr := census.Take(pid)
	if cerr == nil {
		p.Client.Started = func(cmd *exec.Cmd) { c.Add(cmd.Process.Pid) }
	}
	r.Sample, err = one.build(ctx, s.jobs, word)
	p.Client.Started = nil
	if err != nil {
		return r, err
	}
	after, err := agent.Used()
	if err != nil {
		return r, err
	}
	r.agent = after - before
	r.note, err = one.running.Check(ctx, s.mode, w.Jobs)
	if cerr != nil {
		r.note = strings.TrimPrefix(r.note+"; processes not counted: "+cerr.Error(), "; ")
		return r, err
	}
	// make itself is not born of anything that the census knows.
	r.Count = c.End()
	return r, err
}

func writeProfile(w io.Writer, name string, r profile) {
	jobs := float64(r.Jobs)
	agent, all := millis(r.agent)/jobs, clientMillis(r.Sample)
	var programs []string
	for _, p := range slices.Sorted(maps.Keys(r.Programs)) {
		programs = append(programs, fmt.Sprintf("%s %.2f", p, float64(r.Programs[p])/jobs))
	}
	note := r.note
	if r.Missed > 0 {
		note += "; events were lost, so processes are more"
	}
	fmt.Fprintf(w, "\n### Profile: %s\n\n", name)
	table.Write(w, []string{"client CPU, ms a job", "agent and what it starts", "make, wrappers and what they start", "processes a job", "programs run, a job", ""},
		[][]string{{table.Figure(all), table.Figure(agent), table.Figure(all - agent), table.Figure(float64(r.Born) / jobs), strings.Join(programs, ", "), note}})
}

// talkTrip is long beside all else that a job waits for.
const talkTrip = 400 * time.Millisecond

// talk is what client and helper say to each other over one warm compile, at
// -j1 on a long link: the last of some.
func talk(ctx context.Context, book *account.Book, bin, root string, w *workload.Workload) (turns []link.Turn, err error) {
	p, err := place.New(book, root, "talk", place.Network{Name: "talk", Shape: link.Shape{RoundTrip: talkTrip}}, w.Few(3))
	if err != nil {
		return nil, err
	}
	m := &meeting{chosen: chosen{arena: arena{w: p.Workload}}, round: 1, other: new([]float64)}
	one := &seat{Contender: contender.Crosscc(bin), place: p}
	m.seats = []*seat{one}
	defer func() { err = errors.Join(err, m.close()) }()
	m.round++
	word, err := m.prepare(ctx, step{contender.Warm, 1, 1}, one)
	if err != nil {
		return nil, err
	}
	p.Wire.Record()
	_, err = one.build(ctx, 1, word)
	return p.Wire.Spoken(), err
}

func writeTalk(w io.Writer, turns []link.Turn) {
	fmt.Fprintf(w, "\n### What three warm compiles say over a link with a round trip of %v, -j1\n\n", talkTrip)
	var rows [][]string
	for _, t := range turns {
		who := "helper"
		if t.ToHelper {
			who = "client"
		}
		rows = append(rows, []string{fmt.Sprintf("%.0f", millis(t.At.Sub(turns[0].At))), who, fmt.Sprint(t.Bytes)})
	}
	table.Write(w, []string{"ms", "who", "bytes"}, rows)
}
