package sandbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox/internal/cgroup"
	"github.com/crosscc/crosscc/sandbox/internal/closure"
	"github.com/crosscc/crosscc/sandbox/internal/seccomp"
)

// bubblewrap is the Runner with walls. It has no state but what it remembers
// about programs.
type bubblewrap struct {
	program    string
	credential *syscall.Credential // nil: stay who we are
	pen        pen
	extra      []string // flags that not every host can take
	groups     *Groups
	filter     []byte
	closures   closure.Cache
	logf       func(string, ...any)
}

// NewBubblewrap makes the Runner of design section 9, after it has built one
// sandbox and thrown it away. Its error says what to install or to change. Who
// calls it calls [Prove] before the first job.
//
// Started by root it changes to Options.UID before bubblewrap runs (X21):
// programs and trees must then be reachable for that uid. Descriptors that this
// process inherited are kept from programs from now on: they become
// close-on-exec.
func NewBubblewrap(o Options) (Runner, error) {
	o = o.withDefaults()
	b := &bubblewrap{program: or0(o.Bwrap, "bwrap"), logf: o.Logf, credential: credentialOf(o), groups: o.Groups}
	program, err := exec.LookPath(b.program)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w; install bubblewrap (apt-get install bubblewrap)", err)
	}
	b.program = program
	if err := keepDescriptors(); err != nil {
		return nil, err
	}
	if b.filter, err = seccomp.Filter(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	err = b.suit()
	if err != nil && b.groups != nil && b.groups.Err() == nil {
		b.groups.disable(err) // they may be to blame
		err = b.suit()
	}
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, advice(err.Error(), readSysctl))
	}
	b.closures.List = Lister(b.run)
	return b.run, nil
}

// suit finds the strictest way to start bubblewrap that works on this host. Its
// error is that of the plainest way.
func (b *bubblewrap) suit() (err error) {
	for _, b.pen = range pens() {
		// --disable-userns writes to /proc/sys, which containers have read-only. The
		// filter forbids new user namespaces in any case.
		b.extra = []string{"--disable-userns"}
		if err = b.try(); err == nil {
			break
		}
		b.extra = nil
		if err = b.try(); err == nil {
			b.logf("sandbox: user namespaces inside are forbidden by the filter alone")
			break
		}
	}
	if err == nil && b.pen == noPen {
		b.logf("sandbox: no process id namespace for bubblewrap itself: should this process be killed, a sandbox that is just being started may wait for ever")
	}
	return err
}

func or0(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// keepDescriptors keeps what our own parent left open from reaching programs.
// What Go opens is close-on-exec already.
func keepDescriptors() error {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("sandbox: keep inherited descriptors from programs (Linux 5.11): %w", err)
	}
	return nil
}

// credentialOf is nobody when we are root, and nil otherwise. A root of a user
// namespace that has no nobody (a container of an ordinary user's) is that user,
// and stays so.
func credentialOf(o Options) *syscall.Credential {
	if os.Geteuid() != 0 || !mapped("/proc/self/uid_map", o.UID) || !mapped("/proc/self/gid_map", o.GID) {
		return nil
	}
	return &syscall.Credential{Uid: uint32(o.UID), Gid: uint32(o.GID)}
}

// mapped reports whether an id is one in our user namespace: lines FIRST ABOVE
// COUNT (user_namespaces(7)). What can't be read has them all.
func mapped(file string, id int) bool {
	b, err := os.ReadFile(file)
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(b)) {
		var first, above, count int
		if n, _ := fmt.Sscan(line, &first, &above, &count); n == 3 && id >= first && id-first < count {
			return true
		}
	}
	return false
}

// try builds a sandbox up to the point where a program would start.
func (b *bubblewrap) try() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := &Spec{Path: "/none", Args: []string{"none"}, Dir: "/", Out: "/.crosscc"}
	_, err := b.cell(ctx, func(error) {}, s, s.Limits.withDefaults(), nil, false)
	if errors.Is(err, errNotReleased) {
		return nil
	}
	return err
}

