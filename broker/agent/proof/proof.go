// Package proof is how an agent makes sure that a helper makes what the local compiler
// makes: before the first job of a pair of toolchains that are not identical, by
// compiling a corpus with both (Prover.Calibrate, for package calibrate), and of jobs
// that are done, by doing some of them locally, too (Prover.Verify).
package proof

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker/agent/input"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/calibrate"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/monitor"
)

// Options are what a Prover works with; it needs all of them but the last.
type Options struct {
	Fleet    *fleet.Fleet
	Book     *calibrate.Book // what was found, kept on disk
	Input    *input.Maker
	Slots    *slots.Slots // for compiles on the client
	Counters *monitor.Counters
	Log      *logrus.Logger
	// VerifyTime bounds the local compile of a job that is verified; 0 means six hours.
	VerifyTime time.Duration
}

// A Prover compares for one agent.
type Prover struct {
	Options
	trials trials // of toolchains
	sample sample // of jobs to verify
}

// New makes a Prover that has compared nothing yet.
func New(o Options) *Prover {
	return &Prover{Options: o, trials: trials{busy: make(chan struct{}, 1), failed: make(map[string]time.Time)}}
}
