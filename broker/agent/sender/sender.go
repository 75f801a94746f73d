// Package sender sends the client's own compiler to a helper that has none like it, where
// both sides' configurations allow that (the key packs). It is done once for each
// helper and compiler, beside the build: its jobs are local until the helper tells
// that it serves them.
//
// Only a compiler in the agent's own root is sent: in another root or mount
// namespace, what a name leads to is for the wrapper to say.
package sender

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/broker/pack"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/toolchains"
)

const (
	// packTime bounds making and sending one.
	packTime = 15 * time.Minute
	// packRest is how long one that failed is not tried again.
	packRest = 10 * time.Minute
	// lostRest is the same for one whose helper was lost meanwhile: that may be back in a
	// moment. It doubles up to packRest, for making and sending one costs seconds.
	lostRest = 10 * time.Second
	// packAgain is the same for one that was sent, and is not there: packs are gone
	// when a helper stops.
	packAgain = 2 * time.Minute
	// maxSent bounds what is remembered of them.
	maxSent = 256
)

// A Sender knows the packs that an agent has sent. Methods may be called at once.
type Sender struct {
	ctx  context.Context // ends what is sent
	log  logrus.FieldLogger
	work sync.WaitGroup

	mu   sync.Mutex        // guards what follows
	busy bool              // one is sent
	done map[string]try    // by helper and compiler: the last one
	said map[string]string // by helper: the last news, for people
}

// A try is how sending a pack ended.
type try struct {
	ended time.Time
	rest  time.Duration // for which it is not tried again
	lost  bool          // with the helper
}

// A lostError is why a helper went away while it was sent something.
type lostError struct{ error }

func (e lostError) Unwrap() error { return e.error }

// New makes a sender that has sent nothing. When ctx ends so does what it sends; Wait
// returns after that.
func New(ctx context.Context, log logrus.FieldLogger) *Sender {
	return &Sender{ctx: ctx, log: log}
}

// Wait returns when nothing is sent any more. Offer is not called after.
func (s *Sender) Wait() { s.work.Wait() }

// Busy reports whether something is sent now.
func (s *Sender) Busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy
}

// begin reports whether a pack may be sent now; then the caller calls end.
func (s *Sender) begin(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, tried := s.done[key]; s.busy || tried && time.Since(last.ended) < last.rest {
		return false
	}
	if s.done == nil || len(s.done) >= maxSent && s.done[key] == (try{}) {
		s.done = map[string]try{}
	}
	s.busy = true
	return true
}

// end notes how it ended.
func (s *Sender) end(key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := try{ended: time.Now(), rest: packRest}
	_, now.lost = errors.AsType[lostError](err)
	switch last := s.done[key]; {
	case err == nil:
		now.rest = packAgain
	case now.lost && last.lost:
		now.rest = min(2*last.rest, packRest)
	case now.lost:
		now.rest = lostRest
	}
	s.busy, s.done[key] = false, now
}

// say notes the news of a helper.
func (s *Sender) say(helper, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said == nil {
		s.said = map[string]string{}
	}
	s.said[helper] = text
}

// Fill adds the news to the helpers of a status.
func (s *Sender) Fill(list []monitor.HelperStatus) []monitor.HelperStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		list[i].Pack = s.said[list[i].Address]
	}
	return list
}

// Offer begins to send the compiler of a job that no helper does to the first of them
// that takes it.
func (s *Sender) Offer(c *compile.Compile, list []fleet.Prospect) {
	if !c.Settings.Packs || c.Program == "" || c.Session.Request.Verb != local.VerbCompile || !c.Session.Files.Own() {
		return
	}
	for _, p := range list {
		key := p.Address + " " + c.Program + " " + c.Toolchain.Digest()
		if !p.Packs() || !s.begin(key) {
			continue
		}
		tc, program, path := c.Toolchain, c.Program, c.Session.Getenv("PATH")
		s.work.Go(func() {
			err := s.send(p, program, path, tc)
			s.end(key, err)
			if err != nil {
				s.say(p.Address, fmt.Sprintf("%s not sent: %v", tc.Identity, err))
				s.log.WithError(err).WithField("helper", p.Address).Warn("compiler not sent")
			}
		})
		return
	}
}

// send makes a pack of a compiler and sends it.
func (s *Sender) send(p fleet.Prospect, program, path string, tc toolchains.Toolchain) error {
	ctx, cancel := context.WithTimeoutCause(s.ctx, packTime, fmt.Errorf("not done after %s", packTime))
	defer cancel()
	began := time.Now()
	s.say(p.Address, "packing "+tc.Identity.String())
	made, err := pack.Make(ctx, []string{program}, path)
	if err != nil {
		return err
	}
	if !made.Toolchains[0].Fingerprint.Equal(tc.Fingerprint) {
		return errors.New("the compiler is another one than a moment ago")
	}
	file, err := images.Unnamed("")
	if err != nil {
		return err
	}
	defer file.Close()
	blob, err := blobOf(file, func(w io.Writer) error { _, err := made.Write(w); return err })
	if err != nil {
		return err
	}
	mib := blob.Digest.Size >> 20
	s.log.WithField("helper", p.Address).Infof("sending %s, %d MiB", tc.Identity, mib)
	if err := p.SendPack(ctx, blob, func(text string) {
		s.say(p.Address, fmt.Sprintf("%s, %d MiB: %s", tc.Identity, mib, text))
	}); err != nil {
		if _, refused := errors.AsType[*broker.Refusal](err); refused || ctx.Err() != nil {
			return err
		}
		return lostError{err}
	}
	text := fmt.Sprintf("%s sent, %d MiB in %s", tc.Identity, mib, time.Since(began).Round(100*time.Millisecond))
	s.say(p.Address, text)
	s.log.WithField("helper", p.Address).Info(text)
	return nil
}

// blobOf is what write writes, kept in a file that stays open while it is wanted.
func blobOf(file *os.File, write func(io.Writer) error) (broker.Blob, error) {
	h := sha256.New()
	if err := write(io.MultiWriter(file, h)); err != nil {
		return broker.Blob{}, err
	}
	st, err := file.Stat()
	if err != nil {
		return broker.Blob{}, err
	}
	d := broker.Digest{Hash: hex.EncodeToString(h.Sum(nil)), Size: st.Size()}
	return broker.FileBlob(d, func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(file, 0, d.Size)), nil }), nil
}
