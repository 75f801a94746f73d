// Package userland runs programs of another architecture on this machine: in a
// user land of Debian's packages, through qemu's user emulation. Its compiler is
// that architecture's own. Start with Open.
package userland

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/e2e/debian"
	"github.com/crosscc/crosscc/e2e/site"
)

// An Arch is an architecture that Debian has and qemu runs.
type Arch struct {
	Debian string   // its name in the archive
	Go     []string // the environment in which go builds programs for it
	Triple string   // what its gcc says to -dumpmachine
	qemu   string   // the emulator's name for it; "" where this machine runs it by itself
}

// Arches are those that a user land can be of.
func Arches() []Arch {
	return []Arch{
		{"arm64", []string{"GOARCH=arm64"}, "aarch64-linux-gnu", "aarch64"},
		{"armhf", []string{"GOARCH=arm", "GOARM=7"}, "arm-linux-gnueabihf", "arm"},
		{"i386", []string{"GOARCH=386"}, "i686-linux-gnu", ""},
	}
}

// compilers are the packages of a user land: a native gcc for C and C++, and what
// a Makefile needs.
var compilers = []string{"gcc", "g++", "libc6-dev", "make", "dash", "coreutils"}

// A Userland is one such root. Nothing is written to it: each Command has a /tmp
// of its own and what it is given besides.
type Userland struct {
	Arch Arch
	Root string
}

// Open makes the user land of an architecture, or finds it made before, and sees
// to it that its programs can run. That wants root where the kernel does not know
// the emulator yet; it is then known until the next start, as it would be from
// the start on a machine whose init registers what qemu's package brings.
func Open(ctx context.Context, from *debian.Archive, arch Arch) (Userland, error) {
	u := Userland{Arch: arch}
	if arch.qemu != "" {
		if err := register("qemu-" + arch.qemu); err != nil {
			return u, fmt.Errorf("run programs of %s: %w", arch.Debian, err)
		}
	}
	var err error
	u.Root, err = from.Root(ctx, arch.Debian, compilers...)
	return u, err
}

// binfmt is where the kernel is told which programs an emulator runs.
const binfmt = "/proc/sys/fs/binfmt_misc"

// register does what systemd-binfmt does for one file of qemu's package, unless it
// is done. The emulator is opened when it is registered, so that roots in which it
// does not lie have it too.
func register(name string) error {
	if _, err := os.Stat(filepath.Join(binfmt, name)); err == nil {
		return nil
	}
	line, err := os.ReadFile("/usr/lib/binfmt.d/" + name + ".conf")
	if err != nil {
		return fmt.Errorf("qemu-user-static is not installed: %w", err)
	}
	if _, err := os.Stat(filepath.Join(binfmt, "register")); errors.Is(err, os.ErrNotExist) {
		if err := unix.Mount("binfmt_misc", binfmt, "binfmt_misc", 0, ""); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount binfmt_misc, which wants root: %w", err)
		}
	}
	err = os.WriteFile(filepath.Join(binfmt, "register"), line, 0)
	if errors.Is(err, os.ErrExist) { // another process was faster
		return nil
	}
	return err
}

// A View is what a Command sees besides the user land: directories of this machine
// by their names in it.
type View map[string]string

// Command is a command in the user land. It ends with ctx; what it leaves running
// in the background does not.
func (u Userland) Command(ctx context.Context, view View, env []string, dir string, words ...string) *exec.Cmd {
	args := []string{"--ro-bind", u.Root, "/", "--tmpfs", "/tmp", "--tmpfs", "/home", "--tmpfs", "/opt", "--dev", "/dev", "--proc", "/proc"}
	for _, name := range sorted(view) {
		args = append(args, "--bind", view[name], name)
	}
	args = append(args, "--chdir", dir, "--")
	cmd := exec.CommandContext(ctx, "bwrap", append(args, words...)...)
	cmd.Env = append(slices.Clone(env), "PATH=/usr/local/bin:/usr/bin:/bin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// sorted has each directory before those below it.
func sorted(view View) []string {
	names := make([]string, 0, len(view))
	for name := range view {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Run runs a command; its error has what the command said.
func (u Userland) Run(ctx context.Context, view View, env []string, dir string, words ...string) error {
	_, err := u.Measure(ctx, view, env, dir, words...)
	return err
}

// A Cost is what a command took: the time that passed, and the processors' time for
// it and all that it waited for.
type Cost struct{ Time, CPU time.Duration }

// Measure is Run, and tells what it took.
func (u Userland) Measure(ctx context.Context, view View, env []string, dir string, words ...string) (c Cost, err error) {
	cmd := u.Command(ctx, view, env, dir, words...)
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return c, context.Cause(ctx)
	case err != nil:
		return c, fmt.Errorf("in the %s user land: %s: %w\n%s", u.Arch.Debian, strings.Join(words, " "), err, out)
	}
	return Cost{time.Since(begin), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// Build builds programs of this repository, those of cmd with these names, for the
// architecture into dir.
func (a Arch) Build(ctx context.Context, repository, dir string, programs ...string) error {
	words := []string{"build", "-o", dir + "/"}
	for _, name := range programs {
		words = append(words, "./cmd/"+name)
	}
	return site.Run(ctx, repository, append(append(os.Environ(), "CGO_ENABLED=0"), a.Go...), "go", words...)
}
