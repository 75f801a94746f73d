package bubblewrap

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/sandbox/groups"
	"github.com/crosscc/crosscc/sandbox/internal/seccomp"
	"github.com/crosscc/crosscc/sandbox/prove"
)

// proveHere is a helper's start: it prints nothing when it would take jobs, else
// why not.
func proveHere() {
	g := groups.Open()
	r, err := New(Options{Groups: g})
	if err == nil {
		err = prove.Closed(context.Background(), r)
	}
	if err == nil {
		err = g.Close()
	}
	if err != nil {
		fmt.Println(err)
	}
	os.Exit(0)
}

// TestInContainers: a helper in a container that allows user namespaces starts,
// whoever it is in there; in another it says what to change, and does not start.
// The containers are bubblewrap's, as Docker's are: namespaces of their own, a
// /proc of their own, few capabilities, and in some a filter. (Docker itself is
// e2e's.)
func TestInContainers(t *testing.T) {
	home := rig.OpenTemp(t)
	self := filepath.Join(home, "helper")
	rig.Run(t, "/", "cp", "/proc/"+strconv.Itoa(os.Getpid())+"/exe", self)
	strict := filepath.Join(home, "filter")
	filter, err := seccomp.Filter()
	if err != nil {
		t.Fatal(err)
	}
	rig.Write(t, strict, string(filter))
	base := []string{"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--bind", home, home}
	for _, tc := range []struct {
		name  string
		words []string
		says  []string // nothing: it starts
	}{
		{"root of a container", []string{"--uid", "0", "--gid", "0", "--cap-add", "ALL"}, nil},
		{"root with what Docker leaves it", append([]string{"--uid", "0", "--gid", "0", "--cap-drop", "ALL"}, capAdd("chown", "dac_override", "fsetid", "fowner", "mknod", "net_raw", "setgid", "setuid", "setfcap", "setpcap", "net_bind_service", "sys_chroot", "kill", "audit_write")...), nil},
		{"root without any right", []string{"--uid", "0", "--gid", "0", "--cap-drop", "ALL"}, []string{"as an ordinary user", "CAP_SETFCAP"}},
		{"a user in a container", []string{"--uid", "1000", "--gid", "1000"}, nil},
		{"without a /tmp of the host", []string{"--uid", "1000", "--gid", "1000", "--tmpfs", "/tmp", "--bind", home, home}, nil},
		{"no more user namespaces", []string{"--uid", "1000", "--gid", "1000", "--disable-userns"}, []string{"user.max_user_namespaces=10000"}},
		{"a filter that refuses namespaces", []string{"--uid", "1000", "--gid", "1000", "--seccomp", "3"}, []string{"seccomp profile", "CLONE_NEWUSER", "docker run --security-opt seccomp=PROFILE"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := os.Open(strict)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			cmd := exec.CommandContext(rig.Context(t), "bwrap", slices.Concat(base, tc.words, []string{"--chdir", "/", "--", self})...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SANDBOX_TEST_PROVE=1", "TMPDIR=" + home}
			cmd.ExtraFiles = []*os.File{f}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if tc.says == nil && len(bytes.TrimSpace(out)) > 0 {
				t.Errorf("does not start: %s", out)
			}
			for _, s := range tc.says {
				if !strings.Contains(string(out), s) {
					t.Errorf("it says %q, want %q", out, s)
				}
			}
			t.Logf("%s", out)
		})
	}
}

// TestRootWithoutRights: root whose rights are gone can't become nobody, and stays
// what it is for nothing: its own files would be in reach.
func TestRootWithoutRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("these tests are not root's")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(rig.Context(t), rig.Need(t, "setpriv", "util-linux"), "--bounding-set=-all", "--inh-caps=-all", self)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SANDBOX_TEST_PROVE=1"}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "CAP_SETUID") {
		t.Errorf("%v: %s", err, out)
	}
}

func capAdd(names ...string) (words []string) {
	for _, n := range names {
		words = append(words, "--cap-add", "cap_"+n)
	}
	return words
}
