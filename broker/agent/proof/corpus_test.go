package proof

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/session/sessiontest"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/calibrate"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
)

// The client's compiler compiles the corpus in a directory of its own, of which nothing is
// left, whatever comes of it.
func TestCorpusHome(t *testing.T) {
	gcc := drivertest.Need(t, "gcc-12")
	temp, tools := t.TempDir(), t.TempDir()
	up := filepath.Join(tools, "up")
	slow := filepath.Join(tools, "slow-gcc")
	drivertest.Write(t, slow, "#!/bin/sh\n: >corpus.o; mkfifo "+up+"; echo >"+up+"; exec sleep 60\n", 0o755)
	var places slots.Slots
	places.Resize(1)
	pr := New(Options{Slots: &places})
	unit := func(source string) calibrate.Unit { return calibrate.Unit{Language: argv.C, Source: []byte(source)} }
	compiled := func(ctx context.Context, program, source string) (calibrate.Outcome, error) {
		t.Helper()
		c := &compile.Compile{Session: sessiontest.New(t, []string{program, "-c", "a.c"}, "TMPDIR="+temp), Program: program}
		c.Cmd = argv.Parse([]string{"-c", "a.c"}, argv.Env{Family: argv.GCC})
		out, err := pr.corpusHome(ctx, c, &calibrate.Question{Words: []string{"-O2", "-g"}}, unit(source))
		left, rerr := os.ReadDir(temp)
		if _, held := places.Figures(); rerr != nil || len(left) > 0 || held > 0 {
			t.Errorf("%s: left are %v (%v), and %d places", program, left, rerr, held)
		}
		return out, err
	}
	if out, err := compiled(t.Context(), gcc, "int f(void) { return 1; }\n"); err != nil || out.Status != 0 || !strings.HasPrefix(string(out.Object), "\x7fELF") || strings.Contains(string(out.Object), temp) {
		t.Errorf("status %d, %v: %s %.20q", out.Status, err, out.Stderr, out.Object)
	}
	if out, err := compiled(t.Context(), gcc, "int f(void) { return 1 }\n"); err != nil || out.Status != 1 || !strings.Contains(string(out.Stderr), "expected") {
		t.Errorf("a corpus that does not compile: status %d, %v: %s", out.Status, err, out.Stderr)
	}
	if out, err := compiled(t.Context(), filepath.Join(tools, "none"), ""); err == nil {
		t.Errorf("a compiler that is not there: status %d: %s", out.Status, out.Stderr)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer stop()
		for ctx.Err() == nil { // until the compiler has begun
			if f, err := os.Open(up); err == nil {
				_, _ = fmt.Fscanln(f)
				f.Close()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := compiled(ctx, slow, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}
