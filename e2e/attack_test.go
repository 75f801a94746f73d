package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper"
	"github.com/crosscc/crosscc/broker/reapi"
	"github.com/crosscc/crosscc/broker/reapi/door"
	"github.com/crosscc/crosscc/e2e/dockerd"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/toolchains"
)

// TestAttacks has a client that is not our agent try what is in attempts.go at a
// helper's gRPC door, with jobs made by hand. The helper is the one that
// `crossccd serve` opens, with its sandbox proven, and with limits in seconds and
// megabytes. Each attempt is contained as its row says, no secret of the helper's
// comes out, and an honest job after it comes out right. In the end the helper's
// state is what it was, but for the store's own entries, each of which is what its
// name says. The table is printed (go test -v -run TestAttacks).
func TestAttacks(t *testing.T) { attack(t, "bwrap") }

// TestAttacksDocker: the same where jobs run in containers.
func TestAttacksDocker(t *testing.T) {
	d, err := startEngine()
	if errors.Is(err, dockerd.ErrNone) {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_HOST", d.Host())
	attack(t, "docker")
}

func attack(t *testing.T, kind string) {
	own, err := children()
	if err != nil {
		t.Fatal(err)
	}
	s := newStronghold(t, kind)
	before := s.snapshot(t)
	began := time.Now()
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, a := range attempts(s) {
		at := time.Now()
		got := s.try(t, a)
		if !regexp.MustCompile(`^` + a.want).MatchString(got) {
			t.Errorf("%s: got %q, want %q", a.name, got, a.want)
		}
		fmt.Fprintf(w, "%s\t%s\t%.90s\n", a.name, time.Since(at).Round(10*time.Millisecond), got)
		if !strings.HasPrefix(got, "refused") || strings.HasPrefix(got, tooLong) {
			s.serves(t, a.name)
		}
	}
	s.serves(t, "all of it")
	w.Flush()
	t.Logf("%d attempts in %s\n%s", strings.Count(table.String(), "\n"), time.Since(began).Round(time.Second), table.String())
	if n := s.called.Load(); n > 0 {
		t.Errorf("the listener was called %d times", n)
	}
	for name, sum := range s.snapshot(t) {
		if before[name] != sum {
			t.Errorf("%s of the helper's state is new or has changed: %s", name, sum)
		}
		delete(before, name)
	}
	for name := range before {
		t.Errorf("%s of the helper's state is gone", name)
	}
	s.checkStore(t)
	err = eventually(stopLimit, func() error {
		left, err := children()
		if err == nil && left != own {
			err = fmt.Errorf("processes left behind: %q, and before there were %q", left, own)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// children are the processes that this one has, an Engine perhaps.
func children() (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	return string(b), err
}

// An attempt is a job of a client that lies, or a call of its own.
type attempt struct {
	name string
	want string // an expression for the beginning of what happened
	job  *broker.Job
	call func(context.Context) error // instead of a job
}

// A stronghold is a helper that holds secrets, and what its client knows of it.
type stronghold struct {
	state  string // directory of the helper
	secret string // a text that nobody but the helper may have
	tools  map[string]toolchains.Toolchain
	client *reapi.Client
	addr   string
	out    net.Listener // what no job may reach
	called atomic.Int32
	served int
}

// attackLimits bound a job so that the whole corpus is a matter of seconds.
func attackLimits() sandbox.Limits {
	return sandbox.Limits{
		Wall: 3 * time.Second, CPU: 2 * time.Second, Memory: 384 << 20, Sum: 160 << 20, FileSize: 32 << 20, OutputSum: 48 << 20,
		Temp: 48 << 20, Stdout: 256 << 10, Stderr: 256 << 10, Processes: 24,
	}
}

func newStronghold(t *testing.T, kind string) *stronghold {
	t.Helper()
	dir := filepath.Join(root, "s", "stronghold-"+kind)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &stronghold{state: filepath.Join(dir, "state"), tools: map[string]toolchains.Toolchain{}}
	s.secret = fmt.Sprintf("crosscc-secret-%x", sha256.Sum256([]byte(time.Now().String())))
	log := logrus.New()
	log.SetOutput(io.Discard)
	h, err := helper.Open(t.Context(), helper.Setup{
		Dir: s.state, CacheSize: 1 << 30, Slots: 2, Sandbox: kind, Limits: attackLimits(), Version: "test", Log: log,
		Search: []string{"/usr/bin/gcc-12", "/usr/bin/clang-14"}, Path: "/usr/bin:/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	state, _ := h.State()
	for _, tc := range state.Toolchains {
		s.tools[path.Base(tc.Driver())] = tc
	}
	if err := os.WriteFile(filepath.Join(s.state, "secret"), []byte(s.secret), 0o644); err != nil {
		t.Fatal(err)
	}
	s.open(t, h)
	s.listen(t)
	s.serves(t, "nothing") // what the first job makes is not an attempt's
	return s
}

// open opens the door.
func (s *stronghold) open(t *testing.T, h *helper.Helper) {
	t.Helper()
	server := door.New(door.Backend{Run: h.Run, Key: h.Key, Store: h.Store(), State: h.State}, door.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	if s.client, err = reapi.Dial(s.addr, reapi.ClientOptions{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close() })
}

// listen waits for whoever gets out.
func (s *stronghold) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.out = l
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.called.Add(1)
			c.Close()
		}
	}()
}

// tree is a compile of source in tree form; files are names and texts of others.
func (s *stronghold) tree(driver, source string, words []string, files ...string) *broker.Job {
	name := "/w/a.c"
	if strings.HasPrefix(driver, "g++") {
		name = "/w/a.cc"
	}
	tc := s.tools[strings.Replace(driver, "g++", "gcc", 1)]
	j := &broker.Job{
		Name: driver, Identity: tc.Identity, Fingerprint: tc.Fingerprint, Dir: "/w", Form: broker.Tree, Root: new(broker.Dir),
		Args: slices.Concat([]string{"-nostdinc"}, words, []string{"-c", path.Base(name), "-o", "a.o"}), Outputs: []string{"a.o"},
	}
	put(j, slices.Concat([]string{name, source}, files)...)
	return j
}

// put adds files to a job's tree; a text that begins with an arrow is a link's.
func put(j *broker.Job, files ...string) {
	for pair := range slices.Chunk(files, 2) {
		target, link := strings.CutPrefix(pair[1], "->")
		if !link {
			j.Root.Put(pair[0], broker.File{Blob: broker.BytesBlob([]byte(pair[1]))})
			continue
		}
		in := j.Root.Mkdir(path.Dir(pair[0]))
		in.Links = append(in.Links, broker.Link{Name: path.Base(pair[0]), Target: target})
		slices.SortFunc(in.Links, func(a, b broker.Link) int { return strings.Compare(a.Name, b.Name) })
	}
}

// text is a compile of preprocessed text.
func (s *stronghold) text(driver, source string, words ...string) *broker.Job {
	j := s.tree(driver, "", nil)
	j.Form, j.Root = broker.Preprocessed, new(broker.Dir)
	put(j, "/w/in.i", source)
	j.Args = slices.Concat(words, []string{"-x", "cpp-output", "-c", "in.i", "-o", "a.o"})
	return j
}

// try makes an attempt and says what happened.
func (s *stronghold) try(t *testing.T, a attempt) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if a.call != nil {
		if err := a.call(ctx); err != nil {
			return "refused: " + err.Error()
		}
		return "served"
	}
	res, err := s.client.Run(ctx, a.job)
	if r, ok := errors.AsType[*broker.Refusal](err); ok {
		s.nothingOf(t, a, []byte(r.Text))
		return "refused: " + r.Text
	}
	if err != nil {
		s.nothingOf(t, a, []byte(err.Error()))
		return "ended: " + strings.TrimPrefix(err.Error(), s.addr+": ")
	}
	s.nothingOf(t, a, slices.Concat(res.Stdout, res.Stderr))
	size := 0
	for _, o := range res.Outputs {
		b, err := o.Blob.Bytes(1 << 30)
		if err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
		s.nothingOf(t, a, b)
		size += len(b)
	}
	if res.ExitCode != 0 {
		return "compiler's no: " + strings.ReplaceAll(strings.TrimSpace(string(res.Stderr)), "\n", "; ")
	}
	return fmt.Sprintf("compiled: %d bytes, %s", size, strings.ReplaceAll(strings.TrimSpace(string(res.Stderr)), "\n", "; "))
}

// nothingOf looks in what came back for the helper's secrets, and for the word of
// programs that nobody should run.
func (s *stronghold) nothingOf(t *testing.T, a attempt, b []byte) {
	t.Helper()
	for _, secret := range []string{s.secret, "root:x:0:0", "root:*:", "crosscc-evil"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("%s: %q came out", a.name, secret)
		}
	}
}

// serves: the helper does the next job.
func (s *stronghold) serves(t *testing.T, after string) {
	t.Helper()
	s.served++
	res, err := s.client.Run(t.Context(), s.tree("gcc-12", fmt.Sprintf("int f(void) { return %d; }\n", s.served), []string{"-O2"}))
	if err != nil || res.ExitCode != 0 || res.Cached || len(res.Outputs) != 1 {
		t.Fatalf("after %s: %+v, %v", after, res, err)
	}
}

// snapshot is the helper's state without the store and the views of trees, which
// are what clients sent: each name with its kind, mode and content.
func (s *stronghold) snapshot(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(s.state, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(s.state, p)
		info, err := e.Info()
		if err != nil {
			return err
		}
		if name == "store" || name == "views" {
			all[name] = info.Mode().String()
			return fs.SkipDir
		}
		all[name] = info.Mode().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			all[name] += fmt.Sprintf(" %x", sha256.Sum256(b))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkStore: every blob is what its name says, and nothing is there that can be
// run or leads elsewhere.
func (s *stronghold) checkStore(t *testing.T) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(filepath.Join(s.state, "store"), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.Mode()&0o111 != 0 {
			t.Errorf("%s is %s", p, info.Mode())
		}
		if !strings.Contains(p, "/store/blobs/") {
			return nil
		}
		b, err := os.ReadFile(p)
		if sum := fmt.Sprintf("%x", sha256.Sum256(b)); err == nil && sum != filepath.Base(p) {
			t.Errorf("%s has the content of %s", p, sum)
		}
		n++
		return err
	})
	if err != nil || n < 10 {
		t.Errorf("%d blobs looked at: %v", n, err)
	}
}
