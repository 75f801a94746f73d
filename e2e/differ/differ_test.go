package differ

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"pgregory.net/rapid"

	"github.com/crosscc/crosscc/e2e/site"
	"github.com/crosscc/crosscc/e2e/trace"
)

// What a brief run is: so many plain commands for each compiler, and as many wild
// ones, always the same. rapid's own flags ask for others.
const (
	briefly = "12"
	always  = "1"
)

// root holds the programs under test and all that is made. TestMain sets it once.
var root string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{"rapid.checks": briefly, "rapid.seed": always, "rapid.nofailfile": "true"} {
		if !given[name] {
			if err := flag.Set(name, value); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
	}
	var err error
	if root, err = os.MkdirTemp("/tmp", "cc-differ-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(root)
	// A helper that was started as root works as another user, who must be able to pass through.
	if err := os.Chmod(root, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(root, "bin")+"/", "../../cmd/crosscc", "../../cmd/crossccd", "../../cmd/crossctl")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", cmd, err, out)
		return 1
	}
	return m.Run()
}

// share is how many of a hundred plain commands, of those that compile, a helper
// must have done; a brief run has so few that chance may take some more.
const (
	share        = 90
	brieflyShare = 80
	few          = 500
)

// kinds are the ways in which commands are drawn.
var kinds = []string{"plain", "wild", "built"}

// TestDiffer compiles generated commands through crosscc and without, for four
// targets and two families of compilers, and wants no difference.
func TestDiffer(t *testing.T) {
	environ := []string{"PATH=" + filepath.Join(root, "bin") + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + root, "CROSSCC_LOG=" + filepath.Join(root, "wrapper.log")}
	s, err := site.Start(t.Context(), filepath.Join(root, "bin"), makeDir(t, "site"), environ)
	if err != nil {
		t.Fatal(err)
	}
	var all tables
	t.Run("all", func(t *testing.T) { // the table is printed when all have ended
		for i, c := range compilers() {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				var err error
				if c.words, err = vocabularyOf(c.family, c.c[0], uint64(i)); err != nil {
					t.Fatal(err)
				}
				client, err := s.Another(makeDir(t, "client"+strconv.Itoa(i)), environ)
				if err != nil {
					t.Fatal(err)
				}
				w := &workshop{dir: makeDir(t, "work"+strconv.Itoa(i)), client: client}
				w.furnish(t)
				t.Run("plain", func(t *testing.T) { all.add(c, "plain", w.check(t, c.plainCommand)) })
				t.Run("wild", func(t *testing.T) { all.add(c, "wild", w.check(t, c.wildCommand)) })
				t.Run("built", func(t *testing.T) { all.add(c, "built", w.check(t, c.builtCommand)) })
				if err := client.Stop(); err != nil {
					t.Error(err)
				}
			})
		}
	})
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	t.Log("\n" + all.String())
	plain, least := all.sum("plain"), share
	if plain.compiled < few {
		least = brieflyShare
	}
	if plain.remote*100 < plain.compiled*least {
		t.Errorf("of %d plain commands that compile %d were done by the helper", plain.compiled, plain.remote)
	}
}

