package daemon

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each command line says what is wrong with it on stderr, and exits as
// scripts may rely on.
func TestCommandLines(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.toml")
	if err := os.WriteFile(bad, []byte("jobs = 2\nsandboks = 'none'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args   []string
		exit   int
		stdout string // how it begins
		stderr string // what it holds
	}{
		{[]string{"--help"}, 0, "usage: crossccd serve", ""},
		{[]string{"-h"}, 0, "usage: crossccd serve", ""},
		{[]string{"--version"}, 0, "crossccd ", ""},
		{nil, 2, "", "say serve or agent"},
		{[]string{"serv"}, 2, "", `unknown command "serv"`},
		{[]string{"serve", "--port", "1"}, 2, "", "flag provided but not defined: -port"},
		{[]string{"serve", "now"}, 2, "", `serve takes no word "now"`},
		{[]string{"serve", "--jobs", "0"}, 2, "", `jobs "0": want a whole number from 1 on`},
		{[]string{"serve", "--jobs", "two"}, 2, "", `jobs "two"`},
		{[]string{"serve", "--sandbox", "chroot"}, 2, "", `sandbox "chroot": say bwrap, docker or none`},
		{[]string{"serve", "--grpc", "nowhere"}, 2, "", `"nowhere"`},
		{[]string{"serve", "--allow", "192.168.1.0/40"}, 2, "", "192.168.1.0/40"},
		{[]string{"serve", "--grpc", "off"}, 2, "", "no door is open"},
		{[]string{"serve", "--distcc", "127.0.0.1:3632"}, 2, "", "--distcc is not built yet"},
		{[]string{"serve", "--http", "0.0.0.0:0", "--grpc", "off", "--state", filepath.Join(dir, "s"), "--sandbox", "none"}, 1, "", "http door: listen at \"0.0.0.0:0\": other machines can reach"},
		{[]string{"serve", "--stats", "127.0.0.1:0"}, 2, "", "--stats is not built yet"},
		{[]string{"serve", "--state", filepath.Join(dir, "s"), "--sandbox", "docker"}, 1, "", "no docker engine at unix:///none/docker.sock"},
		{[]string{"serve", "--grpc", "0.0.0.0:0", "--state", filepath.Join(dir, "s"), "--sandbox", "none"}, 1, "", "--allow 192.168.1.0/24"},
		{[]string{"serve", "--config", filepath.Join(dir, "none.toml")}, 1, "", "none.toml"},
		{[]string{"serve", "--config", bad}, 1, "", `bad.toml:2: unknown key "sandboks"`},
		{[]string{"agent", "--sockets", "x"}, 2, "", "flag provided but not defined: -sockets"},
		{[]string{"agent", "now"}, 2, "", `agent takes no word "now"`},
	} {
		t.Setenv("DOCKER_HOST", "unix:///none/docker.sock")
		var stdout, stderr bytes.Buffer
		env := Env{Stdout: &stdout, Stderr: &stderr, Environ: []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}}
		exit := Main(context.Background(), env, tc.args)
		if exit != tc.exit || !strings.HasPrefix(stdout.String(), tc.stdout) || !strings.Contains(stderr.String(), tc.stderr) {
			t.Errorf("%q: exit %d, stdout %q, stderr %q; want %d, %q…, …%q…", tc.args, exit, stdout.String(), stderr.String(), tc.exit, tc.stdout, tc.stderr)
		}
		if tc.exit != 0 && (stdout.Len() > 0 || !strings.Contains(stderr.String(), "crossccd: error: ")) {
			t.Errorf("%q: stdout %q, stderr %q", tc.args, stdout.String(), stderr.String())
		}
	}
}

// A door that is said on the command line counts over the file; one that is
// not is the file's.
func TestFlagsOverFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.toml")
	text := "grpc = '127.0.0.1:1'\njobs = 7\nallow = ['10.0.0.0/8']\nstate = '/from/file'\n[toolchains]\nsearch = ['/opt/x']\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := parseServe(Env{}, []string{"--jobs", "3", "--config", file, "--allow", "192.168.0.0/16", "--allow", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	s := f.server
	if s.Jobs != 3 || s.GRPC.String() != "127.0.0.1:1" || s.State != "/from/file" || strings.Join(s.Allow, " ") != "10.0.0.0/8 192.168.0.0/16 ::1" || len(s.Search) != 1 {
		t.Errorf("got %+v", s)
	}
}
