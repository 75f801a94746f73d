package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/account"
	"github.com/crosscc/crosscc/e2e/bench/contender"
	"github.com/crosscc/crosscc/e2e/bench/place"
)

// A cell is what one contender's rounds of one step gave.
type cell struct {
	step    step
	name    string // the contender's
	samples []place.Sample
	// notes tell what was not as it should be, each once.
	notes []string
}

func (c *cell) note(text string) {
	if text != "" && !slices.Contains(c.notes, text) {
		c.notes = append(c.notes, text)
	}
}

// A result is what an arena gave.
type result struct {
	arena arena
	cells []*cell
	left  []string // contenders that could not go on, and why
	trip  time.Duration
}

// A meeting is an arena under way.
type meeting struct {
	chosen
	book  *account.Book
	seats []*seat
	round int // of the sources; the same for all, so that objects can be compared
	log   io.Writer
	other *[]float64 // share of the machine that others used, one a round
	result
}

// A seat is a contender at its place.
type seat struct {
	contender.Contender
	place   *place.Place
	running *contender.Running // nil: not started
	built   int                // the round whose objects all its caches know
	lost    error              // why it can't go on
}

// meet runs an arena's steps. A contender that fails is left out from then on;
// only what concerns all is an error.
func meet(ctx context.Context, book *account.Book, root string, c chosen, order []contender.Contender, log io.Writer, other *[]float64) (_ result, err error) {
	m := &meeting{chosen: c, book: book, log: log, other: other, result: result{arena: c.arena}, round: 1}
	defer func() { err = errors.Join(err, m.close()) }()
	for i, who := range c.contenders(order) {
		p, err := place.New(book, root, fmt.Sprintf("p%d", i), c.network, c.w)
		if err != nil {
			return m.result, fmt.Errorf("make a place for %s: %w", who.Name, err)
		}
		m.seats = append(m.seats, &seat{Contender: who, place: p})
	}
	if p := m.seats[0].place; p.Wire != nil {
		if m.trip, err = p.Wire.Measure(ctx, 21); err != nil {
			return m.result, err
		}
	}
	for _, s := range c.steps {
		if err := m.run(ctx, s); err != nil {
			return m.result, err
		}
	}
	return m.result, nil
}

// run is one step: its rounds, each with all contenders in turn, so that what
// else the machine does hits all alike. Who begins changes from round to round.
func (m *meeting) run(ctx context.Context, s step) error {
	var here []*seat
	cells := make(map[*seat]*cell)
	for _, seat := range m.seats {
		if seat.lost == nil && slices.ContainsFunc(m.entries[s], func(c contender.Contender) bool { return c.Name == seat.Name }) {
			here = append(here, seat)
			cells[seat] = &cell{step: s, name: seat.Name}
			m.cells = append(m.cells, cells[seat])
		}
	}
	for round := range s.rounds {
		m.round++
		for i := range here {
			seat := here[(i+round)%len(here)]
			if seat.lost != nil {
				continue
			}
			begin := time.Now()
			got, note, err := m.one(ctx, s, seat)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				m.lose(ctx, seat, s, err)
				continue
			}
			cells[seat].samples = append(cells[seat].samples, got)
			cells[seat].note(note)
			fmt.Fprintf(m.log, "%s/%s %d: client %.2f ms a job, wall %.2f s, %.0f s with what prepares it %s\n",
				m.name(s), seat.Name, round+1, clientMillis(got), got.Wall.Seconds(), time.Since(begin).Seconds(), note)
		}
		m.compare(here, cells, s)
	}
	return nil
}

// lose leaves a contender out of what follows.
func (m *meeting) lose(ctx context.Context, seat *seat, s step, err error) {
	seat.lost = err
	m.left = append(m.left, fmt.Sprintf("%s, from %s at -j%d on: %s", seat.Name, s.mode, s.jobs, strings.TrimSpace(err.Error())))
	fmt.Fprintf(m.log, "%s is left out: %v\n", seat.Name, err)
	if seat.running != nil {
		if err := seat.stop(ctx); err != nil {
			fmt.Fprintf(m.log, "%s: %v\n", seat.Name, err)
		}
	}
}

