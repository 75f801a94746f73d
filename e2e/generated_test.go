package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/crosscc/crosscc/e2e/site"
)

// TestGenerated compiles projects that nobody wrote, each command through crosscc
// and without, and wants every output, both streams and the status the same byte
// for byte, and every job done from a tree at the helper. Each combination of
// target, family, language and kind of debug info occurs in each round.
//
// CROSSCC_E2E_ROUNDS and CROSSCC_E2E_SEED ask for more rounds, and for others.
func TestGenerated(t *testing.T) {
	rounds, seed := numberOf(t, "CROSSCC_E2E_ROUNDS", 1), numberOf(t, "CROSSCC_E2E_SEED", 1)
	s := startSite(t)
	for round := range rounds {
		t.Run(fmt.Sprintf("seed=%d", seed+round), func(t *testing.T) {
			before, err := s.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n := compareGenerated(t, s, uint64(seed+round))
			after, err := s.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			st := after.Since(before)
			if st.Jobs.Remote+st.Jobs.Cached != n || len(st.Preprocessed) > 0 {
				t.Errorf("of %d jobs %d were at the helper; local %v (%v), without a tree %v (%v)",
					n, st.Jobs.Remote+st.Jobs.Cached, st.LocalReasons, st.LocalLast, st.Preprocessed, st.PreprocessedLast)
			}
		})
	}
}

func numberOf(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// startSite is a helper and a client with nothing of the user's environment.
func startSite(t *testing.T) *site.Site {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Join(root, "s"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := site.Start(t.Context(), bin(""), dir, []string{
		"PATH=" + bin("") + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "GORACE=atexit_sleep_ms=0",
		"CROSSCC_LOG=" + filepath.Join(dir, "wrapper.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// projectSize is how many commands there are for one project.
const projectSize = 8

// compareGenerated runs one command of each combination and says how many.
func compareGenerated(t *testing.T, s *site.Site, seed uint64) int {
	all := combinations()
	random := rand.New(rand.NewPCG(seed, 0))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var work sync.WaitGroup
	free := make(chan struct{}, 2) // projects at once: one for each usual core
	for i, some := range slices.Collect(slices.Chunk(all, projectSize)) {
		free <- struct{}{}
		work.Go(func() {
			defer func() { <-free }()
			a := &author{Rand: rand.New(rand.NewPCG(seed, uint64(i+1))), dir: filepath.Join(root, "w", fmt.Sprintf("generated-%d-%d", seed, i))}
			if err := errors.Join(os.Mkdir(a.dir, 0o755), a.write()); err != nil {
				t.Error(err)
				return
			}
			for j, c := range some {
				cmd := a.command(c, fmt.Sprintf("out-%d", j))
				if err := cmd.compare(s); err != nil {
					t.Errorf("%v: %v", cmd, err)
				}
			}
		})
	}
	work.Wait()
	return len(all)
}

// String is the invocation as a shell reads it.
func (c invocation) String() string {
	quote := func(words []string) string {
		var b strings.Builder
		for _, w := range words {
			fmt.Fprintf(&b, " '%s'", strings.ReplaceAll(w, "'", `'\''`))
		}
		return b.String()
	}
	return "cd " + c.dir + " && env" + quote(c.env) + quote(c.words)
}

// compare runs the command through crosscc and without.
func (c invocation) compare(s *site.Site) error {
	have, err := c.run(s.Env, append([]string{s.Program("crosscc")}, c.words...))
	if err != nil {
		return err
	}
	want, err := c.run(s.Env, c.words)
	if err != nil {
		return err
	}
	return differences(have, want)
}

// differences says how what a command left is not what the local one did.
func differences(have, want map[string]string) error {
	names, haveNames := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(have))
	if !slices.Equal(names, haveNames) {
		return fmt.Errorf("left %q, locally %q\n%s\nlocally\n%s", haveNames, names, have["stderr"], want["stderr"])
	}
	for _, name := range names {
		if have[name] != want[name] && (filepath.Ext(name) == ".o" || filepath.Ext(name) == ".s") {
			return fmt.Errorf("%s: %d bytes that differ from the local %d (%s)", name, len(have[name]), len(want[name]), keep(have[name], want[name]))
		} else if have[name] != want[name] {
			return fmt.Errorf("%s:\n%s\nlocally\n%s", name, have[name], want[name])
		}
	}
	return nil
}

// keep writes two files that should be one, for whoever looks into a directory
// that is kept (CROSSCC_E2E_KEEP).
func keep(have, want string) string {
	dir, err := os.MkdirTemp(filepath.Join(root, "w"), "differ-")
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dir, "have"), []byte(have), 0o644), os.WriteFile(filepath.Join(dir, "want"), []byte(want), 0o644))
	}
	if err != nil {
		return err.Error()
	}
	return dir
}

// run is all that a command leaves, by name; its streams and status too.
func (c invocation) run(env, words []string) (map[string]string, error) {
	cmd := exec.Command(words[0], words[1:]...)
	if !filepath.IsAbs(words[0]) {
		cmd = exec.Command("/usr/bin/"+words[0], words[1:]...)
		cmd.Args[0] = words[0]
	}
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, slices.Concat(env, c.env), &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return nil, err
	}
	all, err := outputs(c.dir, "out-")
	if err != nil {
		return nil, err
	}
	all["stdout"], all["stderr"], all["status"] = stdout.String(), stderr.String(), cmd.ProcessState.String()
	return all, nil
}
