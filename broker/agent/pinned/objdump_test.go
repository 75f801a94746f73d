package pinned

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// ids are the parts of a file's name that are a build's ID.
var ids = regexp.MustCompile(`[0-9a-f]{2}/[0-9a-f]{38}`)

// What objdump opens besides goes to the helper: files with debug information, and the sources where it quotes them.
func TestDumped(t *testing.T) {
	root, err := rootfs.At("/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"s/h.h": "static int two(void) { return 2; }\n", "s/a.c": "#include \"h.h\"\nint main(void) { return two(); }\n", "win.exe": "MZ .text\x00.gnu_debuglink\x00", "win.obj": "\x64\x86 .text\x00", "huge": "ZLIB\x00\x00\x01\x00\x00\x00\x00\x00"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{
		"gcc-12 -g -c s/a.c", "gcc-12 -gdwarf-4 -c s/a.c -o four.o", "gcc-12 -c s/a.c -o plain.o", "gcc-12 -g a.o -o p -Wl,--build-id=sha1", "objcopy --only-keep-debug p p.debug",
		"objcopy --strip-debug --add-gnu-debuglink=p.debug p bin", "ar rc x.a plain.o", "cp four.o linked.o", "objcopy --add-gnu-debuglink=p.debug linked.o", "ar rc y.a linked.o",
		"objcopy --add-section .gnu_debugaltlink=s/a.c plain.o alt.o", "objcopy --add-section .zdebug_str=huge a.o huge.o", "gcc-12 -g -fdebug-prefix-map=" + dir + "=. -c s/a.c -o here.o", "gcc-12 -gstabs -c s/a.c -o stabs.o",
	} {
		words := strings.Fields(command)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	for words, want := range map[string]string{
		"-d a.o":       "a.o",
		"-dS a.o":      "a.o s/a.c s/h.h",
		"-S four.o":    "four.o s/a.c s/h.h",
		"-S here.o":    "here.o ./s/a.c ./s/h.h",
		"-S plain.o":   "plain.o",
		"-d x.a":       "x.a",
		"-d p":         "p .build-id/ID.debug .debug/.build-id/ID.debug",
		"-dl bin":      "bin p.debug .debug/p.debug .build-id/ID.debug .debug/.build-id/ID.debug",
		"--source bin": "bin p.debug .debug/p.debug .build-id/ID.debug .debug/.build-id/ID.debug s/a.c s/h.h",
		"-S x.a":       "! take objects out",
		"-d y.a":       "! .gnu_debuglink",
		"-d alt.o":     "! .gnu_debugaltlink",
		"-d win.exe":   "! .gnu_debuglink",
		"-d win.obj":   "win.obj",
		"-S win.obj":   "! no object of ELF",
		"-S stabs.o":   "! stabs",
		"-d stabs.o":   "stabs.o",
		"-S huge.o":    "! more than 1024 MiB of debug information",
		"-d huge.o":    "huge.o",
		"-S none.o":    "none.o",
	} {
		tool, _ := task.ParseTool("objdump")
		p := &Command{tool: &tool, s: &session.Session{Client: &local.Client{Request: local.Request{Dir: dir}}, Files: root}}
		if p.task, err = task.ReadTool(tool, strings.Fields(words), argv.Env{}); err != nil {
			t.Fatal(err)
		}
		reads, err := p.reads()
		var got []string
		for _, name := range reads {
			if name = p.s.Abs(name); !ofImage(name) {
				got = append(got, strings.TrimPrefix(ids.ReplaceAllString(name, "ID"), dir+"/"))
			}
		}
		said := strings.Join(got, " ")
		if f, ok := errors.AsType[*reason.Failure](err); ok {
			said = "! " + f.Text
		}
		if reason, refused := strings.CutPrefix(want, "! "); said != want && (!refused || !strings.Contains(said, reason) || err == nil) {
			t.Errorf("objdump %s: %s, want %s", words, said, want)
		}
	}
}
