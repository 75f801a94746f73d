package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// helperJobs is how many jobs every contender's helper runs at once: more than
// this machine's processors can, so that none waits for another's answer to
// travel.
const helperJobs = 8

// crosscc is ours, with one helper.
func crosscc(bin string) contender {
	return contender{
		name: "crosscc", modes: strings.Join([]string{cold, warm, define, hit}, " "),
		version: func(ctx context.Context, home string) (string, error) {
			return firstLine(ctx, home, filepath.Join(bin, "crosscc"), "--version")
		},
		start: func(ctx context.Context, p *place) (*running, error) {
			h, err := startHelper(ctx, bin, p, "helper", helperJobs)
			if err != nil {
				return nil, err
			}
			r, err := startClient(bin, p, []string{h.address})
			if err != nil {
				return nil, errors.Join(err, h.stop())
			}
			stopAgent := r.stop
			r.stop = func(ctx context.Context) error { return errors.Join(stopAgent(ctx), h.stop()) }
			return r, nil
		},
	}
}

// embedded is crosscc without a helper: the agent's own compiles and remembers,
// as ccache does.
func embedded(bin string) contender {
	return contender{
		name: "crosscc, no helper", modes: strings.Join([]string{cold, warm, hit}, " "), quick: hit, local: true,
		version: func(ctx context.Context, home string) (string, error) {
			return firstLine(ctx, home, filepath.Join(bin, "crosscc"), "--version")
		},
		start: func(_ context.Context, p *place) (*running, error) { return startClient(bin, p, nil) },
	}
}

// A helper of ours.
type helper struct {
	*daemon
	address string // HOST:PORT
}

func startHelper(ctx context.Context, bin string, p *place, name string, jobs int) (*helper, error) {
	h := p.helper
	empty, ready, state := h.file("empty.toml"), h.file(name+".ready"), h.file(name)
	if err := errors.Join(os.WriteFile(empty, nil, 0o644), os.Mkdir(state, 0o755)); err != nil {
		return nil, err
	}
	args := []string{"serve", "--config", empty, "--grpc", h.address + ":0", "--distcc", "off", "--http", "off",
		"--state", state, "--ready-file", ready, "--jobs", fmt.Sprint(jobs)}
	if p.wire != nil {
		args = append(args, "--allow", p.client.address+"/32")
	}
	d, err := h.start(nil, filepath.Join(bin, "crossccd"), args...)
	if err != nil {
		return nil, err
	}
	var address string
	err = d.await(ctx, func() bool {
		text, _ := os.ReadFile(ready)
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "grpc "); ok && strings.HasSuffix(line, "\n") {
				address = strings.TrimSpace(rest)
			}
		}
		return address != ""
	})
	if err != nil {
		return nil, err
	}
	return &helper{d, address}, nil
}

// A client of ours: the settings of its wrappers, and its agent.
type client struct {
	bin  string
	host *host
	env  []string
	// ask is what crossctl gets. It must name the helpers: without any, an agent
	// that is asked for its status makes a helper of its own.
	ask  []string
	last status // when check looked last
}

// startClient makes a client of the helpers at addresses. Its first wrapper
// starts the agent.
func startClient(bin string, p *place, addresses []string) (*running, error) {
	h := p.client
	empty, dir := h.file("empty.toml"), h.file("crosscc")
	if err := errors.Join(os.WriteFile(empty, nil, 0o644), os.Mkdir(dir, 0o700)); err != nil {
		return nil, err
	}
	c := &client{bin: bin, host: h, env: []string{
		"CROSSCC_DIR=" + dir, "CROSSCC_SOCKET=" + filepath.Join(dir, "agent.sock"), "CROSSCC_CONFIG=" + empty, "CROSSCC_FALLBACK=0",
	}}
	env := func(jobs int) []string {
		if addresses == nil {
			return c.env
		}
		var hosts []string
		for _, a := range addresses {
			hosts = append(hosts, fmt.Sprintf("grpc://%s/%d", a, max(jobs, helperJobs)))
		}
		return append(slices.Clone(c.env), "CROSSCC_HOSTS="+strings.Join(hosts, " "))
	}
	c.ask = env(helperJobs)
	return &running{command: filepath.Join(bin, "crosscc"), env: env, check: c.check, stop: c.stop}, nil
}

// A status is what is read of `crossctl status --json`.
type status struct {
	Agent struct{ PID int }
	Jobs  struct{ Remote, Cached, Local, Failed int }
	// LocalReasons count local jobs by the reason for it.
	LocalReasons map[string]int `json:"local_reasons"`
}

func (c *client) status(ctx context.Context) (s status, err error) {
	out, err := c.host.ask(ctx, c.ask, filepath.Join(c.bin, "crossctl"), "status", "--json")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// check is running.check.
func (c *client) check(ctx context.Context, mode string, n int) (string, error) {
	now, err := c.status(ctx)
	if err != nil {
		return "", err
	}
	since := now.since(c.last)
	c.last = now
	said := onlyOf("compiled by a helper", since.Jobs.Remote, n)
	if mode == hit {
		said = onlyOf("from the cache", since.Jobs.Cached, n)
	}
	if said != "" {
		said += since.why()
	}
	return said, nil
}

// since is what was counted after an earlier status of the same agent.
func (s status) since(earlier status) status {
	if s.Agent.PID != earlier.Agent.PID {
		return s
	}
	d := s
	d.Jobs.Remote -= earlier.Jobs.Remote
	d.Jobs.Cached -= earlier.Jobs.Cached
	d.Jobs.Local -= earlier.Jobs.Local
	d.Jobs.Failed -= earlier.Jobs.Failed
	d.LocalReasons = make(map[string]int)
	for reason, n := range s.LocalReasons {
		if n > earlier.LocalReasons[reason] {
			d.LocalReasons[reason] = n - earlier.LocalReasons[reason]
		}
	}
	return d
}

// why is the other ends that jobs came to.
func (s status) why() string {
	text := fmt.Sprintf(" (%d remote, %d cached, %d local, %d failed", s.Jobs.Remote, s.Jobs.Cached, s.Jobs.Local, s.Jobs.Failed)
	for _, reason := range slices.Sorted(maps.Keys(s.LocalReasons)) {
		text += fmt.Sprintf(", %s=%d", reason, s.LocalReasons[reason])
	}
	return text + ")"
}

// stop ends the agent, which is nobody's child.
func (c *client) stop(ctx context.Context) error {
	s, err := c.status(ctx)
	if err != nil || s.Agent.PID <= 0 {
		return err
	}
	c.last = status{}
	if _, err := c.host.ask(ctx, c.ask, filepath.Join(c.bin, "crossctl"), "stop"); err != nil {
		return err
	}
	return poll(ctx, stopLimit, func() (bool, error) { return syscall.Kill(s.Agent.PID, 0) != nil, nil })
}
