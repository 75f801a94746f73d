package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/direct"
)

// plant copies what programs of this machine need into a root of its own, as an
// image has it.
func plant(t *testing.T, root string, programs ...string) {
	t.Helper()
	binds, err := sandbox.Closure(programs, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range binds {
		to := filepath.Join(root, b.Dest)
		err := os.MkdirAll(filepath.Dir(to), 0o755)
		switch {
		case err != nil:
		case b.Link != "":
			err = os.Symlink(b.Link, to)
		case b.Source != "":
			rig.Run(t, root, "cp", b.Source, to)
		default:
			err = os.MkdirAll(to, 0o755)
		}
		if err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
}

func link(t *testing.T, root, name, text string) {
	t.Helper()
	p := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(text, p); err != nil {
		t.Fatal(err)
	}
}

// rooted is a spec of a program in an image.
func rooted(root, program string, args ...string) *sandbox.Spec {
	s := rig.Spec(program, args...)
	s.Root = root
	return s
}

// A program of an image has the image's libraries and follows the image's links,
// absolute ones too, and this machine's files are not there.
func TestRoot(t *testing.T) {
	image, dir := rig.OpenTemp(t), rig.OpenTemp(t)
	for _, version := range []string{"image", "machine"} {
		rig.Write(t, filepath.Join(dir, version+".c"), `const char *answer(void) { return "the `+version+`'s"; }`)
	}
	rig.Write(t, filepath.Join(dir, "p.c"), "#include <stdio.h>\nconst char *answer(void);\nint main(int c, char **v) { printf(\"%s %s\\n\", v[0], answer()); return c; }\n")
	gcc, libs := rig.Need(t, "gcc-12", "gcc-12"), filepath.Join(dir, "lib")
	if err := os.MkdirAll(filepath.Join(image, libs), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(libs, 0o755); err != nil {
		t.Fatal(err)
	}
	rig.Run(t, dir, gcc, "-shared", "-fPIC", "-o", "lib/libanswer.so.1", "-Wl,-soname,libanswer.so.1", "machine.c")
	rig.Run(t, dir, gcc, "-o", "p", "p.c", "lib/libanswer.so.1", "-Wl,-rpath,"+libs)
	plant(t, image, filepath.Join(dir, "p"))
	rig.Run(t, dir, gcc, "-shared", "-fPIC", "-o", filepath.Join(image, libs, "libanswer.so.1"), "-Wl,-soname,libanswer.so.1", "image.c")
	link(t, image, "usr/local/bin/tool", "/opt/v1/tool")
	link(t, image, "opt/v1", "../../../../"+strings.TrimPrefix(dir, "/"))
	link(t, image, dir+"/tool", "p")

	all := walled(t)
	for name, s := range map[string]*sandbox.Spec{
		"programs":         rooted(image, "/usr/local/bin/tool", "x"),
		"all of it":        {Path: "/usr/local/bin/tool", Args: []string{"/usr/local/bin/tool", "x"}, Dir: "/", Root: image, Whole: true},
		"machine's own":    rig.Spec(filepath.Join(dir, "p"), "x"),
		"machine's, again": rooted("/", filepath.Join(dir, "p"), "x"),
	} {
		want := "the image's"
		if !s.Foreign() {
			want = "the machine's"
		}
		for by, r := range all {
			o, err := r(rig.Context(t), s)
			if err != nil || o.ExitCode != 2 || !strings.HasSuffix(string(o.Stdout), want+"\n") {
				t.Errorf("%s: %s: got %+v, %v, want %s", by, name, o, err, want)
			}
		}
	}

	// What a link leads to on this machine is not there for an image.
	link(t, image, "usr/local/bin/out", dir+"/machine.c")
	for _, program := range []string{"/usr/local/bin/out", "/usr/bin/env", "/../../../../usr/bin/env"} {
		_, err := bwrap(t)(rig.Context(t), rooted(image, program))
		if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Setup {
			t.Errorf("%s, which only this machine has: got %v", program, err)
		}
	}
	_, err := direct.New(direct.Options{Dir: rig.OpenTemp(t)})(rig.Context(t), rooted(image, "/usr/local/bin/tool"))
	if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Setup {
		t.Errorf("without a sandbox: got %v", err)
	}
}

// An image's loader is a stranger's program: asked for libraries it finds nothing
// to harm, and what it says is looked for in the image.
func TestRootsLoaderIsInside(t *testing.T) {
	image, dir := rig.OpenTemp(t), rig.OpenTemp(t)
	mark := filepath.Join(dir, "mark")
	loader := rig.Build(t, `#include <stdio.h>
		#include <unistd.h>
		int main(int c, char **v) {
			FILE *f = fopen("`+mark+`", "w");
			printf("\tlibx.so => %s (0x1)\n", f || access("`+dir+`/p.c", 0) == 0 ? "/reached" : "`+dir+`/p.c");
			return 0;
		}`)
	rig.Write(t, filepath.Join(dir, "p.c"), "int main(void) { return 0; }\n")
	rig.Run(t, dir, rig.Need(t, "gcc-12", "gcc-12"), "-o", "p", "p.c", "-Wl,--dynamic-linker,/ld.so")
	rig.Run(t, dir, "cp", loader, filepath.Join(image, "ld.so"))
	rig.Run(t, dir, "cp", "p", filepath.Join(image, "prog"))
	for name, r := range walled(t) {
		_, err := sandbox.Closure([]string{"/prog"}, image, r)
		if err == nil || !strings.Contains(err.Error(), "library libx.so: lstat "+image+"/tmp") {
			t.Errorf("%s: got %v", name, err) // of what the loader reached, or of nothing
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the loader ran outside")
	}
	if _, err := sandbox.Closure([]string{"/prog"}, image, nil); err == nil {
		t.Error("the loader was asked without a sandbox")
	}
}

// A tree is laid over all of an image: directories of both are one, and no file of the
// image's is replaced.
func TestTreeOverImage(t *testing.T) {
	image, tree := rig.OpenTemp(t), rig.OpenTemp(t)
	cat := rig.Need(t, "cat", "coreutils")
	plant(t, image, cat)
	rig.Write(t, filepath.Join(image, "usr/include/own.h"), "the image's\n")
	rig.Write(t, filepath.Join(image, "home/image/file"), "beside\n")
	link(t, image, "home/link", "image")
	rig.Write(t, filepath.Join(tree, "home/me/p/a.c"), "the client's\n")
	rig.Write(t, filepath.Join(tree, "tmp/p/b.c"), "in a scratch place\n")
	link(t, tree, "home/link", "image")
	link(t, tree, "home/me/p/sys", "/usr/include")
	s := rooted(image, cat, "a.c", "/tmp/p/b.c", "/usr/include/own.h", "sys/own.h", "/home/link/file")
	s.Whole, s.Tree, s.Dir, s.Programs = true, tree, "/home/me/p", nil
	words := s.Args
	for by, r := range walled(t) {
		s.Tree, s.Dir, s.Args = tree, "/home/me/p", words
		o, err := r(rig.Context(t), s)
		if err != nil {
			t.Fatalf("%s: %v", by, err)
		}
		if want := "the client's\nin a scratch place\nthe image's\nthe image's\nbeside\n"; string(o.Stdout) != want || o.ExitCode != 0 {
			t.Errorf("%s: status %d, %q, %q; want %q", by, o.ExitCode, o.Stdout, o.Stderr, want)
		}
		o.Close()
		odd := rig.OpenTemp(t) // a tree that has directories of the image's in other places
		rig.Write(t, filepath.Join(odd, "usr/include/more.h"), "the client's\n")
		s.Tree, s.Dir, s.Args = odd, "/", []string{cat, "/usr/include/more.h", "/usr/include/own.h"}
		if o, err := r(rig.Context(t), s); err != nil || string(o.Stdout) != "the client's\nthe image's\n" {
			t.Errorf("%s: got %+v, %v", by, o, err)
		}
		for _, name := range []string{"usr/include/own.h", "home/image/file/x", "usr/include", "home/image"} {
			odd := rig.OpenTemp(t)
			rig.Write(t, filepath.Join(odd, name), "the client's")
			s.Tree, s.Dir = odd, "/"
			if o, err := r(rig.Context(t), s); err == nil {
				o.Close()
				t.Errorf("%s: %s of the client's was laid over the image's", by, name)
			} else if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Conflict {
				t.Errorf("%s: %s: %v", by, name, err)
			}
		}
	}
}