func makeDir(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(root, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A workshop is a directory with the corpus, where one command runs at a time.
type workshop struct {
	dir    string
	client *site.Site
	clean  trace.Files
}

func (w *workshop) furnish(t *testing.T) {
	t.Helper()
	var err error
	if err = os.CopyFS(w.dir, os.DirFS("testdata/corpus")); err == nil {
		w.clean, err = trace.Read(w.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// check draws commands and compares, and counts what became of them.
func (w *workshop) check(t *testing.T, draw func(*rapid.T) command) *count {
	n := &count{reasons: map[string]int{}, last: map[string]string{}}
	rapid.Check(t, func(rt *rapid.T) {
		cmd := draw(rt)
		if err := w.compare(t, cmd, n); err != nil {
			rt.Fatalf("%v\n%v", cmd, err)
		}
	})
	return n
}

// tries is how often a difference must show: what two local runs do not agree
// on, no helper can (names of temporary files, times).
const tries = 3

// compare runs the command through crosscc and without.
func (w *workshop) compare(t *testing.T, c command, n *count) error {
	var err error
	for range tries {
		var have, want trace.Trace
		before, errBefore := w.client.Status(t.Context())
		if have, err = w.run(t, c, w.client.Program("crosscc")); err != nil {
			return err
		}
		after, errAfter := w.counted(t, before)
		if want, err = w.run(t, c, ""); err != nil {
			return err
		}
		if err := errors.Join(errBefore, errAfter); err != nil {
			return err
		}
		n.add(want.Status == 0, after.Since(before), c)
		if err = want.Compare(have, false); err == nil {
			return nil
		}
		again, errAgain := w.run(t, c, "")
		if errAgain != nil {
			return errAgain
		}
		if want.Compare(again, false) != nil {
			n.unstable++
			return nil
		}
	}
	return err
}

// counted waits for the command to be in the agent's counts: the wrapper may end
// first. What only prints is in none.
func (w *workshop) counted(t *testing.T, before site.Status) (site.Status, error) {
	for end := time.Now().Add(300 * time.Millisecond); ; time.Sleep(5 * time.Millisecond) {
		st, err := w.client.Status(t.Context())
		j := st.Since(before).Jobs
		if err != nil || j.Remote+j.Cached+j.Local+j.Failed > 0 || time.Now().After(end) {
			return st, err
		}
	}
}

// run runs the command once, and takes away what it made.
func (w *workshop) run(t *testing.T, c command, crosscc string) (trace.Trace, error) {
	cmd := c.exec(w.dir, crosscc, w.client.Env)
	if c.stdin != "" {
		in, err := os.Open(filepath.Join(w.dir, c.stdin))
		if err != nil {
			return trace.Trace{}, err
		}
		defer in.Close()
		cmd.Stdin = in
	}
	have, err := trace.Of(t.Context(), cmd)
	if err != nil {
		return have, err
	}
	return have, w.clean.Restore(have.Files)
}

// A count is what became of some commands.
type count struct {
	commands, compiled int // all, and those that the compiler has nothing against
	remote, failed     int // compiled by the helper; answered by it with an error
	unstable           int // those that two local runs do not agree on
	reasons            map[string]int
	last               map[string]string // a command for each reason
}

func (n *count) add(compiled bool, st site.Status, c command) {
	n.commands++
	served := st.Jobs.Remote + st.Jobs.Cached
	if compiled {
		n.compiled++
		n.remote += served
		for why, k := range st.LocalReasons {
			n.reasons[why] += k
			n.last[why] = c.String() + ": " + st.LocalLast[why]
		}
	} else {
		n.failed += served
	}
}

// tables are the counts of all compilers. Safe for concurrent use.
type tables struct {
	mu   sync.Mutex
	rows []row
}

type row struct {
	compiler, kind string
	*count
}

func (a *tables) add(c compiler, kind string, n *count) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows = append(a.rows, row{c.String(), kind, n})
}

// sum adds up one kind.
func (a *tables) sum(kind string) count {
	total := count{reasons: map[string]int{}, last: map[string]string{}}
	for _, r := range a.rows {
		if r.kind != kind {
			continue
		}
		total.commands += r.commands
		total.compiled += r.compiled
		total.remote += r.remote
		total.failed += r.failed
		total.unstable += r.unstable
		for why, k := range r.reasons {
			total.reasons[why] += k
			total.last[why] = r.last[why]
		}
	}
	return total
}

// String is the table, and the reasons for what was compiled locally.
func (a *tables) String() string {
	slices.SortFunc(a.rows, func(x, y row) int { return cmp.Or(cmp.Compare(x.kind, y.kind), cmp.Compare(x.compiler, y.compiler)) })
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KIND\tCOMPILER\tCOMMANDS\tCOMPILE\tOF THESE REMOTE\tREMOTE ERRORS\tUNSTABLE AT HOME")
	line := func(kind, who string, n *count) {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\n", kind, who, n.commands, n.compiled, n.remote, n.failed, n.unstable)
	}
	for _, r := range a.rows {
		line(r.kind, r.compiler, r.count)
	}
	for _, kind := range kinds {
		n := a.sum(kind)
		line(kind, "all", &n)
	}
	_ = t.Flush() // b is memory
	for _, kind := range kinds {
		n := a.sum(kind)
		fmt.Fprintf(&b, "%s commands that compile were local because of\n", kind)
		for _, why := range slices.SortedFunc(maps.Keys(n.reasons), func(x, y string) int { return cmp.Or(n.reasons[y]-n.reasons[x], cmp.Compare(x, y)) }) {
			fmt.Fprintf(&b, "%5d %s, as %s\n", n.reasons[why], why, n.last[why])
		}
	}
	return b.String()
}
