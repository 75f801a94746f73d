package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
)

// icecc is icecream: a scheduler and a daemon on the helper, a daemon on the
// client. It sends the client's compiler along with the first job.
func icecc() contender {
	return contender{
		name: "icecream", modes: cold + " " + warm + " " + define,
		version: func(ctx context.Context, home string) (string, error) {
			for _, name := range []string{"iceccd", "icecc-scheduler"} {
				if _, err := exec.LookPath(name); err != nil {
					return "", errors.New(name + " is not on PATH")
				}
			}
			if os.Geteuid() != 0 {
				return "", errors.New("iceccd takes jobs only when it was started as root")
			}
			return firstLine(ctx, home, "icecc", "--version")
		},
		start: startIcecc,
	}
}

func startIcecc(ctx context.Context, p *place) (_ *running, err error) {
	var daemons icecream
	defer func() {
		if err != nil {
			err = errors.Join(err, daemons.stop())
		}
	}()
	scheduler, err := daemons.schedule(ctx, p)
	if err != nil {
		return nil, err
	}
	err = daemons.join(ctx, p.helper, scheduler, "-N", "helper", "-p", "10245", "-m", fmt.Sprint(helperJobs), "-vv")
	if err != nil {
		return nil, err
	}
	err = daemons.join(ctx, p.client, scheduler, "-N", "client", "-p", "10246", "-m", "0", "--no-remote", "-vv")
	if err != nil {
		return nil, err
	}
	log, done := icecLog(p.helper), 0
	return &running{
		command: "icecc",
		env: func(int) []string {
			// On loopback both daemons have one address, and icecc compiles itself
			// what a daemon of its own machine should.
			return []string{icecSocket(p.client), "ICECC_TEST_REMOTEBUILD=1"}
		},
		check: func(_ context.Context, _ string, n int) (string, error) {
			all := count(log, "Remote compilation completed with exit code 0")
			since := all - done
			done = all
			return onlyOf("compiled by the helper", since, n), nil
		},
		stop: func(context.Context) error { return daemons.stop() },
	}, nil
}

// icecream is what was started of it. All its daemons give up root: what they write
// lies where everybody may.
type icecream []*daemon

// schedule starts the scheduler on the helper and returns its address.
func (i *icecream) schedule(ctx context.Context, p *place) (string, error) {
	port, err := p.port()
	if err != nil {
		return "", err
	}
	d, err := p.helper.start(nil, "icecc-scheduler", "-n", "bench", "-p", port, "-l", p.helper.file("tmp/scheduler.log"))
	if err != nil {
		return "", err
	}
	*i = append(*i, d)
	return net.JoinHostPort(p.helper.address, port), d.await(ctx, p.listens(port))
}

// join starts a host's iceccd, with words that say what it is, and waits until the
// scheduler has it.
func (i *icecream) join(ctx context.Context, h *host, scheduler string, words ...string) error {
	log := icecLog(h)
	words = append(words, "-s", scheduler, "-n", "bench", "-b", h.file("tmp/envs"), "-l", log, "--nice", "0")
	d, err := h.start([]string{icecSocket(h)}, "iceccd", words...)
	if err != nil {
		return err
	}
	*i = append(*i, d)
	return d.await(ctx, func() bool { return count(log, "Connected to scheduler") > 0 })
}

// stop ends them, the last one first.
func (i icecream) stop() error {
	var errs []error
	for _, d := range slices.Backward(i) {
		errs = append(errs, d.stop())
	}
	return errors.Join(errs...)
}

func icecLog(h *host) string    { return h.file("tmp/iceccd.log") }
func icecSocket(h *host) string { return "ICECC_TEST_SOCKET=" + h.file("tmp/socket") }

// count is how often a file, which need not be there, holds text.
func count(file, text string) int {
	all, _ := os.ReadFile(file)
	return bytes.Count(all, []byte(text))
}
