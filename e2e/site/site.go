// Package site starts a helper and a client on loopback whose state and
// configuration are their own: the end-to-end tests and the demo meet no agent
// of the user's, and leave none behind. Start with Start.
package site

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// startLimit bounds the helper's start, which probes every compiler here.
	startLimit = 90 * time.Second
	// stopLimit bounds how long the helper and the agent may take to go.
	stopLimit = 20 * time.Second
)

// A Site is one helper and one client.
type Site struct {
	// Env is the environment of the client's builds.
	Env []string
	// Helper is the address of the helper's door, HOST:PORT.
	Helper string

	bin   string    // directory of the programs
	serve *exec.Cmd // nil: another site's
}

// Start starts a helper and waits until its door is open. bin is the directory of
// crosscc, crossccd and crossctl; dir, which the caller made and removes, is the
// state's and is open to other users: a helper that was started as root works as
// one. environ is what Env has besides the client's own.
func Start(ctx context.Context, bin, dir string, environ []string) (*Site, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	s := &Site{bin: bin}
	client, state := filepath.Join(dir, "client"), filepath.Join(dir, "helper")
	empty, log := filepath.Join(dir, "empty.toml"), filepath.Join(dir, "helper.log")
	if err := errors.Join(os.Mkdir(client, 0o700), os.Mkdir(state, 0o755), os.WriteFile(empty, nil, 0o644)); err != nil {
		return nil, err
	}
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	ready := filepath.Join(dir, "ready")
	s.serve = exec.Command(filepath.Join(bin, "crossccd"), "serve", "--config", empty, "--state", state,
		"--grpc", "127.0.0.1:0", "--distcc", "off", "--http", "off", "--ready-file", ready)
	s.serve.Stdout, s.serve.Stderr = out, out
	s.serve.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours to pass on
	if err := s.serve.Start(); err != nil {
		return nil, fmt.Errorf("start a helper: %w", err)
	}
	if s.Helper, err = awaitReady(ctx, ready); err != nil {
		text, _ := os.ReadFile(log)
		return nil, errors.Join(fmt.Errorf("start a helper: %w\n%s", err, text), s.Stop())
	}
	s.Env = clientEnv(environ, s.Helper, client, empty)
	return s, nil
}

// clientEnv is the environment of a client's builds.
func clientEnv(environ []string, helper, client, config string) []string {
	return append(slices.Clip(environ), "CROSSCC_HOSTS=grpc://"+helper, "CROSSCC_DIR="+client, "CROSSCC_CONFIG="+config,
		"CROSSCC_SOCKET="+filepath.Join(client, "agent.sock"), "LC_ALL=C.UTF-8")
}

// Another is one more client of the helper, with an agent of its own; dir is as
// Start has it. Stop ends that agent alone, and is called before the first site's.
func (s *Site) Another(dir string, environ []string) (*Site, error) {
	client, empty := filepath.Join(dir, "client"), filepath.Join(dir, "empty.toml")
	if err := errors.Join(os.Mkdir(client, 0o700), os.WriteFile(empty, nil, 0o644)); err != nil {
		return nil, err
	}
	return &Site{Env: clientEnv(environ, s.Helper, client, empty), Helper: s.Helper, bin: s.bin}, nil
}

// awaitReady polls the ready file for the grpc door's line.
func awaitReady(ctx context.Context, ready string) (string, error) {
	for end := time.Now().Add(startLimit); time.Now().Before(end); {
		text, _ := os.ReadFile(ready)
		for line := range strings.Lines(string(text)) {
			if address, ok := strings.CutPrefix(line, "grpc "); ok && strings.HasSuffix(line, "\n") {
				return strings.TrimSpace(address), nil
			}
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return "", fmt.Errorf("not ready after %v", startLimit)
}

// Program is the path of one of the programs.
func (s *Site) Program(name string) string { return filepath.Join(s.bin, name) }

// Stop ends agent and helper and waits until both are gone.
func (s *Site) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var errs []error
	if s.Env != nil {
		if st, err := s.Status(ctx); err == nil && st.Agent.PID > 0 {
			errs = append(errs, stopProcess(ctx, st.Agent.PID))
		}
	}
	if s.serve == nil {
		return errors.Join(errs...)
	}
	_ = s.serve.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(stopLimit, func() { _ = s.serve.Process.Kill() })
	_ = s.serve.Wait() // ended by a signal, as it should be
	if !late.Stop() {
		errs = append(errs, fmt.Errorf("the helper did not end within %v and was killed", stopLimit))
	}
	return errors.Join(errs...)
}

// stopProcess ends an agent of ours, which is nobody's child.
func stopProcess(ctx context.Context, pid int) error {
	_ = syscall.Kill(pid, syscall.SIGTERM)
	for ctx.Err() == nil {
		if syscall.Kill(pid, 0) != nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	return fmt.Errorf("the agent, process %d, did not end within %v and was killed", pid, stopLimit)
}

// A Status is what is read here of `crossctl status --json`.
type Status struct {
	Agent struct{ PID int }
	Jobs  struct{ Remote, Cached, Local, Failed int }
	// LocalReasons count local jobs by the reason for it, Preprocessed those
	// that could not go as trees.
	LocalReasons map[string]int `json:"local_reasons"`
	Preprocessed map[string]int `json:"preprocessed_reasons"`
	// LocalLast and PreprocessedLast say of the last one of each in words why.
	LocalLast        map[string]string `json:"local_last"`
	PreprocessedLast map[string]string `json:"preprocessed_last"`
}

// Status asks the client's agent.
func (s *Site) Status(ctx context.Context) (Status, error) {
	var st Status
	cmd := exec.CommandContext(ctx, s.Program("crossctl"), "status", "--json")
	cmd.Env = s.Env
	out, err := cmd.Output()
	if err != nil {
		return st, fmt.Errorf("%v: %w", cmd, err)
	}
	if err := json.Unmarshal(out, &st); err != nil {
		return st, fmt.Errorf("%v: %w", cmd, err)
	}
	return st, nil
}

// Since is what was counted between two questions.
func (st Status) Since(before Status) Status {
	st.Jobs.Remote -= before.Jobs.Remote
	st.Jobs.Cached -= before.Jobs.Cached
	st.Jobs.Local -= before.Jobs.Local
	st.Jobs.Failed -= before.Jobs.Failed
	st.LocalReasons = less(st.LocalReasons, before.LocalReasons)
	st.Preprocessed = less(st.Preprocessed, before.Preprocessed)
	return st
}

func less(now, before map[string]int) map[string]int {
	left := make(map[string]int)
	for why, n := range now {
		if n -= before[why]; n > 0 {
			left[why] = n
		}
	}
	return left
}

// Run runs a command, and its error has what the command said. When ctx ends the
// command's whole process group does.
func Run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	_, err := Output(ctx, dir, env, name, args...)
	return err
}

// Output is Run and all that the command said.
func Output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = stopLimit
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd, err, out.Bytes())
	}
	return out.String(), nil
}
