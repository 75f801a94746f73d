package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/crosscc/crosscc/sandbox/prove"
)

// root holds the programs under test and all that the scripts make. Its name is
// short, because a unix socket's may have 108 bytes. TestMain sets it once.
var root string

func TestMain(m *testing.M) {
	// TestAttacks has a helper in this process, whose sandbox proves itself.
	if handled, exit := prove.Main(os.Args[1:]); handled {
		os.Exit(exit)
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	var err error
	if root, err = os.MkdirTemp("/tmp", "cc-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Getenv("CROSSCC_E2E_KEEP") == "" {
		defer os.RemoveAll(root)
	} else {
		fmt.Fprintln(os.Stderr, "kept:", root)
	}
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := stopEngine(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// race is for the race detector what the Makefile's RACE is: our programs' compressor
// goes without.
const race = "-gcflags=github.com/klauspost/compress/flate=-race=false -d=checkptr=0"

// build makes the three programs, with the race detector, and the directories
// that all scripts share. A helper that was started as root works as another
// user, who must be able to pass through.
func build() error {
	for _, dir := range []string{root, filepath.Join(root, "bin"), filepath.Join(root, "w"), filepath.Join(root, "s")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	cmd := exec.Command("go", "build", "-race", race, "-o", bin("")+"/", "../cmd/crosscc", "../cmd/crossccd", "../cmd/crossctl", "./demo", "./unlike")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return nil
}

// bin is the path of a program under test, or of their directory.
func bin(name string) string { return filepath.Join(root, "bin", name) }

// TestScripts runs every promise.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		WorkdirRoot:         filepath.Join(root, "w"),
		Setup:               setup,
		Cmds:                commands(),
		Condition:           condition,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// commands are what scripts can say besides testscript's own words:
//
//	helper [-disk SIZE] NAME [FLAG…]    start a helper; $NAME is its address, $NAME_http that of its http door
//	helper-stop NAME [SIGNAL]           end it, by TERM or the signal
//	lying-helper NAME [COMPILER]        a helper whose objects are COMPILER's, whatever it is asked for
//	listen NAME [TEXT]                  a listener that is no helper: it answers with TEXT or not at all
//	gate NAME ADDRESS [MIB]             $NAME leads to ADDRESS, and holds what is sent there after so many MiB; said
//	                                    again it leads there from now on
//	gate-held NAME                      it holds something before long
//	alike [-as LOCAL] [-code] COMPILER ARG…
//	                                    through crosscc and without it: the same files, output and status
//	same A B, samecode A B              the same bytes; the same code and data
//	elf FILE MACHINE CLASS              what an object is for
//	jobs KEY=N KEY>=N KEY<=N            the agent's counts (remote, cached, local, failed, verified, differed,
//	                                    identical, …; served is remote and cached)
//	reason SLUG=N…                      why jobs were local
//	treeless SLUG=N…                    why jobs did not go as trees; all is the sum
//	amid N interrupt|kill=NAME COMMAND… run COMMAND; when N objects are there, Ctrl-C it, or SIGKILL a helper
//	image NAME layout|oci|docker|registry
//	                                    an image with Debian's cross gcc for riscv64; $NAME is its pin,
//	                                    $NAME_source the file or directory that has it
//	awaited TEXT COMMAND…               the command says TEXT before long; with ! it stops to
//	agents N                            so many agents run
//	quiet DURATION                      within it nothing of ours runs but agents and helpers
//	engine                              a Docker Engine; $DOCKER_HOST names it, for helpers too. [engine]: one can run here
//	image-helper [-plain] NAME          the helper of docs/docker.md in a container; -plain: without its profile
//	needs-root                          the promise is about several users, or mounts
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){"needs-root": needsRoot}
	for _, some := range []map[string]func(*testscript.TestScript, bool, []string){
		helperCommands, peerCommands, gateCommands, compareCommands, statusCommands, processCommands, engineCommands, imageCommands,
	} {
		maps.Copy(all, some)
	}
	return all
}

// A script is what its commands share.
type script struct {
	dir     string // of its client's state and of its helpers; unique, in every process's environment
	helpers map[string]*exec.Cmd
	gates   map[string]*gate
}

type scriptKey struct{}

func scriptOf(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

// setup gives each script a client of its own: nothing of the user's or of the
// machine's configuration reaches it.
func setup(env *testscript.Env) error {
	s := &script{helpers: make(map[string]*exec.Cmd), gates: make(map[string]*gate)}
	var err error
	if s.dir, err = os.MkdirTemp(filepath.Join(root, "s"), ""); err != nil {
		return err
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	client, home := filepath.Join(s.dir, "client"), filepath.Join(s.dir, "home")
	for _, dir := range []string{client, home, filepath.Join(home, "run")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.emptyConfig(), nil, 0o644); err != nil {
		return err
	}
	for _, kv := range [][2]string{
		{"PATH", bin("") + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"},
		{"BIN", bin("")},
		{"HOME", home},
		{"XDG_RUNTIME_DIR", filepath.Join(home, "run")},
		{"XDG_STATE_HOME", filepath.Join(home, "state")},
		{"XDG_CACHE_HOME", filepath.Join(home, "cache")},
		{"XDG_CONFIG_HOME", filepath.Join(home, "config")},
		{"CROSSCC_DIR", client},
		{"CROSSCC_SOCKET", filepath.Join(client, "agent.sock")},
		{"CROSSCC_CONFIG", s.emptyConfig()},
		{"CROSSCC_LOG", filepath.Join(client, "wrapper.log")},
		{"STATE", s.dir},
		{"LC_ALL", "C.UTF-8"},
		{"GORACE", "atexit_sleep_ms=0"},
	} {
		env.Setenv(kv[0], kv[1])
	}
	env.Values[scriptKey{}] = s
	env.Defer(func() { s.cleanup(env.T().(testing.TB)) })
	return nil
}

func (s *script) emptyConfig() string { return filepath.Join(s.dir, "empty.toml") }

// needsRoot fails where the promise cannot be kept or broken.
func needsRoot(ts *testscript.TestScript, _ bool, _ []string) {
	if os.Geteuid() != 0 {
		ts.Fatalf("this promise is about several users or mounts: run make test as root")
	}
}

// flags takes the leading words of args that spec names: its value says whether
// the flag takes an operand.
func flags(ts *testscript.TestScript, args []string, spec map[string]bool) (map[string]string, []string) {
	given := make(map[string]string)
	for len(args) > 0 {
		operand, ok := spec[args[0]]
		if !ok {
			break
		}
		name := args[0]
		args = args[1:]
		if operand {
			if len(args) == 0 {
				ts.Fatalf("%s wants a value", name)
			}
			given[name], args = args[0], args[1:]
			continue
		}
		given[name] = "yes"
	}
	return given, args
}

// eventually tries until f says no error or the time is over.
func eventually(limit time.Duration, f func() error) error {
	end := time.Now().Add(limit)
	for {
		err := f()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
