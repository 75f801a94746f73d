package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// distcc is distcc with a distccd that preprocesses nothing.
func distcc() contender {
	return contender{
		name: "distcc", modes: warm + " " + define,
		version: func(ctx context.Context, home string) (string, error) {
			if _, err := exec.LookPath("distccd"); err != nil {
				return "", errors.New("distccd is not on PATH")
			}
			return firstLine(ctx, home, "distcc", "--version")
		},
		start: func(ctx context.Context, p *place) (*running, error) {
			if p.wire != nil {
				return startDistcc(ctx, p, ",lzo") // as its manual says for slow networks
			}
			return startDistcc(ctx, p, "")
		},
	}
}

// pump is distcc with its include server, which sends headers instead.
func pump() contender {
	return contender{
		name: "distcc, pump", modes: cold + " " + warm + " " + define,
		version: func(ctx context.Context, home string) (string, error) {
			if _, err := pumpProgram(); err != nil {
				return "", err
			}
			return firstLine(ctx, home, "distcc", "--version")
		},
		start: startPump,
	}
}

func startDistcc(ctx context.Context, p *place, options string) (*running, error) {
	h, log := p.helper, p.helper.file("distccd.log")
	port, err := p.port()
	if err != nil {
		return nil, err
	}
	// distccd gives up root, and could not make its log then.
	if err := errors.Join(os.WriteFile(log, nil, 0o666), os.Chmod(log, 0o666), os.MkdirAll(p.client.file("distcc"), 0o700)); err != nil {
		return nil, err
	}
	d, err := h.start(nil, "distccd", "--daemon", "--no-detach", "--listen", h.address, "--port", port,
		"--allow", p.client.address, "--jobs", fmt.Sprint(helperJobs), "--nice", "0", "--user", "nobody", "--log-file", log, "--log-level", "notice")
	if err != nil {
		return nil, err
	}
	if err := d.await(ctx, p.listens(port)); err != nil {
		return nil, err
	}
	done := 0
	return &running{
		command: "distcc",
		env: func(jobs int) []string {
			return []string{
				// As an address: distcc takes the word localhost for "run it here".
				fmt.Sprintf("DISTCC_HOSTS=%s:%s/%d%s", h.address, port, max(jobs, helperJobs), options),
				"DISTCC_DIR=" + p.client.file("distcc"), "DISTCC_FALLBACK=0", "DISTCC_BACKOFF_PERIOD=0",
			}
		},
		check: func(_ context.Context, _ string, n int) (string, error) {
			all := count(log, "COMPILE_OK")
			since := all - done
			done = all
			return onlyOf("compiled by distccd", since, n), nil
		},
		stop: func(context.Context) error { return d.stop() },
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
func startPump(ctx context.Context, p *place) (*running, error) {
	name, err := pumpProgram()
	if err != nil {
		return nil, err
	}
	r, err := startDistcc(ctx, p, ",cpp,lzo")
	if err != nil {
		return nil, err
	}
	env := r.env(helperJobs)
	out, err := p.client.output(ctx, env, name, "--startup")
	if err != nil {
		return nil, errors.Join(err, r.stop(ctx))
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
	hosts, stop := r.env, r.stop
	r.env = func(jobs int) []string { return append(slices.Clone(mine), hosts(jobs)...) }
	r.stop = func(ctx context.Context) error {
		_, err := p.client.output(ctx, r.env(helperJobs), name, "--shutdown")
		return errors.Join(err, stop(ctx))
	}
	if err := tryPump(ctx, p, r.env(1), said); err != nil {
		return nil, errors.Join(err, r.stop(ctx))
	}
	return r, nil
}

// tryPump compiles one file and looks whether its headers were sent: where the
// include server can't, distcc preprocesses as ever, and says so only when asked.
func tryPump(ctx context.Context, p *place, env []string, warnings string) error {
	source := filepath.Join(p.work, "src", "f0000"+p.w.suffix)
	words := []string{p.w.compiler(), "-I" + filepath.Join(p.work, "include"), "-c", source, "-o", p.client.file("tmp/pumped.o")}
	log := p.client.file("tmp/pumped.log")
	defer os.Remove(log)
	env = append(env, "DISTCC_VERBOSE=1", "DISTCC_LOG="+log)
	if _, err := p.client.run(ctx, p.work, env, "distcc", words...); err != nil {
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

// output is a program on the host, counted with it, and what it says on stdout.
// It may leave daemons behind, which keep its stderr.
func (h *host) output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd, err := h.command(ctx, env, name, args...)
	if err != nil {
		return "", err
	}
	said, err := os.CreateTemp(h.file("tmp"), "")
	if err != nil {
		return "", err
	}
	defer said.Close()
	heard, err := os.CreateTemp(h.file("tmp"), "")
	if err != nil {
		return "", err
	}
	defer heard.Close()
	cmd.Stdout, cmd.Stderr = heard, said
	err = cmd.Start()
	h.release(cmd)
	if err == nil {
		err = cmd.Wait()
		h.group.Ended(cmd.ProcessState)
	}
	text, rerr := readBack(heard)
	if err != nil {
		complaint, _ := readBack(said)
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tail([]byte(complaint)))
	}
	return text, rerr
}

func readBack(f *os.File) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	text, err := io.ReadAll(f)
	return string(text), err
}
