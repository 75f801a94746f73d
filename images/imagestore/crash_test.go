package imagestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/compression"
	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/internal/imagetest"
)

// churnVariable makes the test's program a process that works in a store until it
// is killed: its value is the store, and two layouts.
const churnVariable = "CROSSCC_IMAGES_CHURN"

func TestMain(m *testing.M) {
	if words := strings.Fields(os.Getenv(churnVariable)); len(words) == 3 {
		err := churn(words[0], words[1:])
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// churnBytes is a bound that one of the two images fits in, and not both.
const churnBytes = 3 << 19

// churn adds, uses, evicts and removes images without end.
func churn(dir string, layouts []string) error {
	ctx := context.Background()
	s, err := Open(dir, Options{MaxBytes: churnBytes})
	if err != nil {
		return err
	}
	fmt.Println("begun")
	for round := 0; ; round++ {
		src, err := images.Open(ctx, layouts[round%2], offline)
		if err != nil {
			return err
		}
		e, err := s.Add(ctx, src, nil)
		if err != nil {
			return err
		}
		if err := src.Close(); err != nil {
			return err
		}
		r, err := s.Use(ctx, e.ID)
		if err != nil {
			return err
		}
		r.Release()
		if round%3 == 2 {
			if err := s.Remove(ctx, e.ID); err != nil {
				return err
			}
		}
	}
}

// manyFiles is a layer whose unpacking takes a while.
func manyFiles(t *testing.T, what string) []byte {
	t.Helper()
	var entries []imagetest.Entry
	for i := range 200 {
		entries = append(entries, imagetest.Entry{fmt.Sprintf("d%d/f%d", i%10, i), strings.Repeat(fmt.Sprint(what, i), 500)})
	}
	return imagetest.Tar(t, entries...)
}

// A process that is killed at whatever moment leaves no half image, and nothing
// that the next one does not clear away.
func TestKilled(t *testing.T) {
	c := newCrash(t)
	seen := make(map[string]int) // what was found after a kill
	for range 15 {
		c.kill(t, func() { time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond) })
		for folder := range folders {
			if files, err := os.ReadDir(filepath.Join(c.dir, folder)); err == nil && len(files) > 0 {
				seen[folder]++
			}
		}
		c.sound(t)
	}
	t.Logf("found after the kills: %v", seen)
	if seen["work"] == 0 {
		t.Error("no process was killed while it unpacked")
	}
	c.works(t)
}

// moments are changes of a store's directory: each step of fetching, unpacking,
// publishing, evicting and removing ends with one of them.
var moments = []struct {
	name, folder string
	event        uint32
}{
	{"a blob is begun", "incoming", unix.IN_CREATE},
	{"a blob is written", "incoming", unix.IN_MODIFY},
	{"a blob is verified", "incoming", unix.IN_MOVED_FROM},
	{"a blob is there", "blobs", unix.IN_MOVED_TO},
	{"an image is begun", "work", unix.IN_CREATE},
	{"a record is begun", "images", unix.IN_CREATE},
	{"a record is written", "images", unix.IN_MODIFY},
	{"a record is there", "images", unix.IN_MOVED_TO},
	{"an image leaves its work", "work", unix.IN_MOVED_FROM},
	{"an image is there", "roots", unix.IN_MOVED_TO},
	{"an image has to go", "trash", unix.IN_CREATE},
	{"an image goes", "roots", unix.IN_MOVED_FROM},
	{"an image is gone", "trash", unix.IN_DELETE},
	{"a record is gone", "images", unix.IN_DELETE},
	{"a blob is gone", "blobs", unix.IN_DELETE},
}

// A process that is killed at one of the steps of its work, and shortly after it,
// leaves no half image either.
func TestKilledAtEachStep(t *testing.T) {
	c := newCrash(t)
	c.sound(t) // the folders are there to be watched
	for _, m := range moments {
		for _, later := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
			watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
			check(t, err)
			_, err = unix.InotifyAddWatch(watch, filepath.Join(c.dir, m.folder), m.event)
			check(t, err)
			c.kill(t, func() {
				ready := []unix.PollFd{{Fd: int32(watch), Events: unix.POLLIN}}
				n, err := unix.Poll(ready, 20_000)
				for err == unix.EINTR {
					n, err = unix.Poll(ready, 20_000)
				}
				if n != 1 {
					t.Errorf("%s: it was not seen: %v", m.name, err)
				}
				time.Sleep(time.Duration(rand.Int64N(int64(later) + 1)))
			})
			check(t, unix.Close(watch))
			c.sound(t)
			if t.Failed() {
				t.Fatalf("killed when %s", m.name)
			}
		}
	}
	c.works(t)
}

