package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crosscc/crosscc/sandbox"
)

// Sources that bring a compiler to the machine's bounds.
var (
	// endless takes time and no memory: 10^12 macros that come to nothing.
	endless = func() string {
		var b strings.Builder
		b.WriteString("#define E0\n")
		for i := 1; i <= 12; i++ {
			e := fmt.Sprintf("E%d ", i-1)
			fmt.Fprintf(&b, "#define E%d %s\n", i, strings.Repeat(e, 10))
		}
		return b.String() + "E12\nint x;\n"
	}()
	// hungry takes memory: 10^9 tokens that are kept.
	hungry = func() string {
		var b strings.Builder
		b.WriteString("#define E0 +1\n")
		for i := 1; i <= 9; i++ {
			e := fmt.Sprintf("E%d ", i-1)
			fmt.Fprintf(&b, "#define E%d %s\n", i, strings.Repeat(e, 10))
		}
		return b.String() + "#define F(x) x\nint x = F(E9);\n"
	}()
	// large makes an object of 4 MiB, and assembler text of more.
	large = "char x[4 << 20] = {1}; char y[] = \"" + strings.Repeat(`\001\377`, 1<<18) + "\";\n"
	plain = "int x;\n"
)

// TestMachineIsNotBlamedOnTheSource: a real compiler that is short of something,
// or is killed, is a sandbox.Failure of the right kind, never an sandbox.Outcome whose words the
// user sees.
func TestMachineIsNotBlamedOnTheSource(t *testing.T) {
	for _, tc := range []struct {
		name, source string
		limits       sandbox.Limits
		kinds        map[string]sandbox.Kind // by family
		kill         string                  // a program to kill by SIGKILL once it runs
		grouped      bool
	}{
		{"address space", hungry, sandbox.Limits{Memory: 300 << 20}, both(sandbox.Memory), "", false},
		{"memory of the whole", hungry, sandbox.Limits{Sum: 100 << 20}, both(sandbox.Memory), "", true},
		{"output directory", large, sandbox.Limits{OutputSum: 1 << 20}, both(sandbox.Disk), "", false},
		{"temporary directory", large, sandbox.Limits{Temp: 64 << 10}, map[string]sandbox.Kind{"gcc-12": sandbox.Disk, "clang-14": ""}, "", false}, // clang needs none
		{"size of a file", large, sandbox.Limits{FileSize: 1 << 20}, both(sandbox.Disk), "", false},
		{"processor time", endless, sandbox.Limits{CPU: time.Second}, both(sandbox.CPU), "", false},
		{"time", endless, sandbox.Limits{Wall: time.Second}, both(sandbox.WallTime), "", false},
		// clang is one.
		{"no process more", plain, sandbox.Limits{Processes: 1}, map[string]sandbox.Kind{"gcc-12": sandbox.Processes, "clang-14": ""}, "", false},
		{"killed", endless, sandbox.Limits{}, both(sandbox.Killed), "compiler", false},
	} {
		for _, driver := range []string{"gcc-12", "clang-14"} {
			t.Run(tc.name+"/"+driver, func(t *testing.T) {
				t.Parallel() // gcc tries for 15 s to start a process
				r := bwrap(t)
				if tc.grouped {
					r = grouped(t)
				}
				s, dir := compileOf(t, driver, tc.source)
				s.Limits = tc.limits
				if tc.kill != "" {
					go killCompiler(t, dir)
				}
				o, err := r(rig.Context(t), s)
				want := tc.kinds[driver]
				f, ok := errors.AsType[*sandbox.Failure](err)
				if want == "" && (err != nil || o.ExitCode != 0) || want != "" && (!ok || f.Kind != want) {
					t.Errorf("got %+v, %v, want %q", o, err, want)
				}
				if err == nil {
					o.Close()
				}
				t.Log(err)
			})
		}
	}
}

func both(k sandbox.Kind) map[string]sandbox.Kind {
	return map[string]sandbox.Kind{"gcc-12": k, "clang-14": k}
}

// compileOf is a compile whose directory no other process names.
func compileOf(t *testing.T, driver, source string) (s *sandbox.Spec, dir string) {
	t.Helper()
	path := rig.Need(t, driver, driver)
	var asks []string
	if strings.HasPrefix(driver, "gcc") {
		asks = []string{"cc1", "as"}
	}
	tree := rig.OpenTemp(t)
	dir = "/w/" + filepath.Base(tree)
	rig.Write(t, filepath.Join(tree, dir, "a.c"), source)
	return &sandbox.Spec{Path: path, Dir: dir, Tree: tree, Out: "/.crosscc", Outputs: []string{"a.o"}, Programs: rig.ProgramsOf(t, path, asks),
		Args: []string{driver, "-nostdinc", "-c", dir + "/a.c", "-o", "/.crosscc/a.o"}, Env: []string{"PATH=/usr/bin", "TMPDIR=/tmp"}}, dir
}

// killCompiler kills what compiles a file in dir: gcc's cc1, not its driver.
func killCompiler(t *testing.T, dir string) {
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		for _, line := range rig.Processes(t, dir+"/a.c") {
			var pid int
			var words string
			_, err := fmt.Sscanf(line, "/proc/%d %q", &pid, &words)
			exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			if err == nil && (strings.HasSuffix(exe, "/cc1") || strings.HasSuffix(exe, "/clang")) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				return
			}
		}
	}
	t.Error("no compiler was seen to run")
}