// one is one round of one contender: it prepares what the mode wants, measures
// a build, and looks whether the jobs went as they should.
func (m *meeting) one(ctx context.Context, s step, seat *seat) (place.Sample, string, error) {
	word, err := m.prepare(ctx, s, seat)
	if err != nil {
		return place.Sample{}, "", err
	}
	before, err := account.ReadMachine()
	if err != nil {
		return place.Sample{}, "", err
	}
	begin := time.Now()
	got, err := seat.build(ctx, s.jobs, word)
	if err != nil {
		return place.Sample{}, "", err
	}
	if after, err := account.ReadMachine(); err == nil {
		rest := after.Busy + after.Stolen - before.Busy - before.Stolen - got.Client - got.Helper
		*m.other = append(*m.other, max(0, float64(rest)/float64(time.Since(begin))))
	}
	if word == "" {
		seat.built = m.round
	}
	note := ""
	if seat.running.Check != nil {
		note, err = seat.running.Check(ctx, s.mode, m.w.Jobs)
	}
	return got, note, err
}

// prepare brings a contender to where the mode begins, and returns make's
// further word, if any.
func (m *meeting) prepare(ctx context.Context, s step, seat *seat) (word string, err error) {
	p := seat.place
	if s.mode == contender.Cold && seat.running != nil {
		if err := errors.Join(seat.stop(ctx), p.Wipe()); err != nil {
			return "", err
		}
	}
	if seat.running == nil {
		r, err := seat.Start(ctx, p)
		if err != nil {
			return "", err
		}
		seat.running = r
		if s.mode != contender.Cold {
			if err := m.prime(ctx, seat, m.round-1); err != nil {
				return "", err
			}
		}
	}
	if err := p.Workload.Clean(p.Work); err != nil {
		return "", err
	}
	switch s.mode {
	case contender.Define:
		// The sources stay as they are; the number is new to all caches.
		return fmt.Sprintf("DEFINE=-DSALT=%d", m.round), nil
	case contender.Hit:
		if seat.built == 0 {
			if err := m.prime(ctx, seat, m.round); err != nil {
				return "", err
			}
		}
		return "", p.Workload.Clean(p.Work)
	}
	if err := p.Workload.Edit(p.Work, m.round); err != nil {
		return "", err
	}
	// A build does not begin in the instant of the last edit.
	time.Sleep(100 * time.Millisecond)
	return "", nil
}

// prime builds once, unmeasured.
func (m *meeting) prime(ctx context.Context, seat *seat, round int) error {
	p := seat.place
	if err := errors.Join(p.Workload.Clean(p.Work), p.Workload.Edit(p.Work, round)); err != nil {
		return err
	}
	if _, err := seat.build(ctx, contender.HelperJobs, ""); err != nil {
		return err
	}
	seat.built = round
	if seat.running.Check != nil {
		// Whatever it says, the next check begins here.
		_, err := seat.running.Check(ctx, contender.Cold, m.w.Jobs)
		return err
	}
	return nil
}

// build runs make once.
func (s *seat) build(ctx context.Context, jobs int, word string) (place.Sample, error) {
	var env []string
	if s.running.Env != nil {
		env = s.running.Env(jobs)
	}
	compiler := s.place.Workload.Compiler()
	if s.running.Command != "" {
		compiler = s.running.Command + " " + compiler
	}
	words := []string{"COMPILER=" + compiler}
	if word != "" {
		words = append(words, word)
	}
	return s.place.Measure(ctx, env, jobs, words...)
}

func (s *seat) stop(ctx context.Context) error {
	r := s.running
	s.running, s.built = nil, 0
	if r.Stop == nil {
		return nil
	}
	return r.Stop(ctx)
}

// compare looks whether every contender's objects are those of the local
// compiler, where it took part in the round.
func (m *meeting) compare(here []*seat, cells map[*seat]*cell, s step) {
	i := slices.IndexFunc(here, func(s *seat) bool { return s.Name == contender.Plain().Name && s.lost == nil })
	if i < 0 || s.mode == contender.Hit {
		return
	}
	for _, seat := range here {
		if seat.lost != nil || seat.running.Command == "true" {
			continue
		}
		differ := 0
		for k := range m.w.Jobs {
			want, err := os.ReadFile(m.w.Object(here[i].place.Work, k))
			have, err2 := os.ReadFile(m.w.Object(seat.place.Work, k))
			if err != nil || err2 != nil || !bytes.Equal(want, have) {
				differ++
			}
		}
		if differ > 0 {
			cells[seat].note(fmt.Sprintf("%d of %d objects are not the local compiler's", differ, m.w.Jobs))
		}
	}
}

// close ends all contenders and removes their places.
func (m *meeting) close() error {
	// Also after an interrupt: what we started must end.
	ctx, cancel := context.WithTimeout(context.Background(), 2*place.StopLimit)
	defer cancel()
	var errs []error
	for _, s := range m.seats {
		if s.running != nil {
			if err := s.stop(ctx); err != nil {
				errs = append(errs, fmt.Errorf("stop %s: %w", s.Name, err))
			}
		}
		errs = append(errs, s.place.Close())
	}
	return errors.Join(errs...)
}
