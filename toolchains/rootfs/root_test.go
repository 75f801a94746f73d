package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func testRoot(t *testing.T) (*Root, string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/outside", "secret", 0o644)
	write(t, dir+"/root/etc/passwd", "inside", 0o644)
	write(t, dir+"/root/usr/bin/gcc-12", "#!", 0o755)
	for name, text := range map[string]string{
		"up":          "../../../outside",
		"abs":         "/etc/passwd",
		"host":        dir + "/outside",
		"loop":        "loop",
		"usr/bin/gcc": "gcc-12",
		"bin":         "usr/bin",
		"proc":        "/proc/self/root",
		"usr/bin/cc":  "/etc/alternatives/cc",
	} {
		if err := os.Symlink(text, filepath.Join(dir, "root", name)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := At(dir + "/root")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, dir
}

func TestRootCannotBeLeft(t *testing.T) {
	r, dir := testRoot(t)
	for _, name := range []string{"/etc/passwd", "etc/passwd", "/../../etc/passwd", "/abs", "/usr/../abs", "../../../../../etc/passwd"} {
		if data, err := r.ReadFile(name, 100); err != nil || string(data) != "inside" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	for _, name := range []string{"/up", "/host", "/../outside", dir + "/outside", "/proc/etc/passwd", "/loop", "", "/etc/passwd/x", "/etc", "a\x00b", strings.Repeat("x", 5000)} {
		if data, err := r.ReadFile(name, 100); err == nil {
			t.Errorf("%q gave %q", name, data)
		}
		if _, err := r.Stat(name); err == nil && name != "/etc" {
			t.Errorf("%q can be looked at", name)
		}
	}
}

func TestRootReal(t *testing.T) {
	r, _ := testRoot(t)
	for name, want := range map[string]string{
		"/":                     "/",
		"/..":                   "/",
		"/abs":                  "/etc/passwd",
		"/bin/gcc":              "/usr/bin/gcc-12",
		"//bin/./gcc":           "/usr/bin/gcc-12",
		"/bin/../bin/gcc-12":    "/usr/bin/gcc-12", // usr/bin/.. is usr
		"/etc/../../bin/gcc":    "/usr/bin/gcc-12",
		"/bin/cc":               "",
		"/up":                   "",
		"/loop":                 "",
		"/nosuch/../etc/passwd": "",
	} {
		got, err := r.Real(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Real(%s) = %q, %v, want %q", name, got, err, want)
		}
	}
	if _, err := r.Real("/loop"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
	if text, err := r.Readlink("/bin/gcc"); err != nil || text != "gcc-12" {
		t.Errorf("Readlink: %q, %v", text, err)
	}
	if _, err := r.Readlink("/etc/passwd"); !errors.Is(err, unix.EINVAL) {
		t.Errorf("Readlink of a file: %v", err)
	}
	st, err := r.Lstat("/bin")
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Errorf("Lstat of a link: %o, %v", st.Mode, err)
	}
}

func TestRootPlain(t *testing.T) {
	r, _ := testRoot(t)
	for name, want := range map[string]string{
		"/bin/gcc":                "/bin/gcc",
		"/bin/../bin/gcc":         "/usr/bin/gcc",
		"/usr/bin/../../bin/gcc":  "/bin/gcc",
		"/nosuch/../../bin/gcc":   "/nosuch/../../bin/gcc",
		"/usr/bin/../bin/../etc/": "/usr/etc/",
	} {
		if got := r.Plain(name); got != want {
			t.Errorf("plain(%s) = %s, want %s", name, got, want)
		}
	}
}

// Nothing that a client can put in a compiler's place makes us wait or grow.
func TestRootOddFiles(t *testing.T) {
	r, dir := testRoot(t)
	if err := unix.Mkfifo(dir+"/root/fifo", 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/root/large", "", 0o755)
	if err := os.Truncate(dir+"/root/large", 1<<30); err != nil {
		t.Fatal(err)
	}
	host, err := At("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	start := time.Now()
	for _, tc := range []struct {
		root *Root
		name string
	}{{r, "/fifo"}, {r, "/large"}, {r, "/etc"}, {host, "/dev/zero"}, {host, "/dev/tty"}} {
		if data, err := tc.root.ReadFile(tc.name, 1<<20); err == nil {
			t.Errorf("%s gave %d bytes", tc.name, len(data))
		}
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
	if _, err := r.Open("/fifo"); !errors.Is(err, errNotRegular) {
		t.Errorf("open of a FIFO: %v", err)
	}
}

func TestRootReadDir(t *testing.T) {
	r, _ := testRoot(t)
	if got, err := r.ReadDir("/usr/bin", 3); err != nil || !slices.Equal(got, []string{"cc", "gcc", "gcc-12"}) {
		t.Errorf("ReadDir = %q, %v", got, err)
	}
	if got, err := r.ReadDir("/usr/bin", 2); err == nil {
		t.Errorf("ReadDir beyond its limit = %q", got)
	}
	if _, err := r.ReadDir("/nosuch", 2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadDir of nothing: %v", err)
	}
	if err := r.Close(); err != nil || r.Close() != nil {
		t.Error("Close twice")
	}
}

func TestRootFromFD(t *testing.T) {
	_, dir := testRoot(t)
	fd, err := unix.Open(dir+"/root", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := FromFD(fd)
	if data, err := r.ReadFile("/abs", 10); err != nil || string(data) != "inside" {
		t.Errorf("%q, %v", data, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// write makes a file with its directories.
func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// The short way to stat says what the careful one says.
func TestOwnRoot(t *testing.T) {
	own, err := At("/")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	other, err := At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if !own.own || other.own {
		t.Errorf("/ is our own root: %t; a temporary directory is: %t", own.own, other.own)
	}
	careful := &Root{fd: own.fd}
	for _, name := range []string{"/", "/etc/passwd", "/usr/bin/../bin/env", "/bin", "/nowhere/x", "/etc/passwd/x", "/proc/self/fd/0"} {
		for _, look := range []func(*Root) (unix.Stat_t, error){
			func(r *Root) (unix.Stat_t, error) { return r.Stat(name) },
			func(r *Root) (unix.Stat_t, error) { return r.Lstat(name) },
		} {
			st, err := look(own)
			want, wantErr := look(careful)
			if st.Ino != want.Ino || st.Mode != want.Mode || !errors.Is(err, errors.Unwrap(wantErr)) && wantErr != nil || err != nil && wantErr == nil {
				t.Errorf("%s: inode %d, %v; carefully %d, %v", name, st.Ino, err, want.Ino, wantErr)
			}
		}
	}
}

// A directory that was opened as a root stays that directory when its name goes to
// another, and nothing in it leads out.
func TestSub(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "p")
	if err := errors.Join(os.Mkdir(dir, 0o711), os.WriteFile(filepath.Join(dir, "a"), []byte("mine"), 0o600), os.Symlink("../a", filepath.Join(dir, "up")),
		os.WriteFile(filepath.Join(top, "a"), []byte("above"), 0o600)); err != nil {
		t.Fatal(err)
	}
	root, err := At(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	sub, err := root.Sub("/p")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if err := errors.Join(os.Rename(dir, dir+"2"), os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "a"), []byte("another"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/a", "/up", "/../a"} {
		if text, err := sub.ReadFile(name, 100); err != nil || string(text) != "mine" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if _, err := root.Sub("/a"); err == nil {
		t.Error("a file was taken for a directory")
	}
}
