package contender

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"github.com/crosscc/crosscc/e2e/bench/place"
)

// nocc keeps headers on its server. No package has it: it is built from source
// by who wants to see it here.
func nocc() Contender {
	return Contender{
		Name: "nocc", modes: Cold + " " + Warm + " " + Define + " " + Hit,
		Version: func(ctx context.Context, home string) (string, error) {
			for _, name := range []string{"nocc-daemon", "nocc-server"} {
				if _, err := exec.LookPath(name); err != nil {
					return "", errors.New(name + " is not on PATH")
				}
			}
			return firstLine(ctx, home, "nocc", "-version")
		},
		Start: startNocc,
	}
}

// startNocc starts a server; the first nocc starts its daemon, which goes some
// seconds after the last.
func startNocc(ctx context.Context, p *place.Place) (*Running, error) {
	port, err := p.Port()
	if err != nil {
		return nil, err
	}
	program, err := exec.LookPath("nocc-daemon")
	if err != nil {
		return nil, err
	}
	h := p.Helper
	d, err := h.Start(nil, "nocc-server", "-host", h.Address, "-port", port, "-cpp-dir", h.File("cpp"), "-obj-dir", h.File("obj"),
		"-log-filename", h.File("nocc.log"), "-max-parallel-cxx", "8")
	if err != nil {
		return nil, err
	}
	if err := d.Await(ctx, p.Listens(port)); err != nil {
		return nil, err
	}
	return &Running{
		Command: "nocc",
		Env: func(int) []string {
			return []string{"NOCC_GO_EXECUTABLE=" + program, "NOCC_SERVERS=" + h.Address + ":" + port, "NOCC_CLIENT_ID=bench",
				"NOCC_LOG_FILENAME=" + p.Client.File("nocc.log"), "NOCC_LOG_VERBOSITY=-1"}
		},
		Check: func(_ context.Context, _ string, _ int) (string, error) {
			text, err := os.ReadFile(p.Client.File("nocc.log"))
			if err == nil && len(text) > 0 {
				return "its log has errors", nil
			}
			return "", nil
		},
		Stop: func(ctx context.Context) error {
			// The daemon holds a socket that all noccs of the machine share.
			for _, pid := range p.Client.Group.Processes() {
				if err := place.EndProcess(ctx, pid); err != nil {
					return err
				}
			}
			return d.Stop()
		},
	}, nil
}
