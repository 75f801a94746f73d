package contender

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/e2e/bench/place"
)

// distcc is distcc with a distccd that preprocesses nothing.
func distcc() Contender {
	return Contender{
		Name: "distcc", modes: Warm + " " + Define,
		Version: func(ctx context.Context, home string) (string, error) {
			if _, err := exec.LookPath("distccd"); err != nil {
				return "", errors.New("distccd is not on PATH")
			}
			return firstLine(ctx, home, "distcc", "--version")
		},
		Start: func(ctx context.Context, p *place.Place) (*Running, error) {
			if p.Wire != nil {
				return startDistcc(ctx, p, ",lzo") // as its manual says for slow networks
			}
			return startDistcc(ctx, p, "")
		},
	}
}

// pump is distcc with its include server, which sends headers instead.
func pump() Contender {
	return Contender{
		Name: "distcc, pump", modes: Cold + " " + Warm + " " + Define,
		Version: func(ctx context.Context, home string) (string, error) {
			if _, err := pumpProgram(); err != nil {
				return "", err
			}
			return firstLine(ctx, home, "distcc", "--version")
		},
		Start: startPump,
	}
}

func startDistcc(ctx context.Context, p *place.Place, options string) (*Running, error) {
	h, log := p.Helper, p.Helper.File("distccd.log")
	port, err := p.Port()
	if err != nil {
		return nil, err
	}
	// distccd gives up root, and could not make its log then.
	if err := errors.Join(os.WriteFile(log, nil, 0o666), os.Chmod(log, 0o666), os.MkdirAll(p.Client.File("distcc"), 0o700)); err != nil {
		return nil, err
	}
	d, err := h.Start(nil, "distccd", "--daemon", "--no-detach", "--listen", h.Address, "--port", port,
		"--allow", p.Client.Address, "--jobs", fmt.Sprint(HelperJobs), "--nice", "0", "--user", "nobody", "--log-file", log, "--log-level", "notice")
	if err != nil {
		return nil, err
	}
	if err := d.Await(ctx, p.Listens(port)); err != nil {
		return nil, err
	}
	done := 0
	return &Running{
		Command: "distcc",
		Env: func(jobs int) []string {
			return []string{
				// As an address: distcc takes the word localhost for "run it here".
				fmt.Sprintf("DISTCC_HOSTS=%s:%s/%d%s", h.Address, port, max(jobs, HelperJobs), options),
				"DISTCC_DIR=" + p.Client.File("distcc"), "DISTCC_FALLBACK=0", "DISTCC_BACKOFF_PERIOD=0",
			}
		},
		Check: func(_ context.Context, _ string, n int) (string, error) {
			all := count(log, "COMPILE_OK")
			since := all - done
			done = all
			return onlyOf("compiled by distccd", since, n), nil
		},
		Stop: func(context.Context) error { return d.Stop() },
	}, nil
}

func pumpProgram() (string, error) {
	for _, name := range []string{"pump", "distcc-pump"} {
		if _, err := exec.LookPath(name); err == nil {
			return name, nil
		}
	}
	return "", errors.New("neither pump nor distcc-pump is on PATH")
}

// startPump starts the include server once, as `pump make` would for one build,
// and keeps it. What it says when it can't is the reason why there is no pump.
func startPump(ctx context.Context, p *place.Place) (*Running, error) {
	name, err := pumpProgram()
	if err != nil {
		return nil, err
	}
	r, err := startDistcc(ctx, p, ",cpp,lzo")
	if err != nil {
		return nil, err
	}
	env := r.Env(HelperJobs)
	out, err := p.Client.Output(ctx, env, name, "--startup")
	if err != nil {
		return nil, errors.Join(err, r.Stop(ctx))
	}
	// Lines for a shell: export A='B'
	var (
		mine []string
		said string // where it writes its warnings
	)
	for line := range strings.Lines(out) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		value = strings.Trim(value, `'"`)
		if ok && strings.HasPrefix(name, "INCLUDE_SERVER_") {
			mine = append(mine, name+"="+value)
		}
		if name == "INCLUDE_SERVER_DIR" {
			said = filepath.Join(value, "stderr")
		}
	}
	hosts, stop := r.Env, r.Stop
	r.Env = func(jobs int) []string { return append(slices.Clone(mine), hosts(jobs)...) }
	r.Stop = func(ctx context.Context) error {
		_, err := p.Client.Output(ctx, r.Env(HelperJobs), name, "--shutdown")
		return errors.Join(err, stop(ctx))
	}
	if err := tryPump(ctx, p, r.Env(1), said); err != nil {
		return nil, errors.Join(err, r.Stop(ctx))
	}
	return r, nil
}

// tryPump compiles one file and looks whether its headers were sent: where the
// include server can't, distcc preprocesses as ever, and says so only when asked.
func tryPump(ctx context.Context, p *place.Place, env []string, warnings string) error {
	source := filepath.Join(p.Work, "src", "f0000"+p.Workload.Suffix)
	words := []string{p.Workload.Compiler(), "-I" + filepath.Join(p.Work, "include"), "-c", source, "-o", p.Client.File("tmp/pumped.o")}
	log := p.Client.File("tmp/pumped.log")
	defer os.Remove(log)
	env = append(env, "DISTCC_VERBOSE=1", "DISTCC_LOG="+log)
	if _, err := p.Client.Run(ctx, p.Work, env, "distcc", words...); err != nil {
		return err
	}
	if count(log, "preprocessing locally") == 0 {
		return nil
	}
	said, _ := os.ReadFile(warnings)
	for line := range strings.Lines(string(said)) {
		if strings.Contains(line, "Preprocessing locally") {
			return fmt.Errorf("its include server does not work here: %s", strings.TrimSpace(line))
		}
	}
	return errors.New("its include server does not work here, and does not say why")
}
