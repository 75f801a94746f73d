package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
)

func destOf(t *testing.T, binds []sandbox.Bind, dest string) sandbox.Bind {
	t.Helper()
	i := slices.IndexFunc(binds, func(b sandbox.Bind) bool { return b.Dest == dest })
	if i < 0 {
		t.Errorf("%s is not shown in %v", dest, binds)
		return sandbox.Bind{}
	}
	return binds[i]
}

func TestClosureLinks(t *testing.T) {
	p := rig.Build(t, `int main() { return 0; }`)
	dir := rig.OpenTemp(t)
	for link, text := range map[string]string{"cc": "versions/current/../cc-12", "versions/current": "v12", "abs": dir + "/cc"} {
		if err := os.MkdirAll(filepath.Join(dir, "versions/v12"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(text, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	rig.Run(t, dir, "cp", p, filepath.Join(dir, "versions/cc-12"))
	binds, err := sandbox.Closure([]string{dir + "/abs"}, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []sandbox.Bind{
		{Dest: dir + "/abs", Link: dir + "/cc"}, {Dest: dir + "/cc", Link: "versions/current/../cc-12"},
		{Dest: dir + "/versions/current", Link: "v12"}, {Dest: dir + "/versions/v12"},
		{Dest: dir + "/versions/cc-12", Source: dir + "/versions/cc-12"},
	} {
		if got := destOf(t, binds, want.Dest); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	for _, r := range runners(t) {
		if o, err := r(rig.Context(t), rig.Spec(dir+"/abs")); err != nil || o.ExitCode != 0 {
			t.Errorf("got %+v, %v", o, err)
		}
	}
}

// TestForeignLibraries: libraries outside the loader's own directories, found
// by $ORIGIN (which needs /proc) and by an absolute path.
func TestForeignLibraries(t *testing.T) {
	for _, rpath := range []string{"$ORIGIN/lib", "/absolute"} {
		dir := rig.OpenTemp(t)
		rig.Write(t, filepath.Join(dir, "l.c"), "int answer(void) { return 42; }\n")
		rig.Write(t, filepath.Join(dir, "p.c"), "int answer(void);\nint main(void) { return answer(); }\n")
		if err := os.Mkdir(filepath.Join(dir, "lib"), 0o755); err != nil {
			t.Fatal(err)
		}
		gcc := rig.Need(t, "gcc-12", "gcc-12")
		if rpath == "/absolute" {
			rpath = dir + "/lib"
		}
		rig.Run(t, dir, gcc, "-shared", "-fPIC", "-o", "lib/libforeign.so.1", "-Wl,-soname,libforeign.so.1", "l.c")
		rig.Run(t, dir, gcc, "-o", "p", "p.c", "lib/libforeign.so.1", "-Wl,-rpath,"+rpath)
		for name, r := range walled(t) {
			o, err := r(rig.Context(t), rig.Spec(filepath.Join(dir, "p")))
			if err != nil || o.ExitCode != 42 {
				t.Errorf("%s: %s: got %+v, %v", name, rpath, o, err)
			}
		}
	}
}

// TestScript: a driver that is a script brings its interpreter.
func TestScript(t *testing.T) {
	p := rig.Build(t, `#include <stdio.h>
		int main(int c, char **v) { return c == 3 && v[2][0] == '/' ? 5 : 1; }`)
	script := filepath.Join(rig.OpenTemp(t), "cc")
	if err := os.WriteFile(script, []byte("#! "+p+" -x\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, r := range walled(t) {
		o, err := r(rig.Context(t), rig.Spec(script))
		if err != nil || o.ExitCode != 5 {
			t.Errorf("%s: got %+v, %v", name, o, err)
		}
	}
}

func TestClosureRefuses(t *testing.T) {
	dir := rig.OpenTemp(t)
	text := filepath.Join(dir, "text")
	rig.Write(t, text, "hello\n")
	if err := os.Chmod(text, 0o755); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(dir, "self")
	rig.Write(t, self, "#!"+self+"\n")
	for _, p := range []string{"gcc", "/none", dir, text, loop} {
		if binds, err := sandbox.Closure([]string{p}, "", nil); err == nil {
			t.Errorf("%s: got %v", p, binds)
		}
	}
}

// A file that nobody may execute is data that a program reads, shown as it is.
func TestClosureShowsData(t *testing.T) {
	table := filepath.Join(rig.OpenTemp(t), "table")
	rig.Write(t, table, "words\n")
	if err := os.Chmod(table, 0o644); err != nil {
		t.Fatal(err)
	}
	binds, err := sandbox.Closure([]string{table}, "", nil)
	if err != nil || len(binds) == 0 || binds[len(binds)-1].Source != table {
		t.Errorf("got %v, %v", binds, err)
	}
}
