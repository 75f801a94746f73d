package sandbox_test

import (
	"slices"

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
	// deep takes more of a stack than a compiler has.
	deep = "int x = " + strings.Repeat("- ", 400_000) + "1;\n"
)

// shortages are what a machine may be short of, and what may be done to a compiler
// there, with the kinds of Failure that they are by family; "" is none at all.
var shortages = []struct {
	name, source string
	limits       sandbox.Limits
	kinds        map[string]sandbox.Kind
	signal       syscall.Signal // for the compiler once it runs
}{
	{"address space", hungry, sandbox.Limits{Memory: 300 << 20}, both(sandbox.Memory), 0},
	{"memory of the whole", hungry, sandbox.Limits{Sum: 100 << 20}, both(sandbox.Memory), 0},
	{"output directory", large, sandbox.Limits{OutputSum: 1 << 20}, both(sandbox.Disk), 0},
	{"temporary directory", large, sandbox.Limits{Temp: 64 << 10}, map[string]sandbox.Kind{"gcc-12": sandbox.Disk, "clang-14": ""}, 0}, // clang needs none
	{"size of a file", large, sandbox.Limits{FileSize: 1 << 20}, both(sandbox.Disk), 0},
	{"processor time", endless, sandbox.Limits{CPU: time.Second}, both(sandbox.CPU), 0},
	{"time", endless, sandbox.Limits{Wall: time.Second}, both(sandbox.WallTime), 0},
	// clang is one.
	{"no process more", plain, sandbox.Limits{Processes: 1}, map[string]sandbox.Kind{"gcc-12": sandbox.Processes, "clang-14": ""}, 0},
	// The source's own doing, and the same at home: there the compiler says so.
	{"its own stack", deep, sandbox.Limits{}, both(sandbox.Killed), 0},
	{"killed", endless, sandbox.Limits{}, both(sandbox.Killed), syscall.SIGKILL},
	{"asked to end", endless, sandbox.Limits{}, both(sandbox.Killed), syscall.SIGTERM},
	{"a call that the filter forbids", endless, sandbox.Limits{}, both(sandbox.Killed), syscall.SIGSYS},
	{"processor time, by signal", endless, sandbox.Limits{}, both(sandbox.CPU), syscall.SIGXCPU},
	{"size of a file, by signal", endless, sandbox.Limits{}, both(sandbox.Disk), syscall.SIGXFSZ},
	{"a page that is not there", endless, sandbox.Limits{}, both(sandbox.Killed), syscall.SIGBUS},
	{"a broken processor", endless, sandbox.Limits{}, both(sandbox.Killed), syscall.SIGILL},
}

// TestMachineIsNotBlamedOnTheSource: a real compiler that is short of something,
// or is killed, is a Failure of the right kind, never an Outcome whose words the
// user sees.
func TestMachineIsNotBlamedOnTheSource(t *testing.T) {
	for name, of := range walled(t) {
		for _, tc := range shortages {
			r := of
			if tc.limits.Sum != 0 && name == "bwrap" {
				if os.Geteuid() != 0 {
					continue // who may have no groups
				}
				r = grouped(t)
			}
			for _, driver := range []string{"gcc-12", "clang-14"} {
				t.Run(name+"/"+tc.name+"/"+driver, func(t *testing.T) {
					t.Parallel() // gcc tries for 15 s to start a process
					s, dir := compileOf(t, driver, tc.source)
					s.Limits = tc.limits
					if tc.signal != 0 {
						if driver == "clang-14" { // or it is process 1 in one sandbox, which only SIGKILL ends
							s.Args = slices.Insert(s.Args, 1, "-fno-integrated-cc1")
						}
						go hitCompiler(t, dir, tc.signal)
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

// hitCompiler sends signals to what compiles a file in dir until it is gone: to cc1, not
// to its driver. LLVM's handlers let go on after the first.
func hitCompiler(t *testing.T, dir string, signal syscall.Signal) {
	seen := false
	for until := time.Now().Add(40 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		before := seen
		found := rig.Processes(t, dir+"/a.c")
		for _, line := range found {
			var pid int
			var words string
			_, err := fmt.Sscanf(line, "/proc/%d %q", &pid, &words)
			program, _, _ := strings.Cut(words, "\x00") // bubblewrap's words name cc1 as well
			if err == nil && (strings.HasSuffix(program, "/cc1") || strings.Contains(words, "\x00-cc1\x00")) {
				seen = true
				_ = syscall.Kill(pid, signal)
			}
		}
		if before && len(found) == 0 {
			return
		}
	}
	if seen {
		t.Error("the compiler does not end")
		return
	}
	t.Error("no compiler was seen to run")
}
