package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
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
	var started []*daemon
	stop := func() error {
		var errs []error
		for i := len(started) - 1; i >= 0; i-- {
			errs = append(errs, started[i].stop())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	port, err := p.port()
	if err != nil {
		return nil, err
	}
	// All give up root: what they write lies where everybody may.
	d, err := p.helper.start(nil, "icecc-scheduler", "-n", "bench", "-p", port, "-l", p.helper.file("tmp/scheduler.log"))
	if err != nil {
		return nil, err
	}
	started = append(started, d)
	if err := d.await(ctx, p.listens(port)); err != nil {
		return nil, err
	}
	scheduler := net.JoinHostPort(p.helper.address, port)
	for _, side := range []struct {
		host  *host
		words []string
	}{
		{p.helper, []string{"-N", "helper", "-p", "10245", "-m", fmt.Sprint(helperJobs), "-vv"}},
		{p.client, []string{"-N", "client", "-p", "10246", "-m", "0", "--no-remote", "-vv"}},
	} {
		h := side.host
		log := h.file("tmp/iceccd.log")
		words := append(side.words, "-s", scheduler, "-n", "bench", "-b", h.file("tmp/envs"), "-l", log, "--nice", "0")
		d, err := h.start([]string{"ICECC_TEST_SOCKET=" + h.file("tmp/socket")}, "iceccd", words...)
		if err != nil {
			return nil, err
		}
		started = append(started, d)
		if err := d.await(ctx, func() bool { return count(log, "Connected to scheduler") > 0 }); err != nil {
			return nil, err
		}
	}
	log, done := p.helper.file("tmp/iceccd.log"), 0
	return &running{
		command: "icecc",
		env: func(int) []string {
			// On loopback both daemons have one address, and icecc compiles itself
			// what a daemon of its own machine should.
			return []string{"ICECC_TEST_SOCKET=" + p.client.file("tmp/socket"), "ICECC_TEST_REMOTEBUILD=1"}
		},
		check: func(_ context.Context, _ string, n int) (string, error) {
			all := count(log, "Remote compilation completed with exit code 0")
			since := all - done
			done = all
			return onlyOf("compiled by the helper", since, n), nil
		},
		stop: func(context.Context) error { return stop() },
	}, nil
}

// count is how often a file, which need not be there, holds text.
func count(file, text string) int {
	all, _ := os.ReadFile(file)
	return bytes.Count(all, []byte(text))
}
