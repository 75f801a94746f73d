package helper

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/broker/pack"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/bubblewrap"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/probe"
)

// directories are images as a store has them: plain directories, by digest.
type directories struct {
	mu      sync.Mutex // guards what follows
	dirs    map[string]string
	held    map[string]int
	refused error             // what Fetch says
	arrive  map[string]string // what Fetch brings, by reference
	labels  map[string]string // of all
	slow    chan struct{}     // Fetch ends when it is closed, if it is there
}

// pin is a reference to one of directories.
func pin(sum string) images.Pin { return images.Pin{Name: "x", Digest: digest.Digest("sha256:" + sum)} }

func newDirectories() *directories {
	return &directories{dirs: map[string]string{}, held: map[string]int{}, arrive: map[string]string{}}
}

func (d *directories) List() ([]catalog.Image, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []catalog.Image
	for sum := range d.dirs {
		list = append(list, catalog.Image{Name: "kept@" + sum, Digest: sum, Digests: []string{sum, "sha256:index-of-" + sum}})
	}
	return list, nil
}

func (d *directories) Use(_ context.Context, sum string) (*catalog.ImageRoot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dirs[sum] == "" {
		return nil, errors.New("not here")
	}
	d.held[sum]++
	return &catalog.ImageRoot{Dir: d.dirs[sum], Env: []string{"PATH=/usr/bin", "GCC_EXEC_PREFIX=/evil/"}, Labels: d.labels, Release: sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.held[sum]--
	})}, nil
}

func (d *directories) Fetch(_ context.Context, row config.Image, say func(string)) error {
	for d.slow != nil {
		say("half of it")
		select {
		case <-d.slow:
		case <-time.After(50 * time.Millisecond):
			continue
		}
		break
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if dir := d.arrive[row.Reference.String()]; dir != "" {
		d.dirs[row.Reference.Digest.String()] = dir
		return nil
	}
	return d.refused
}

func (d *directories) put(sum, dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dir == "" {
		delete(d.dirs, sum)
	} else {
		d.dirs[sum] = dir
	}
}

func (d *directories) inUse() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, held := range d.held {
		n += held
	}
	return n
}

