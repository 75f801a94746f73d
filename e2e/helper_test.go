package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// startLimit bounds a helper's start: it probes every compiler of the machine,
// race detector and all, while other scripts keep both cores busy.
const startLimit = 90 * time.Second

// stopLimit bounds how long a helper or an agent takes to go once told to.
const stopLimit = 20 * time.Second

var helperCommands = map[string]func(*testscript.TestScript, bool, []string){
	"helper":      startHelper,
	"helper-stop": stopHelper,
}

// startHelper is `helper [-disk SIZE] NAME [FLAG…]`. With -disk its state lies on
// a file system of that size, in a mount namespace of its own.
func startHelper(ts *testscript.TestScript, neg bool, args []string) {
	opts, args := flags(ts, args, map[string]bool{"-disk": true})
	if len(args) == 0 {
		ts.Fatalf("usage: helper [-disk SIZE] NAME [FLAG…]")
	}
	s, name := scriptOf(ts), args[0]
	state, ready, logName := s.file(name, ""), s.file(name, ".ready"), s.file(name, ".log")
	ts.Check(os.MkdirAll(state, 0o755))
	ts.Check(os.RemoveAll(ready))
	if opts["-disk"] == "" && !slices.Contains(args, "--sandbox") {
		ts.Check(recallProbes(state))
	}
	words := []string{bin("crossccd"), "serve", "--config", s.emptyConfig(), "--grpc", "127.0.0.1:0",
		"--distcc", "off", "--http", "off", "--ready-file", ready, "--state", state}
	words = append(words, args[1:]...)
	if size := opts["-disk"]; size != "" {
		mount := fmt.Sprintf(`mount -t tmpfs -o size=%s,mode=0755 tmpfs %s && exec "$@"`, size, state)
		words = append([]string{"unshare", "-m", "sh", "-c", mount, "sh"}, words...)
	}
	log, err := os.OpenFile(logName, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	defer log.Close()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + s.dir, "GORACE=atexit_sleep_ms=0", "MARK=" + s.dir, "DOCKER_HOST=" + ts.Getenv("DOCKER_HOST")}
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), log, log
	ts.Check(cmd.Start())
	s.helpers[name] = cmd
	doors, err := awaitReady(cmd, ready)
	if neg {
		if err == nil {
			ts.Fatalf("helper %s started", name)
		}
		s.wait(name)
		return
	}
	if err != nil {
		text, _ := os.ReadFile(logName)
		ts.Fatalf("helper %s: %v\n%s", name, err, text)
	}
	ts.Setenv(name, doors["grpc"])
	ts.Setenv(name+"_http", doors["http"])
}

// recallProbes gives a helper with the usual sandbox what this machine's compilers
// have told others before it: there are some dozens, and each script starts helpers.
func recallProbes(state string) error {
	asked := filepath.Join(root, "asked")
	if err := os.MkdirAll(asked, 0o700); err != nil {
		return err
	}
	err := os.Symlink(asked, filepath.Join(state, "probes"))
	if errors.Is(err, fs.ErrExist) { // it was here before
		return nil
	}
	return err
}

// file is a name for what belongs to a helper.
func (s *script) file(helper, suffix string) string {
	return filepath.Join(s.dir, "helper-"+helper+suffix)
}

// awaitReady waits for the ready file and returns the addresses of the doors.
func awaitReady(cmd *exec.Cmd, ready string) (doors map[string]string, err error) {
	doors = make(map[string]string)
	err = eventually(startLimit, func() error {
		text, err := os.ReadFile(ready)
		for line := range strings.Lines(string(text)) {
			name, address, _ := strings.Cut(strings.TrimSpace(line), " ")
			doors[name] = address
		}
		if err == nil || exited(cmd.Process.Pid) {
			return nil
		}
		return fmt.Errorf("not ready after %v", startLimit)
	})
	if err == nil && doors["grpc"] == "" {
		err = errors.New("ended before it was ready")
	}
	return doors, err
}

// exited reports whether our child has ended; it is not reaped.
func exited(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err != nil || info.Signo != 0
}

// stopHelper is `helper-stop NAME [SIGNAL]`.
func stopHelper(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: helper-stop NAME [SIGNAL]")
	}
	signal := unix.SIGTERM
	if len(args) == 2 {
		if signal = unix.SignalNum("SIG" + args[1]); signal == 0 {
			ts.Fatalf("no signal %q", args[1])
		}
	}
	s := scriptOf(ts)
	if s.helpers[args[0]] == nil {
		ts.Fatalf("no helper %q", args[0])
	}
	ts.Check(s.helpers[args[0]].Process.Signal(signal))
	ts.Check(s.wait(args[0]))
}

// wait reaps a helper that was told to end. It is killed when it does not.
func (s *script) wait(name string) error {
	cmd := s.helpers[name]
	delete(s.helpers, name)
	late := time.AfterFunc(stopLimit, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	_ = cmd.Wait()
	if !late.Stop() {
		return fmt.Errorf("helper %s did not end within %v", name, stopLimit)
	}
	return nil
}
