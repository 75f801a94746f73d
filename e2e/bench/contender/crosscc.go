package contender

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/crosscc/crosscc/e2e/bench/place"
)

// HelperJobs is how many jobs every contender's helper runs at once: more than
// this machine's processors can, so that none waits for another's answer to
// travel.
const HelperJobs = 8

// Crosscc is ours, with one helper.
func Crosscc(bin string) Contender {
	return Contender{
		Name: "crosscc", modes: strings.Join([]string{Cold, Warm, Define, Hit}, " "),
		Version: func(ctx context.Context, home string) (string, error) {
			return firstLine(ctx, home, filepath.Join(bin, "crosscc"), "--version")
		},
		Start: func(ctx context.Context, p *place.Place) (*Running, error) {
			h, err := StartHelper(ctx, bin, p, "helper", HelperJobs)
			if err != nil {
				return nil, err
			}
			r, err := StartClient(bin, p, []string{h.Address})
			if err != nil {
				return nil, errors.Join(err, h.Stop())
			}
			stopAgent := r.Stop
			r.Stop = func(ctx context.Context) error { return errors.Join(stopAgent(ctx), h.Stop()) }
			return r, nil
		},
	}
}

// embedded is crosscc without a helper: the agent's own compiles and remembers,
// as ccache does.
func embedded(bin string) Contender {
	return Contender{
		Name: "crosscc, no helper", modes: strings.Join([]string{Cold, Warm, Hit}, " "), quick: Hit, Local: true,
		Version: func(ctx context.Context, home string) (string, error) {
			return firstLine(ctx, home, filepath.Join(bin, "crosscc"), "--version")
		},
		Start: func(_ context.Context, p *place.Place) (*Running, error) { return StartClient(bin, p, nil) },
	}
}

// A Helper of ours.
type Helper struct {
	*place.Daemon
	Address string // HOST:PORT
}

// StartHelper starts one on the helper of a place, where its name is unique.
func StartHelper(ctx context.Context, bin string, p *place.Place, name string, jobs int) (*Helper, error) {
	h := p.Helper
	empty, ready, state := h.File("empty.toml"), h.File(name+".ready"), h.File(name)
	if err := errors.Join(os.WriteFile(empty, nil, 0o644), os.Mkdir(state, 0o755)); err != nil {
		return nil, err
	}
	args := []string{"serve", "--config", empty, "--grpc", h.Address + ":0", "--distcc", "off", "--http", "off",
		"--state", state, "--ready-file", ready, "--jobs", fmt.Sprint(jobs)}
	if p.Wire != nil {
		args = append(args, "--allow", p.Client.Address+"/32")
	}
	d, err := h.Start(nil, filepath.Join(bin, "crossccd"), args...)
	if err != nil {
		return nil, err
	}
	var address string
	err = d.Await(ctx, func() bool {
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
	return &Helper{d, address}, nil
}

// A client of ours: the settings of its wrappers, and its agent.
type client struct {
	bin  string
	host *place.Host
	env  []string
	// ask is what crossctl gets. It must name the helpers: without any, an agent
	// that is asked for its status makes a helper of its own.
	ask  []string
	last status // when check looked last
}

// StartClient makes a client of the helpers at addresses. Its first wrapper
// starts the agent.
func StartClient(bin string, p *place.Place, addresses []string) (*Running, error) {
	h := p.Client
	empty, dir := h.File("empty.toml"), h.File("crosscc")
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
			hosts = append(hosts, fmt.Sprintf("grpc://%s/%d", a, max(jobs, HelperJobs)))
		}
		return append(slices.Clone(c.env), "CROSSCC_HOSTS="+strings.Join(hosts, " "))
	}
	c.ask = env(HelperJobs)
	return &Running{Command: filepath.Join(bin, "crosscc"), Env: env, Check: c.check, Stop: c.stop}, nil
}

// A status is what is read of `crossctl status --json`.
type status struct {
	Agent struct{ PID int }
	Jobs  struct{ Remote, Cached, Local, Failed int }
	// LocalReasons count local jobs by the reason for it.
	LocalReasons map[string]int `json:"local_reasons"`
}

func (c *client) status(ctx context.Context) (s status, err error) {
	out, err := c.host.Ask(ctx, c.ask, filepath.Join(c.bin, "crossctl"), "status", "--json")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// check is Running.Check.
func (c *client) check(ctx context.Context, mode string, n int) (string, error) {
	now, err := c.status(ctx)
	if err != nil {
		return "", err
	}
	since := now.since(c.last)
	c.last = now
	said := onlyOf("compiled by a helper", since.Jobs.Remote, n)
	if mode == Hit {
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
	if _, err := c.host.Ask(ctx, c.ask, filepath.Join(c.bin, "crossctl"), "stop"); err != nil {
		return err
	}
	return place.Poll(ctx, place.StopLimit, func() (bool, error) { return syscall.Kill(s.Agent.PID, 0) != nil, nil })
}

// FindAgent is the process id of crosscc's agent on a client; 0 when none runs.
func FindAgent(h *place.Host, bin string) int {
	for _, pid := range h.Group.Processes() {
		words, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if strings.HasPrefix(string(words), filepath.Join(bin, "crossccd")+"\x00agent") {
			return pid
		}
	}
	return 0
}
