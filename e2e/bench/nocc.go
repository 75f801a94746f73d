package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

// nocc keeps headers on its server. No package has it: it is built from source
// by who wants to see it here.
func nocc() contender {
	return contender{
		name: "nocc", modes: cold + " " + warm + " " + define + " " + hit,
		version: func(ctx context.Context, home string) (string, error) {
			for _, name := range []string{"nocc-daemon", "nocc-server"} {
				if _, err := exec.LookPath(name); err != nil {
					return "", errors.New(name + " is not on PATH")
				}
			}
			return firstLine(ctx, home, "nocc", "-version")
		},
		start: startNocc,
	}
}

// startNocc starts a server; the first nocc starts its daemon, which goes some
// seconds after the last.
func startNocc(ctx context.Context, p *place) (*running, error) {
	port, err := p.port()
	if err != nil {
		return nil, err
	}
	program, err := exec.LookPath("nocc-daemon")
	if err != nil {
		return nil, err
	}
	h := p.helper
	d, err := h.start(nil, "nocc-server", "-host", h.address, "-port", port, "-cpp-dir", h.file("cpp"), "-obj-dir", h.file("obj"),
		"-log-filename", h.file("nocc.log"), "-max-parallel-cxx", "8")
	if err != nil {
		return nil, err
	}
	if err := d.await(ctx, p.listens(port)); err != nil {
		return nil, err
	}
	return &running{
		command: "nocc",
		env: func(int) []string {
			return []string{"NOCC_GO_EXECUTABLE=" + program, "NOCC_SERVERS=" + h.address + ":" + port, "NOCC_CLIENT_ID=bench",
				"NOCC_LOG_FILENAME=" + p.client.file("nocc.log"), "NOCC_LOG_VERBOSITY=-1"}
		},
		check: func(_ context.Context, _ string, _ int) (string, error) {
			text, err := os.ReadFile(p.client.file("nocc.log"))
			if err == nil && len(text) > 0 {
				return "its log has errors", nil
			}
			return "", nil
		},
		stop: func(ctx context.Context) error {
			// The daemon holds a socket that all noccs of the machine share.
			for _, pid := range p.client.group.Processes() {
				if err := endProcess(ctx, pid); err != nil {
					return err
				}
			}
			return d.stop()
		},
	}, nil
}