func (b *bubblewrap) run(ctx context.Context, s *Spec) (*Outcome, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	l := s.Limits.withDefaults()
	binds, err := b.closures.Of(s.Programs, s.Root)
	if err != nil {
		return nil, &Failure{Kind: Setup, Detail: "programs to show", Err: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.Wall, failf(WallTime, "not done after %s", l.Wall))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	return b.cell(ctx, stop, s, l, binds, true)
}

// errNotReleased is what a cell ends with that was only tried.
var errNotReleased = errors.New("sandbox: not released")

// cell takes one program from start to end; released says whether it is let go
// once everything is in place.
//
// The thread is kept because bubblewrap dies with the thread that started it
// (PR_SET_PDEATHSIG), not with the process.
func (b *bubblewrap) cell(ctx context.Context, overflow context.CancelCauseFunc, s *Spec, l Limits, binds []Bind, released bool) (*Outcome, error) {
	words, err := b.words(s, l, binds)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	leaf, err := b.groups.leaf(l)
	if err != nil {
		return nil, &Failure{Kind: Setup, Detail: "limits", Err: err}
	}
	if leaf != nil {
		defer b.forget(leaf)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := b.start(s, l, leaf, words, overflow)
	if err != nil {
		return nil, err
	}
	defer c.close()
	err = c.hold(ctx, s, l)
	if err == nil && !released {
		err = errNotReleased
	}
	if err != nil {
		return nil, b.giveUp(c, err)
	}
	// Nobody kills before there is a filter to die under, and nobody misses a
	// cancellation: AfterFunc runs at once when it is already there.
	halt := context.AfterFunc(ctx, c.kill)
	defer halt()
	if err := c.release(b.filter); err != nil {
		c.kill()
	}
	o, err := c.wait().outcome(ctx, s, l, func() error { return b.closures.Stale(s.Programs, s.Root) })
	b.explain(err, words)
	return o, err
}

// forget removes a leaf. One that stays is removed when the helper starts again.
func (b *bubblewrap) forget(leaf *cgroup.Leaf) {
	if err := leaf.Close(); err != nil {
		b.logf("sandbox: %v", err)
	}
}

// giveUp ends a cell that was not released.
func (b *bubblewrap) giveUp(c *cell, why error) error {
	c.shut()
	if c.child != nil {
		c.kill()
	}
	// Only where bubblewrap itself hangs; what it has started dies with the gate.
	timer := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	e := c.wait()
	if errors.Is(why, errNoChild) {
		b.explain(why, c.cmd.Args[1:])
		return &Failure{Kind: Setup, Detail: firstLine(e.stderr), Err: why}
	}
	return why
}

// explain logs a set-up that failed as a line to paste into a shell.
func (b *bubblewrap) explain(err error, words []string) {
	f, ok := errors.AsType[*Failure](err)
	if !errors.Is(err, errNoChild) && (!ok || f.Kind != Setup) {
		return
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	b.logf("sandbox: %v; it was: %s %s", err, b.program, strings.Join(quoted, " "))
}

// words is the whole command line of bubblewrap, without argv[0].
func (b *bubblewrap) words(s *Spec, l Limits, binds []Bind) ([]string, error) {
	words := []string{
		"--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
		"--uid", "65534", "--gid", "65534", "--hostname", "crosscc", "--cap-drop", "ALL",
		"--new-session", "--die-with-parent", "--as-pid-1",
		"--json-status-fd", "3", "--block-fd", "4", "--seccomp", "5", "--clearenv",
	}
	words = append(words, b.extra...)
	for _, kv := range s.Env {
		k, v, _ := strings.Cut(kv, "=")
		words = append(words, "--setenv", k, v)
	}
	root, err := viewOf(s, binds, l)
	if err != nil {
		return nil, err
	}
	return append(words, root...), nil
}

func readSysctl(name string) string {
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// advice says what to change on a host where no sandbox can be built.
func advice(said string, sysctl func(string) string) string {
	n, err := strconv.Atoi(sysctl("user/max_user_namespaces"))
	switch {
	case sysctl("kernel/unprivileged_userns_clone") == "0":
		return "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1"
	case err == nil && n == 0:
		return "allow user namespaces: sysctl user.max_user_namespaces=10000"
	case sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
		return "AppArmor restricts user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for bwrap with `userns,`"
	case strings.Contains(said, "ENOSPC") || strings.Contains(said, "no space left on device"):
		return "no more user namespaces are allowed, here or in the container around: sysctl user.max_user_namespaces=10000 there"
	case strings.Contains(said, "setting up uid map"): // Linux 5.12: who maps a root must be able to set file capabilities
		return "this root may not be shown in a user namespace: start the helper as an ordinary user (docker run --user 65534:65534), or leave it CAP_SETFCAP"
	case strings.Contains(said, "fork/exec") && strings.Contains(said, "operation not permitted") && os.Geteuid() == 0:
		return "root may not become an ordinary user here, as the sandbox does first: start the helper as one (docker run --user 65534:65534), or leave it CAP_SETUID and CAP_SETGID"
	case strings.Contains(said, "No permissions to create") || strings.Contains(strings.ToLower(said), "operation not permitted"):
		return "user namespaces are not permitted here; in a container, start it with a seccomp profile that allows unshare, clone with CLONE_NEWUSER, mount, umount2 and pivot_root (docker run --security-opt seccomp=PROFILE)"
	}
	return "bubblewrap must be able to make user, mount, pid, network, ipc and uts namespaces; --sandbox=none runs without walls"
}
