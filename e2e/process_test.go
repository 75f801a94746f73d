package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// commandLimit bounds any build that a script runs.
const commandLimit = 3 * time.Minute

var processCommands = map[string]func(*testscript.TestScript, bool, []string){
	"agents": countAgents,
	"amid":   amid,
	"quiet":  quiet,
}

// A process is one that a script of ours started, however far down.
type process struct {
	pid, parent int
	state       byte // as in /proc/PID/stat: Z is one that ended
	words       []string
}

func (p process) String() string { return fmt.Sprintf("%d %s", p.pid, strings.Join(p.words, " ")) }

// daemon reports whether p is an agent ("agent") or a helper ("serve").
func (p process) daemon(command string) bool {
	return len(p.words) > 1 && filepath.Base(p.words[0]) == "crossccd" && p.words[1] == command
}

// processes are those that carry the script's directory in their environment or
// words, and all below them: a sandbox clears the environment.
func (s *script) processes() []process {
	mark := []byte(s.dir)
	all := make(map[int]process)
	ours := make(map[int]bool)
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range entries {
		p, ok := readProcess(dir)
		if !ok || p.pid == os.Getpid() || p.state == 'Z' {
			continue
		}
		all[p.pid] = p
		environ, _ := os.ReadFile(filepath.Join(dir, "environ"))
		ours[p.pid] = bytes.Contains(environ, mark) || strings.Contains(p.String(), s.dir)
	}
	var list []process
	for _, p := range all {
		for q, ok := p, true; ok; q, ok = all[q.parent] {
			if ours[q.pid] {
				list = append(list, p)
				break
			}
		}
	}
	return list
}

func readProcess(dir string) (process, bool) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return process{}, false
	}
	// PID (NAME) STATE PARENT …, and NAME may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	p := process{state: fields[0][0]}
	p.pid, _ = strconv.Atoi(filepath.Base(dir))
	p.parent, _ = strconv.Atoi(fields[1])
	words, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	p.words = strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00")
	return p, true
}

// cleanup ends what the script left running: helpers, then agents, by their
// process ids. Whatever else is still there then is a process that crosscc lost.
func (s *script) cleanup(t testing.TB) {
	for name, cmd := range s.helpers {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := s.wait(name); err != nil {
			t.Error(err)
		}
	}
	for _, p := range s.processes() {
		if p.daemon("agent") {
			_ = syscall.Kill(p.pid, syscall.SIGTERM)
		}
	}
	var left []process
	err := eventually(stopLimit, func() error {
		if left = s.processes(); len(left) > 0 {
			return fmt.Errorf("processes left behind: %v", left)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, p := range left {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	if t.Failed() {
		s.showLogs(t)
	}
}

// showLogs puts the end of every log of the script into the test's.
func (s *script) showLogs(t testing.TB) {
	logs, _ := filepath.Glob(filepath.Join(s.dir, "*.log"))
	more, _ := filepath.Glob(filepath.Join(s.dir, "client", "*.log"))
	for _, name := range append(logs, more...) {
		text, err := os.ReadFile(name)
		if err == nil && len(text) > 0 {
			t.Logf("%s ends with:\n%s", name, text[max(0, len(text)-4000):])
		}
	}
}

// countAgents is `agents N`.
func countAgents(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: agents N")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(eventually(5*time.Second, func() error {
		n := 0
		for _, p := range scriptOf(ts).processes() {
			if p.daemon("agent") {
				n++
			}
		}
		if n != want {
			return fmt.Errorf("%d agents run, want %d", n, want)
		}
		return nil
	}))
}

// quiet is `quiet DURATION`.
func quiet(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: quiet DURATION")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Check(eventually(limit, func() error {
		for _, p := range scriptOf(ts).processes() {
			if !p.daemon("agent") && !p.daemon("serve") {
				return fmt.Errorf("still runs after %v: %v", limit, p)
			}
		}
		return nil
	}))
}

// amid is `amid N interrupt|kill=NAME COMMAND…`: when N objects lie in the
// working directory, COMMAND's whole process group gets SIGINT, as from a
// terminal, or a helper gets SIGKILL.
func amid(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: amid N interrupt|kill=NAME COMMAND…")
	}
	objects, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := command(ts, args[2], args[3:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ts.Check(cmd.Start())
	killed := time.AfterFunc(commandLimit, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err = eventually(commandLimit, func() error {
		if found, _ := filepath.Glob(ts.MkAbs("*.o")); len(found) < objects {
			if exited(cmd.Process.Pid) {
				return nil
			}
			return fmt.Errorf("%d objects after %v, want %d", len(found), commandLimit, objects)
		}
		return scriptOf(ts).strike(cmd, args[1])
	})
	werr := cmd.Wait()
	ts.Logf("%s", out.Bytes())
	ts.Check(err)
	switch {
	case !killed.Stop():
		ts.Fatalf("%v was not over after %v", cmd, commandLimit)
	case neg != (werr != nil):
		ts.Fatalf("%v: %v", cmd, werr)
	}
}

// strike is what happens amid the build.
func (s *script) strike(cmd *exec.Cmd, action string) error {
	if action == "interrupt" {
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	}
	name := strings.TrimPrefix(action, "kill=")
	helper := s.helpers[name]
	if helper == nil {
		return fmt.Errorf("no helper %q", name)
	}
	if err := helper.Process.Kill(); err != nil {
		return err
	}
	return s.wait(name)
}

// command is a command in the script's directory and environment, for what
// testscript's own exec can't do.
func command(ts *testscript.TestScript, name string, args ...string) *exec.Cmd {
	ts.Check(ts.Exec("env", "-0"))
	env := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\x00"), "\x00")
	if !strings.Contains(name, "/") {
		ts.Check(ts.Exec("sh", "-c", "command -v "+name))
		name = strings.TrimSpace(ts.ReadFile("stdout"))
	}
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), env
	return cmd
}