// The directory of an image that was forgotten, by a removal that was killed then, is
// cleared away; one whose image is known stays.
func TestForgottenDirectory(t *testing.T) {
	s := storeIn(t, Options{})
	known, forgotten := mustAdd(t, s, imagetest.SomeLayers(t)...), mustAdd(t, s, imagetest.Tar(t, imagetest.Entry{"a", "b"}))
	check(t, os.Remove(s.in("images", forgotten.ID.Encoded()+".json")))
	again, err := Open(s.dir, Options{})
	check(t, err)
	if !again.unpacked(known.ID) || again.unpacked(forgotten.ID) {
		t.Errorf("there is the known one: %t, the forgotten: %t", again.unpacked(known.ID), again.unpacked(forgotten.ID))
	}
}

// A crash is a store that processes work in until they are killed.
type crash struct {
	dir     string
	layouts []string
	wants   []string // what is in the images
}

func newCrash(t *testing.T) *crash {
	t.Helper()
	above, err := os.MkdirTemp("/dev/shm", "crosscc-images") // each image is synced, which can take a disk seconds
	if err != nil {
		above = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(above) })
	c := &crash{dir: filepath.Join(above, "images")}
	for _, what := range []string{"one", "two"} {
		layout := imagetest.Layout(t, imagetest.Image(t, compression.GZip, manyFiles(t, what), imagetest.Tar(t, imagetest.Entry{"d1/.wh.f1", ""}, imagetest.Entry{"who", what})))
		s := storeIn(t, Options{})
		e, err := add(t, s, layout)
		check(t, err)
		c.layouts, c.wants = append(c.layouts, layout), append(c.wants, imagetest.Show(t, mustUse(t, s, e.ID).Dir))
	}
	return c
}

// sound opens the store as the next process does, and looks at all that is in it.
func (c *crash) sound(t *testing.T) {
	t.Helper()
	s, err := Open(c.dir, Options{MaxBytes: churnBytes})
	check(t, err)
	for _, folder := range []string{"incoming", "work", "trash"} {
		if files, err := os.ReadDir(s.in(folder, "")); err != nil || len(files) > 0 {
			t.Errorf("%s has %v, %v", folder, files, err)
		}
	}
	all, err := s.List()
	check(t, err)
	roots, err := os.ReadDir(s.in("roots", ""))
	check(t, err)
	for _, root := range roots {
		if !slices.ContainsFunc(all, func(e Entry) bool { return e.ID.Encoded() == root.Name() }) {
			t.Errorf("the directory %s is of no image", root.Name())
		}
	}
	for _, e := range all {
		if damage, err := s.Verify(context.Background(), e.ID); err != nil || damage != nil {
			t.Errorf("damage %v, %v", damage, err)
		}
		r, err := s.Use(context.Background(), e.ID)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := imagetest.Show(t, r.Dir); got != c.wants[0] && got != c.wants[1] {
			t.Errorf("half an image is served:\n%.500s", got)
		}
		r.Release()
	}
}

// works: both images can be added and are what they are.
func (c *crash) works(t *testing.T) {
	t.Helper()
	s, err := Open(c.dir, Options{MaxBytes: churnBytes})
	check(t, err)
	for i, layout := range c.layouts {
		e, err := add(t, s, layout)
		check(t, err)
		if got := imagetest.Show(t, mustUseFor(t, s, e)); got != c.wants[i] {
			t.Errorf("there is\n%s", got)
		}
	}
}

// mustUseFor is the directory of an image, which may go again.
func mustUseFor(t *testing.T, s *Store, e Entry) string {
	t.Helper()
	r, err := s.Use(context.Background(), e.ID)
	check(t, err)
	r.Release()
	return r.Dir
}

// kill lets a process work until moment returns, and kills it.
func (c *crash) kill(t *testing.T, moment func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), churnVariable+"="+c.dir+" "+strings.Join(c.layouts, " "))
	out, err := cmd.StdoutPipe()
	check(t, err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	check(t, cmd.Start())
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Errorf("the process did not begin: %v", err)
	}
	moment()
	check(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Errorf("the process ended by itself: %v, %s", err, stderr.String())
	}
}