// imageOf makes a directory as an image with compilers of this machine has it.
func imageOf(t testing.TB, paths ...string) string {
	t.Helper()
	c := newClient(t)
	root := enterableDir(t)
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, driver := range paths {
		programs, err := probe.Programs(t.Context(), drivers.System{Root: c.root, Run: c.run, Getenv: os.Getenv}, driver)
		if err != nil {
			t.Fatalf("%v (e2e/install.sh test installs the cross compilers)", err)
		}
		binds, err := sandbox.Closure(programs, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range binds {
			plant(t, root, b)
		}
	}
	return root
}

func plant(t testing.TB, root string, b sandbox.Bind) {
	t.Helper()
	to := filepath.Join(root, b.Dest)
	err := os.MkdirAll(filepath.Dir(to), 0o755)
	switch {
	case err != nil:
	case b.Link != "":
		err = os.Symlink(b.Link, to)
	case b.Source == "":
		err = os.MkdirAll(to, 0o755)
	default:
		err = exec.Command("cp", b.Source, to).Run()
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
}

// newImaged is a helper with walls and images, and no compiler of its own.
func newImaged(t testing.TB, kept catalog.Images, rows ...config.Image) *Helper {
	t.Helper()
	run, err := bubblewrap.New(bubblewrap.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	return newHelperOf(t, run, func(o *Options) {
		o.Search, o.Images, o.Rows, o.Sandbox = []string{"/nowhere"}, kept, rows, "bwrap"
	})
}

// await waits until what the helper tells of itself is as it should be.
func await(t testing.TB, h *Helper, what string, is func(broker.State) bool) broker.State {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		s, changed := h.State()
		if is(s) {
			return s
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s: not in a minute; images %+v, %d toolchains", what, s.Images, len(s.Toolchains))
		}
	}
}

func serves(n int) func(broker.State) bool {
	return func(s broker.State) bool { return len(s.Toolchains) == n }
}

const riscv = "/usr/bin/riscv64-linux-gnu-gcc-12"

// A helper without a compiler serves what an image has, while it runs: objects and
// messages are those of the same compiler at home. When the image goes, so does what
// it served.
func TestImageServes(t *testing.T) {
	kept := newDirectories()
	h := newImaged(t, kept)
	if s, _ := h.State(); len(s.Toolchains) != 0 {
		t.Fatalf("the helper has %d compilers of its own", len(s.Toolchains))
	}
	kept.put("sha256:1", imageOf(t, riscv))
	s := await(t, h, "an image was added", serves(1))
	tc := s.Toolchains[0]
	if tc.Image != "kept@sha256:1" || tc.Target != "riscv64-linux-gnu" || tc.Driver() != riscv {
		t.Errorf("it serves %s at %s of image %q", tc, tc.Driver(), tc.Image)
	}
	home := newHelperWith(t, riscv, nil)
	if at := nativeOf(t, home); at.Digest() != tc.Digest() {
		t.Errorf("in the image %s %v\nat home %s %v", tc.Identity.Text(), tc.Fingerprint, at.Identity.Text(), at.Fingerprint)
	}
	c := project(t)
	c.same(h, riscv, "-O2", "-g", "-Iinc", "-Ilinked", "-c", "src/a.c", "-MD", "-MF", "obj/a.d")
	c.same(h, riscv, "-Iinc", "-c", "src/bad.c")
	if n := kept.inUse(); n != 0 {
		t.Errorf("%d holds are left", n)
	}
	j := c.job(tc, riscv, "-Iinc", "-Ilinked", "-c", "src/a.c", "-o", "out.o")
	kept.put("sha256:1", "")
	if await(t, h, "the image was removed", serves(0)); kept.inUse() != 0 {
		t.Error("a hold is left")
	}
	_, err := h.Run(t.Context(), j)
	if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != ReasonNoMatch {
		t.Errorf("after it was removed: %v", err)
	}
}

// An image that goes between the choice and the run is a refusal, so that the helper
// is not blamed.
func TestImageGoesMeanwhile(t *testing.T) {
	kept := newDirectories()
	kept.put("sha256:1", imageOf(t, riscv))
	h := newImaged(t, kept)
	s := await(t, h, "an image", serves(1))
	c := newClient(t, "a.c", "int x;\n")
	j := c.job(s.Toolchains[0], riscv, "-c", "a.c", "-o", "out.o")
	kept.mu.Lock()
	kept.dirs["sha256:2"] = kept.dirs["sha256:1"]
	delete(kept.dirs, "sha256:1")
	kept.mu.Unlock()
	_, err := h.Run(t.Context(), j)
	if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != ReasonNoMatch || !strings.Contains(r.Error(), "kept@sha256:1") {
		t.Errorf("got %v", err)
	}
}

// Everything that a compiler finds is the image's, the files of the locale too.
func TestImageLocale(t *testing.T) {
	kept := newDirectories()
	dir := imageOf(t, riscv)
	kept.put("sha256:1", dir)
	h := newImaged(t, kept)
	tc := await(t, h, "an image", serves(1)).Toolchains[0]
	c := newClient(t, "a.c", "int f(void) { return g; }\n")
	j := c.job(tc, riscv, "-c", "a.c", "-o", "out.o")
	j.Env[0] = localeUTF8
	_, err := h.Run(t.Context(), j)
	if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != ReasonLocale {
		t.Errorf("the image has no locale: %v", err)
	}
	for _, b := range must(sandbox.Closure(h.catalog.Host().LocaleFiles(), "", nil)) {
		plant(t, dir, b)
	}
	res, err := h.Run(t.Context(), j)
	if err != nil || !strings.Contains(string(res.Stderr), "‘g’ undeclared") {
		t.Errorf("the image has one: %s %v", res.Stderr, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A pack says where its compilers are, which nobody would look for; whether they are
// compilers is asked.
func TestImageIsPack(t *testing.T) {
	kept := newDirectories()
	dir := imageOf(t, riscv)
	if err := os.Rename(dir+"/usr", dir+"/home"); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"lib", "lib64"} { // of the loader and of libc
		if err := errors.Join(os.RemoveAll(dir+"/"+link), os.Symlink("home/"+link, dir+"/"+link)); err != nil {
			t.Fatal(err)
		}
	}
	driver := strings.Replace(riscv, "/usr", "/home", 1)
	kept.labels = map[string]string{pack.LabelDrivers: `["/home/bin/true", "` + driver + `", "/nowhere"]`, pack.LabelPath: "/home/bin"}
	kept.put("sha256:1", dir)
	h := newImaged(t, kept)
	tc := await(t, h, "a pack", serves(1)).Toolchains[0]
	if tc.Driver() != driver || tc.Identity.Target != "riscv64-linux-gnu" {
		t.Errorf("it serves %s at %s", tc, tc.Driver())
	}
	newClient(t, "a.c", "int x;\n").same(h, riscv, "-c", "a.c")
}

// A row bounds what is served of its image.
func TestImageRows(t *testing.T) {
	const arm = "/usr/bin/aarch64-linux-gnu-gcc-12"
	kept := newDirectories()
	kept.put("sha256:1", imageOf(t, riscv, arm, "/usr/bin/clang-14"))
	for _, tc := range []struct {
		name string
		rows []config.Image
		want string // drivers
	}{
		{"none", nil, arm + " " + riscv + " /usr/lib/llvm-14/bin/clang"},
		{"a target", []config.Image{{Target: "riscv64-unknown-linux-gnu"}}, riscv + " /usr/lib/llvm-14/bin/clang"},
		{"a compiler", []config.Image{{Compiler: arm}}, arm},
		{"two", []config.Image{{Compiler: arm}, {Compiler: riscv, Target: "riscv64-linux-gnu"}}, arm + " " + riscv},
	} {
		for i := range tc.rows {
			tc.rows[i].Reference = pin("index-of-sha256:1")
		}
		h := newImaged(t, kept, tc.rows...)
		s := await(t, h, tc.name, func(s broker.State) bool {
			return len(s.Images) == 1 && s.Images[0].Phase == broker.ImageReady
		})
		var got []string
		for _, tc := range s.Toolchains {
			got = append(got, tc.Driver())
		}
		if slices.Sort(got); strings.Join(got, " ") != tc.want {
			t.Errorf("%s: got %q, want %s", tc.name, got, tc.want)
		}
		if tc.name != "a target" {
			continue
		}
		clang := s.Toolchains[slices.IndexFunc(s.Toolchains, func(tc toolchains.Toolchain) bool { return strings.Contains(tc.Path, "clang") })]
		if clang.Target != "riscv64-linux-gnu" || clang.CanTarget("x86_64-linux-gnu") || !clang.CanTarget("riscv64-linux-gnu") {
			t.Errorf("clang serves %s and %q", clang.Target, clang.Targets)
		}
		c := newClient(t, "a.c", "int x;\n")
		j := c.job(clang, "/usr/bin/clang-14", "--target=riscv64-linux-musl", "-c", "a.c", "-o", "out.o")
		j.Identity.Target = "riscv64-linux-musl"
		if _, err := h.Run(t.Context(), j); err == nil {
			t.Error("another target of the same machine was served")
		}
	}
}

// What can't be had or can't be used is told with its reason and tried again; the
// helper serves meanwhile.
func TestImageFails(t *testing.T) {
	foreignDir := imageOf(t, riscv)
	flip := filepath.Join(foreignDir, must(filepath.EvalSymlinks(riscv)))
	program := must(os.ReadFile(flip))
	binary.LittleEndian.PutUint16(program[18:], 183) // EM_AARCH64
	if err := os.WriteFile(flip, program, 0o755); err != nil {
		t.Fatal(err)
	}
	empty := enterableDir(t)
	for _, tc := range []struct {
		name    string
		dir     string
		row     config.Image
		sandbox string
		want    string
	}{
		{"a registry that is down", "", config.Image{Reference: pin("1")}, "bwrap", "registry x: connection refused"},
		{"another machine's", foreignDir, config.Image{Reference: pin("1")}, "bwrap", "runs on aarch64 (64-bit), and this machine is "},
		{"no compiler", empty, config.Image{Reference: pin("1")}, "bwrap", "has no compiler in the directories"},
		{"not the compiler", foreignDir, config.Image{Reference: pin("1"), Compiler: "/usr/bin/nothing"}, "bwrap", "/usr/bin/nothing"},
		{"no sandbox", foreignDir, config.Image{Reference: pin("1")}, "none", "--sandbox=none"},
	} {
		kept := newDirectories()
		kept.refused = fmt.Errorf("registry x: connection refused")
		if tc.dir != "" {
			kept.put("sha256:1", tc.dir)
		}
		h := newImagedIn(t, tc.sandbox, kept, tc.row)
		s := await(t, h, tc.name, func(s broker.State) bool {
			return len(s.Images) == 1 && s.Images[0].Phase == broker.ImageFailed
		})
		if !strings.Contains(s.Images[0].Detail, tc.want) || len(s.Toolchains) != 0 || s.Images[0].Name != "x@sha256:1" {
			t.Errorf("%s: got %+v", tc.name, s.Images)
		}
	}
}

func newImagedIn(t testing.TB, walls string, kept catalog.Images, rows ...config.Image) *Helper {
	t.Helper()
	if walls == "bwrap" {
		return newImaged(t, kept, rows...)
	}
	return newHelperOf(t, nil, func(o *Options) { o.Search, o.Images, o.Rows = []string{"/nowhere"}, kept, rows })
}

// How far an image is can be seen while it comes, and nobody waits for it who does not
// want it.
func TestImageProgress(t *testing.T) {
	kept := newDirectories()
	kept.slow = make(chan struct{})
	row := config.Image{Reference: pin("1")}
	kept.arrive[row.Reference.String()] = imageOf(t, riscv)
	h := newImaged(t, kept, row)
	await(t, h, "on its way", func(s broker.State) bool {
		return len(s.Images) == 1 && s.Images[0].Phase == broker.ImageFetching && s.Images[0].Detail == "half of it"
	})
	close(kept.slow)
	await(t, h, "it came", func(s broker.State) bool {
		return len(s.Images) == 1 && s.Images[0].Phase == broker.ImageReady && s.Images[0].Detail == ""
	})
}

// A registry that comes back is asked again.
func TestImageComesLater(t *testing.T) {
	kept := newDirectories()
	kept.refused = errors.New("registry x: connection refused")
	row := config.Image{Reference: pin("1")}
	h := newImaged(t, kept, row)
	await(t, h, "refused", func(s broker.State) bool { return len(s.Images) == 1 && s.Images[0].Phase == broker.ImageFailed })
	dir := imageOf(t, riscv)
	kept.mu.Lock()
	kept.arrive[row.Reference.String()] = dir
	kept.mu.Unlock()
	await(t, h, "it came", serves(1))
}
