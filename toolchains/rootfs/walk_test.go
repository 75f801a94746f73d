package rootfs

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Without openat2 a name leads where it leads with it: thousands of names drawn
// from parts that exist, do not, and turn back.
func TestWalkIsOpenat2(t *testing.T) {
	r, dir := testRoot(t)
	for name, text := range map[string]string{"usr/rel": "../etc/./passwd", "usr/dir": "bin/", "usr/far": "../../../root/etc", "dangling": "usr/none", "usr/file": "../etc/passwd/"} {
		if err := os.Symlink(text, filepath.Join(dir, "root", name)); err != nil {
			t.Fatal(err)
		}
	}
	host, err := At("/")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"", ".", "..", "usr", "bin", "etc", "passwd", "gcc", "gcc-12", "abs", "up", "host", "loop", "rel", "dir", "far", "dangling", "file", "none"}
	found := 0
	for range 20_000 {
		words := make([]string, 1+random.IntN(5))
		for i := range words {
			words[i] = parts[random.IntN(len(parts))]
		}
		found += r.sameWalk(t, strings.Join(words, "/"))
	}
	if found < 2000 {
		t.Errorf("only %d names led anywhere", found)
	}
	for _, name := range []string{"/proc/self/fd/0", "/proc/self/cwd", "/proc/self/root/etc", "/proc/self/status", "/proc/mounts", "/proc/self/exe", "/proc/self/ns/mnt"} {
		host.sameWalk(t, name)
	}
}

// sameWalk opens a name in both ways, and is 1 when it leads somewhere.
func (r *Root) sameWalk(t *testing.T, name string) (found int) {
	t.Helper()
	for _, flags := range []int{unix.O_PATH, unix.O_PATH | unix.O_NOFOLLOW, unix.O_RDONLY, unix.O_RDONLY | unix.O_DIRECTORY} {
		want, wantErr := r.describe(r.open2(name, flags))
		have, err := r.describe(r.walk(name, flags))
		if have != want || err != wantErr {
			t.Errorf("%q, flags %#x: %v, %v by walking; %v, %v by openat2", name, flags, have, err, want, wantErr)
		}
		if wantErr == nil {
			found = 1
		}
	}
	return found
}

type openFile struct {
	dev, ino uint64
	mode     uint32
	flags    int
}

// describe tells what was opened, and closes it.
func (r *Root) describe(fd int, err error) (openFile, error) {
	if err != nil {
		return openFile{}, err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return openFile{}, err
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return openFile{st.Dev, st.Ino, st.Mode, flags &^ unix.O_NOFOLLOW}, err
}

// A directory that turns into a link to the outside, and back, as fast as can be,
// never leads there.
func TestWalkCannotBeLedOut(t *testing.T) {
	r, dir := testRoot(t)
	write(t, dir+"/root/turn/outside", "inside", 0o644)
	if err := os.Symlink("..", dir+"/root/link"); err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		turn, link := dir+"/root/turn", dir+"/root/link"
		for !over.Load() {
			_ = unix.Renameat2(unix.AT_FDCWD, turn, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
		}
	}()
	for range 5000 {
		for _, name := range []string{"/turn/outside", "/turn/../outside", "/link/../../outside"} {
			fd, err := r.walk(name, unix.O_RDONLY)
			if err != nil {
				continue
			}
			var text [16]byte
			n, _ := unix.Read(fd, text[:])
			_ = unix.Close(fd)
			if string(text[:n]) != "inside" {
				t.Errorf("%s led out: %q", name, text[:n])
			}
		}
	}
	over.Store(true)
	<-done
}

// All that a Root promises holds where there is no openat2.
func TestWithoutOpenat2(t *testing.T) {
	r, _ := testRoot(t)
	r.walks.Store(true)
	if data, err := r.ReadFile("/usr/../abs", 100); err != nil || string(data) != "inside" {
		t.Errorf("%q, %v", data, err)
	}
	if got, err := r.Real("/bin/gcc"); err != nil || got != "/usr/bin/gcc-12" {
		t.Errorf("Real: %q, %v", got, err)
	}
	if got, err := r.ReadDir("/bin", 5); err != nil || len(got) != 3 {
		t.Errorf("ReadDir: %q, %v", got, err)
	}
	if st, err := r.Lstat("/bin"); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Errorf("Lstat: %o, %v", st.Mode, err)
	}
	if _, err := r.Stat("/up"); err == nil {
		t.Error("a link leads out of the root")
	}
}
