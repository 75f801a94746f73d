package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func destOf(t *testing.T, binds []Bind, dest string) Bind {
	t.Helper()
	i := slices.IndexFunc(binds, func(b Bind) bool { return b.Dest == dest })
	if i < 0 {
		t.Errorf("%s is not shown in %v", dest, binds)
		return Bind{}
	}
	return binds[i]
}

func TestClosureLinks(t *testing.T) {
	p := build(t, `int main() { return 0; }`)
	dir := openTemp(t)
	for link, text := range map[string]string{"cc": "versions/current/../cc-12", "versions/current": "v12", "abs": dir + "/cc"} {
		if err := os.MkdirAll(filepath.Join(dir, "versions/v12"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(text, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "cp", p, filepath.Join(dir, "versions/cc-12"))
	binds, err := Closure([]string{dir + "/abs"}, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Bind{
		{Dest: dir + "/abs", Link: dir + "/cc"}, {Dest: dir + "/cc", Link: "versions/current/../cc-12"},
		{Dest: dir + "/versions/current", Link: "v12"}, {Dest: dir + "/versions/v12"},
		{Dest: dir + "/versions/cc-12", Source: dir + "/versions/cc-12"},
	} {
		if got := destOf(t, binds, want.Dest); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	for _, r := range runners(t) {
		if o, err := r(ctxOf(t), spec(dir+"/abs")); err != nil || o.ExitCode != 0 {
			t.Errorf("got %+v, %v", o, err)
		}
	}
}

// TestForeignLibraries: libraries outside the loader's own directories, found
// by $ORIGIN (which needs /proc) and by an absolute path.
func TestForeignLibraries(t *testing.T) {
	for _, rpath := range []string{"$ORIGIN/lib", "/absolute"} {
		dir := openTemp(t)
		write(t, filepath.Join(dir, "l.c"), "int answer(void) { return 42; }\n")
		write(t, filepath.Join(dir, "p.c"), "int answer(void);\nint main(void) { return answer(); }\n")
		if err := os.Mkdir(filepath.Join(dir, "lib"), 0o755); err != nil {
			t.Fatal(err)
		}
		gcc := need(t, "gcc-12", "gcc-12")
		if rpath == "/absolute" {
			rpath = dir + "/lib"
		}
		run(t, dir, gcc, "-shared", "-fPIC", "-o", "lib/libforeign.so.1", "-Wl,-soname,libforeign.so.1", "l.c")
		run(t, dir, gcc, "-o", "p", "p.c", "lib/libforeign.so.1", "-Wl,-rpath,"+rpath)
		for name, r := range walled(t) {
			o, err := r(ctxOf(t), spec(filepath.Join(dir, "p")))
			if err != nil || o.ExitCode != 42 {
				t.Errorf("%s: %s: got %+v, %v", name, rpath, o, err)
			}
		}
	}
}

// TestScript: a driver that is a script brings its interpreter.
func TestScript(t *testing.T) {
	p := build(t, `#include <stdio.h>
		int main(int c, char **v) { return c == 3 && v[2][0] == '/' ? 5 : 1; }`)
	script := filepath.Join(openTemp(t), "cc")
	if err := os.WriteFile(script, []byte("#! "+p+" -x\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, r := range walled(t) {
		o, err := r(ctxOf(t), spec(script))
		if err != nil || o.ExitCode != 5 {
			t.Errorf("%s: got %+v, %v", name, o, err)
		}
	}
}

func TestClosureRefuses(t *testing.T) {
	dir := openTemp(t)
	text := filepath.Join(dir, "text")
	write(t, text, "hello\n")
	if err := os.Chmod(text, 0o755); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(dir, "self")
	write(t, self, "#!"+self+"\n")
	for _, p := range []string{"gcc", "/none", dir, text, loop} {
		if binds, err := Closure([]string{p}, "", nil); err == nil {
			t.Errorf("%s: got %v", p, binds)
		}
	}
}

// A file that nobody may execute is data that a program reads, shown as it is.
func TestClosureShowsData(t *testing.T) {
	table := filepath.Join(openTemp(t), "table")
	write(t, table, "words\n")
	if err := os.Chmod(table, 0o644); err != nil {
		t.Fatal(err)
	}
	binds, err := Closure([]string{table}, "", nil)
	if err != nil || len(binds) == 0 || binds[len(binds)-1].Source != table {
		t.Errorf("got %v, %v", binds, err)
	}
}

func TestAdvice(t *testing.T) {
	for _, tc := range []struct{ sysctl, value, want string }{
		{"kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"},
		{"user/max_user_namespaces", "0", "user.max_user_namespaces="},
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor"},
		{"", "", "--sandbox=none"},
	} {
		got := advice("", func(name string) string {
			if name == tc.sysctl {
				return tc.value
			}
			return ""
		})
		if !strings.Contains(got, tc.want) {
			t.Errorf("%s=%s: %q", tc.sysctl, tc.value, got)
		}
	}
	if _, err := NewBubblewrap(Options{Bwrap: "/none/bwrap"}); err == nil || !strings.Contains(err.Error(), "install bubblewrap") {
		t.Errorf("got %v", err)
	}
}

func TestSigns(t *testing.T) {
	for _, s := range signs() {
		if s.text == "" || s.notes == "" {
			t.Errorf("%+v: say what it is", s)
		}
		if f := readSigns([]byte("a.c:1:1: error: x\ncc1: " + s.text + "\n")); f == nil || f.Kind != s.kind {
			t.Errorf("%s: got %v", s.text, f)
		}
		if f := readSigns([]byte("a.c:1:1: error: x\n   12 | puts(\"" + s.text + "\")\n")); f != nil {
			t.Errorf("quoted source: got %v", f)
		}
	}
}
