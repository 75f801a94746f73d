package proof

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/crosscc/crosscc/broker/monitor"
)

const (
	// maxSample bounds how many jobs can be asked for at once.
	maxSample = 1 << 30
	// maxFindings bounds what is remembered of those that differed.
	maxFindings = 100
)

// A sample is the jobs that somebody wants verified. The zero value wants none.
type sample struct {
	mu sync.Mutex // guards the fields below
	of monitor.Verification
}

// ask begins anew with the next n jobs.
func (s *sample) ask(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of = monitor.Verification{Wanted: n, Left: n}
}

// end wants no more of them; what was found stays.
func (s *sample) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of.Left = 0
}

// take reports whether the next job is one of them.
func (s *sample) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of.Left == 0 {
		return false
	}
	s.of.Left--
	return true
}

// note keeps what came of a job, whoever wanted it verified.
func (s *sample) note(command []string, helper, differs string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if differs == "" {
		s.of.Same++
		return
	}
	s.of.Differed++
	if len(s.of.Findings) < maxFindings {
		s.of.Findings = append(s.of.Findings, monitor.Finding{Command: command, Helper: helper, Differs: differs})
	}
}

// giveUp counts a job whose local compile did not come to an end.
func (s *sample) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of.Unfinished++
}

// Verification answers crossctl verify: "next N", "end", "clear [HELPER]", or
// nothing for what was found.
func (pr *Prover) Verification(words []string) (monitor.Verification, error) {
	cleared := 0
	switch {
	case len(words) == 0:
	case len(words) == 2 && words[0] == "next":
		n, err := strconv.Atoi(words[1])
		if err != nil || n < 1 || n > maxSample {
			return monitor.Verification{}, fmt.Errorf("verify: %q is not a number of compiles", words[1])
		}
		pr.sample.ask(n)
	case words[0] == "end":
		pr.sample.end()
	case words[0] == "clear" && len(words) <= 2:
		var err error
		if cleared, err = pr.Book.Clear(slices.Concat(words[1:], []string{""})[0]); err != nil {
			return monitor.Verification{}, err
		}
	default:
		return monitor.Verification{}, fmt.Errorf("verify: agent knows no %q", words)
	}
	pr.sample.mu.Lock()
	v := pr.sample.of
	v.Findings = slices.Clone(v.Findings)
	pr.sample.mu.Unlock()
	if v.Findings == nil {
		v.Findings = []monitor.Finding{}
	}
	if v.Distrusted = pr.Distrusted(); v.Distrusted == nil {
		v.Distrusted = []monitor.Distrusted{}
	}
	v.Cleared = cleared
	return v, nil
}
