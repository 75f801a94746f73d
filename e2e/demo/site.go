package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// startLimit bounds the helper's start, which probes every compiler here.
	startLimit = 60 * time.Second
	// stopLimit bounds how long the helper and the agent may take to go.
	stopLimit = 15 * time.Second
)

// A site is one helper and one client with a state of their own, so that the
// demo meets no configuration and no agent of the user's.
type site struct {
	bin    string // directory of the programs
	dir    string
	helper string // HOST:PORT
	debug  bool
	env    []string // of the client
	serve  *exec.Cmd
}

// startSite starts the helper and waits until its door is open.
func startSite(ctx context.Context, bin, dir string, debug bool) (*site, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	s := &site{bin: bin, dir: dir, debug: debug}
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
	if s.helper, err = awaitReady(ctx, ready); err != nil {
		text, _ := os.ReadFile(log)
		return nil, errors.Join(fmt.Errorf("start a helper: %w\n%s", err, text), s.stop())
	}
	host := "grpc://" + s.helper
	if debug {
		host += ",debug=lines"
	}
	s.env = append(os.Environ(), "CROSSCC_HOSTS="+host, "CROSSCC_DIR="+client, "CROSSCC_CONFIG="+empty,
		"CROSSCC_SOCKET="+filepath.Join(client, "agent.sock"), "LC_ALL=C.UTF-8")
	return s, nil
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

// stop ends agent and helper and waits until both are gone.
func (s *site) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var errs []error
	if s.env != nil {
		if st, err := s.status(ctx); err == nil && st.Agent.PID > 0 {
			errs = append(errs, stopProcess(ctx, st.Agent.PID))
		}
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

// A status is what the demo reads of `crossctl status --json`.
type status struct {
	Agent struct{ PID int }
	Jobs  struct{ Remote, Cached, Local, Failed int }
	// LocalReasons count local jobs by the reason for it.
	LocalReasons map[string]int `json:"local_reasons"`
}

func (s *site) status(ctx context.Context) (status, error) {
	var st status
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "crossctl"), "status", "--json")
	cmd.Env = s.env
	out, err := cmd.Output()
	if err != nil {
		return st, fmt.Errorf("%v: %w", cmd, err)
	}
	if err := json.Unmarshal(out, &st); err != nil {
		return st, fmt.Errorf("%v: %w", cmd, err)
	}
	return st, nil
}

// runIn runs a command and shows what it said only when it fails. When ctx ends
// the command's whole process group does.
func runIn(ctx context.Context, dir string, env []string, name string, args ...string) error {
	_, err := output(ctx, dir, env, name, args...)
	return err
}

func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
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
