package contender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"

	"github.com/crosscc/crosscc/e2e/bench/place"
)

// icecc is icecream: a scheduler and a daemon on the helper, a daemon on the
// client. It sends the client's compiler along with the first job.
func icecc() Contender {
	return Contender{
		Name: "icecream", modes: Cold + " " + Warm + " " + Define,
		Version: func(ctx context.Context, home string) (string, error) {
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
		Start: startIcecc,
	}
}

func startIcecc(ctx context.Context, p *place.Place) (_ *Running, err error) {
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
	err = daemons.join(ctx, p.Helper, scheduler, "-N", "helper", "-p", "10245", "-m", fmt.Sprint(HelperJobs), "-vv")
	if err != nil {
		return nil, err
	}
	err = daemons.join(ctx, p.Client, scheduler, "-N", "client", "-p", "10246", "-m", "0", "--no-remote", "-vv")
	if err != nil {
		return nil, err
	}
	log, done := icecLog(p.Helper), 0
	return &Running{
		Command: "icecc",
		Env: func(int) []string {
			// On loopback both daemons have one address, and icecc compiles itself
			// what a daemon of its own machine should.
			return []string{icecSocket(p.Client), "ICECC_TEST_REMOTEBUILD=1"}
		},
		Check: func(_ context.Context, _ string, n int) (string, error) {
			all := count(log, "Remote compilation completed with exit code 0")
			since := all - done
			done = all
			return onlyOf("compiled by the helper", since, n), nil
		},
		Stop: func(context.Context) error { return daemons.stop() },
	}, nil
}

// icecream is what was started of it. All its daemons give up root: what they write
// lies where everybody may.
type icecream []*place.Daemon

// schedule starts the scheduler on the helper and returns its address.
func (i *icecream) schedule(ctx context.Context, p *place.Place) (string, error) {
	port, err := p.Port()
	if err != nil {
		return "", err
	}
	d, err := p.Helper.Start(nil, "icecc-scheduler", "-n", "bench", "-p", port, "-l", p.Helper.File("tmp/scheduler.log"))
	if err != nil {
		return "", err
	}
	*i = append(*i, d)
	return net.JoinHostPort(p.Helper.Address, port), d.Await(ctx, p.Listens(port))
}

// join starts a host's iceccd, with words that say what it is, and waits until the
// scheduler has it.
func (i *icecream) join(ctx context.Context, h *place.Host, scheduler string, words ...string) error {
	log := icecLog(h)
	words = append(words, "-s", scheduler, "-n", "bench", "-b", h.File("tmp/envs"), "-l", log, "--nice", "0")
	d, err := h.Start([]string{icecSocket(h)}, "iceccd", words...)
	if err != nil {
		return err
	}
	*i = append(*i, d)
	return d.Await(ctx, func() bool { return count(log, "Connected to scheduler") > 0 })
}

// stop ends them, the last one first.
func (i icecream) stop() error {
	var errs []error
	for _, d := range slices.Backward(i) {
		errs = append(errs, d.Stop())
	}
	return errors.Join(errs...)
}

func icecLog(h *place.Host) string    { return h.File("tmp/iceccd.log") }
func icecSocket(h *place.Host) string { return "ICECC_TEST_SOCKET=" + h.File("tmp/socket") }

// count is how often a file, which need not be there, holds text.
func count(file, text string) int {
	all, _ := os.ReadFile(file)
	return bytes.Count(all, []byte(text))
}
