package imagestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/internal/imagetest"
)

// A journal is a store's log.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) logf(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) count(part string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.lines {
		if strings.Contains(l, part) {
			n++
		}
	}
	return n
}

// open opens the store of dir again, as another process would.
func open(t testing.TB, dir string, o Options) (*Store, *journal) {
	t.Helper()
	j := new(journal)
	o.Logf = j.logf
	s, err := Open(dir, o)
	check(t, err)
	return s, j
}

// evictNow removes an image's directory.
func evictNow(t testing.TB, s *Store, id digest.Digest) {
	t.Helper()
	if gone, err := s.evict(id); !gone || err != nil {
		t.Fatalf("evict: %v, %v", gone, err)
	}
}

// However many wait, in however many processes, an image is unpacked once.
func TestOneUnpack(t *testing.T) {
	s, j := open(t, filepath.Join(t.TempDir(), "images"), Options{})
	e := mustAdd(t, s, imagetest.SomeLayers(t)...)
	if got := j.count("is unpacked"); got != 1 {
		t.Fatalf("added with %d unpacks", got)
	}
	evictNow(t, s, e.ID)
	other, k := open(t, s.dir, Options{})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			r, err := []*Store{s, other}[i%2].Use(context.Background(), e.Digests[i%len(e.Digests)])
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Release()
			if got := imagetest.Show(t, r.Dir); got != imagetest.WantSome {
				t.Errorf("there is\n%s", got)
			}
		})
	}
	wg.Wait()
	if got := j.count("is unpacked") + k.count("is unpacked"); got != 2 {
		t.Errorf("%d unpacks, want the first and one more", got)
	}
}

// Whoever adds what is there adds a name and waits for nobody.
func TestAddAgain(t *testing.T) {
	s, j := open(t, filepath.Join(t.TempDir(), "images"), Options{})
	e := mustAdd(t, s, imagetest.SomeLayers(t)...)
	mustUse(t, s, e.ID)
	img := imagetest.Image(t, compression.GZip, imagetest.SomeLayers(t)...)
	again, err := add(t, s, imagetest.Saved(t, img, "tools:2", imagetest.SomeLayers(t)...))
	if err != nil || again.ID != e.ID || !slices.Equal(again.Names, []string{"tools"}) || !slices.Equal(again.Digests, e.Digests) {
		t.Errorf("%+v, %v", again, err)
	}
	if got := j.count("is unpacked"); got != 1 {
		t.Errorf("%d unpacks", got)
	}
}

// Whoever stops waiting does not stop the others.
func TestImpatient(t *testing.T) {
	s, j := open(t, filepath.Join(t.TempDir(), "images"), Options{})
	e := mustAdd(t, s, imagetest.SomeLayers(t)...)
	evictNow(t, s, e.ID)
	l, err := s.tryLock(imageLock(e.ID), exclusive) // somebody unpacks it, and takes long
	check(t, err)
	ctx, cancel := context.WithCancelCause(context.Background())
	first := make(chan error)
	go func() { _, err := s.Use(ctx, e.ID); first <- err }()
	second := make(chan error)
	go func() {
		r, err := s.Use(context.Background(), e.ID)
		if err == nil {
			r.Release()
		}
		second <- err
	}()
	time.Sleep(20 * time.Millisecond)
	cancel(errors.New("impatient"))
	if err := <-first; err == nil || !strings.Contains(err.Error(), "impatient") {
		t.Errorf("got %v", err)
	}
	l.release()
	if err := <-second; err != nil || j.count("is unpacked") != 2 {
		t.Errorf("got %v", err)
	}
}

// The bound holds: what was not used for the longest time makes room, what is used
// does not, and what was evicted comes back.
func TestBound(t *testing.T) {
	now := time.Unix(1e9, 0)
	o := Options{MaxBytes: 700 << 10, Now: func() time.Time { return now }}
	s, j := open(t, filepath.Join(t.TempDir(), "images"), o)
	big := func(name string) []byte {
		return imagetest.Tar(t, imagetest.Entry{name, strings.Repeat(name, 200<<10/len(name))}) // a kilobyte when it is compressed
	}
	var all []Entry
	for _, name := range []string{"a", "b", "c"} {
		now = now.Add(time.Hour)
		all = append(all, mustAdd(t, s, big(name)))
		mustTouch(t, s, all[len(all)-1].ID)
	}
	now = now.Add(time.Hour)
	held := mustUse(t, s, all[1].ID)
	mustTouch(t, s, all[0].ID) // b and a are the latest now, c is not used
	now = now.Add(time.Hour)
	mustTouch(t, s, all[1].ID)

	unpacked := func() (names string) {
		t.Helper()
		for i, e := range all {
			now, err := s.Find(e.ID)
			check(t, err)
			if now.Unpacked {
				names += string(rune('a' + i))
			}
		}
		return names
	}
	if got := unpacked(); got != "abc" {
		t.Fatalf("unpacked are %q", got)
	}
	all = append(all, mustAdd(t, s, big("d")))
	if got := unpacked(); got != "abd" || j.count("makes room") != 1 {
		t.Errorf("unpacked are %q, want c to make room", got)
	}
	// It comes back, and a goes, though b is older: b is used.
	now = now.Add(time.Hour)
	mustTouch(t, s, all[3].ID)
	now = now.Add(time.Hour)
	back := mustUse(t, s, all[2].ID)
	if got := unpacked(); got != "bcd" || !strings.HasPrefix(imagetest.Show(t, back.Dir), "c = cc") {
		t.Errorf("unpacked are %q", got)
	}
	// Nothing that is used goes.
	mustUse(t, s, all[3].ID)
	_, err := s.Use(context.Background(), all[0].ID)
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "crossctl image ls") {
		t.Errorf("got %v", err)
	}
	if got := unpacked(); got != "bcd" {
		t.Errorf("unpacked are %q", got)
	}
	held.Release()
	held.Release()
	if r, err := s.Use(context.Background(), all[0].ID); err != nil || unpacked() != "acd" {
		t.Errorf("unpacked are %q, %v", unpacked(), err)
	} else {
		r.Release()
	}
	if files, err := os.ReadDir(s.in("work", "")); err != nil || len(files) != 0 {
		t.Errorf("at work are %v, %v", files, err)
	}
}

// The bound holds while many jobs want more images than there is room for, and no image
// goes, in part or whole, while a job of any process has it.
func TestBoundUnderJobs(t *testing.T) {
	const bound = 450 << 10 // two of the three, and their blobs
	s, j := open(t, filepath.Join(t.TempDir(), "images"), Options{MaxBytes: bound})
	var all []Entry
	var wants []string
	for _, name := range []string{"a", "b", "c"} {
		var files []imagetest.Entry
		for i := range 20 {
			files = append(files, imagetest.Entry{fmt.Sprintf("d%d/%s", i%3, name+fmt.Sprint(i)), strings.Repeat(name, 8<<10)})
		}
		e := mustAdd(t, s, imagetest.Tar(t, files...))
		r, err := s.Use(t.Context(), e.ID)
		check(t, err)
		all, wants = append(all, e), append(wants, imagetest.Show(t, r.Dir))
		r.Release()
	}
	other, _ := open(t, s.dir, Options{MaxBytes: bound})
	for i, name := range []string{"one process", "two"} {
		second, before := []*Store{s, other}[i], j.count("makes room")
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for i := range 9 {
					n := (worker + i) % 3
					r, err := []*Store{s, second}[worker%2].Use(t.Context(), all[n].ID)
					for errors.Is(err, ErrFull) { // others have both
						time.Sleep(time.Millisecond)
						r, err = []*Store{s, second}[worker%2].Use(t.Context(), all[n].ID)
					}
					if err != nil {
						t.Error(err)
						return
					}
					for range 2 {
						if got := imagetest.Show(t, r.Dir); got != wants[n] {
							t.Errorf("%s: a job of image %d has\n%.300s", name, n, got)
						}
					}
					listed, err := s.List()
					if err != nil {
						t.Error(err)
					}
					// What another process makes at that moment is not counted, and stays until room
					// is made again.
					if sum := unpackedBytes(listed); sum > bound && second == s {
						t.Errorf("the images take %d bytes", sum)
					}
					r.Release()
				}
			})
		}
		wg.Wait()
		if now := j.count("makes room"); second == s && now < before+3 {
			t.Errorf("room was made %d times", now-before)
		}
	}
}

func unpackedBytes(all []Entry) (sum int64) {
	for _, e := range all {
		if e.Unpacked {
			sum += e.Size
		}
	}
	return sum
}

// Who wants another image than the one that is used waits until that is released. What is
// no use to wait for is said at once.
func TestWaitsForRoom(t *testing.T) {
	s, j := open(t, filepath.Join(t.TempDir(), "images"), Options{MaxBytes: 500 << 10, Wait: time.Hour})
	big := func(name string) []byte {
		return imagetest.Tar(t, imagetest.Entry{name, strings.Repeat(name, 300<<10)})
	}
	a, b := mustAdd(t, s, big("a")), mustAdd(t, s, big("b"))
	held := mustUse(t, s, b.ID)
	used := make(chan error)
	go func() {
		r, err := s.Use(context.Background(), a.ID)
		if err == nil {
			r.Release()
		}
		used <- err
	}()
	for j.count("wait at most") == 0 {
		select {
		case err := <-used:
			t.Fatalf("it did not wait: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	held.Release()
	check(t, <-used)

	mustUse(t, s, b.ID)
	if _, err := add(t, s, imagetest.Layout(t, imagetest.Image(t, compression.GZip, imagetest.Tar(t, imagetest.Entry{"c", strings.Repeat("c", 600<<10)})))); !errors.Is(err, ErrFull) {
		t.Errorf("larger than the store: %v", err)
	}
}

// What is unpacked at that moment is waited for as what is used is, by an image that takes
// nothing yet: two builds begin at one time in a store that has room for one of their images.
func TestWaitsForUnpacked(t *testing.T) {
	s, j := open(t, filepath.Join(t.TempDir(), "images"), Options{MaxBytes: 500 << 10, Wait: time.Hour})
	big := func(name string) []byte {
		return imagetest.Tar(t, imagetest.Entry{name, strings.Repeat(name, 300<<10)})
	}
	b := mustAdd(t, s, big("b"))
	evictNow(t, s, b.ID)
	src, err := images.Open(t.Context(), imagetest.Layout(t, imagetest.Image(t, compression.GZip, big("a"), imagetest.Tar(t, imagetest.Entry{"c", "c"}))), images.SourceOptions{Engine: "off"})
	check(t, err)
	defer src.Close()
	used, asked, first := make(chan error, 1), false, digest.Digest("")
	_, err = s.Add(t.Context(), src, func(p Progress) {
		if p.Stage == "unpack" && first == "" {
			first = p.Blob
		}
		if asked || p.Stage != "unpack" || p.Blob == first {
			return
		}
		asked = true // the first layer is there
		go func() {
			r, err := s.Use(context.Background(), b.ID)
			if err == nil {
				r.Release()
			}
			used <- err
		}()
		for j.count("wait at most") == 0 && len(used) == 0 {
			time.Sleep(time.Millisecond)
		}
	})
	check(t, err)
	check(t, <-used)
}

// The bound holds for images that are unpacked at one time, too: what one has put on the
// disk is no room for another.
func TestBoundAtOnce(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "images"), Options{MaxBytes: 500 << 10})
	big := func(name string) []byte {
		return imagetest.Tar(t, imagetest.Entry{name, strings.Repeat(name, 300<<10)})
	}
	b := mustAdd(t, s, big("b"))
	evictNow(t, s, b.ID)
	src, err := images.Open(t.Context(), imagetest.Layout(t, imagetest.Image(t, compression.GZip, big("a"), imagetest.Tar(t, imagetest.Entry{"c", "c"}))), images.SourceOptions{Engine: "off"})
	check(t, err)
	defer src.Close()
	asked, first := false, digest.Digest("")
	a, err := s.Add(t.Context(), src, func(p Progress) {
		if p.Stage == "unpack" && first == "" {
			first = p.Blob
		}
		if asked || p.Stage != "unpack" || p.Blob == first {
			return
		}
		asked = true // the first layer is there, and nobody knows it yet
		if _, err := s.Use(t.Context(), b.ID); !errors.Is(err, ErrFull) {
			t.Errorf("at once: %v", err)
		}
	})
	if err != nil || !asked {
		t.Fatalf("%v, asked: %t", err, asked)
	}
	mustTouch(t, s, b.ID) // a has to go, as ever
	mustTouch(t, s, a.ID)
}

func mustTouch(t testing.TB, s *Store, d digest.Digest) {
	t.Helper()
	r, err := s.Use(context.Background(), d)
	check(t, err)
	r.Release()
}

// An image that is larger than the store is not begun, or given up in the middle.
func TestTooLarge(t *testing.T) {
	above := t.TempDir()
	s, _ := open(t, filepath.Join(above, "images"), Options{MaxBytes: 50 << 10})
	_, err := add(t, s, imagetest.Layout(t, imagetest.Image(t, compression.None, imagetest.Tar(t, imagetest.Entry{"a", strings.Repeat("x", 60<<10)}))))
	if !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	_, err = add(t, s, imagetest.Layout(t, imagetest.Image(t, compression.GZip, imagetest.Tar(t, imagetest.Entry{"a", strings.Repeat("x", 60<<10)}))))
	if !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	nothing(t, s, above)
}

// Room for a sparse file, whose layer is some bytes, is made before it is there.
func TestSparseRoom(t *testing.T) {
	const large = roomStep + 1<<20
	s := storeIn(t, Options{MaxBytes: large + 1<<20})
	mustAdd(t, s, imagetest.Sparse(t, 2<<20))
	var seen []string
	s.o.Logf = func(format string, args ...any) {
		if strings.Contains(format, "makes room") {
			files, err := filepath.Glob(s.in("work", "*/root/*"))
			check(t, err)
			seen = append(seen, fmt.Sprint(files))
		}
	}
	sparse := mustAdd(t, s, imagetest.Sparse(t, large))
	if len(seen) != 1 || seen[0] != "[]" || sparse.Size < large || sparse.Packed > large/100 {
		t.Errorf("room was made with %q there, for %+v", seen, sparse)
	}
	above := t.TempDir()
	small, err := Open(filepath.Join(above, "images"), Options{MaxBytes: 700 << 10})
	check(t, err)
	_, err = add(t, small, imagetest.Layout(t, imagetest.Image(t, compression.GZip, imagetest.Sparse(t, 8<<30))))
	if !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	nothing(t, small, above)
}

func TestRemove(t *testing.T) {
	s := storeIn(t, Options{})
	layers := imagetest.SomeLayers(t)
	one, two := mustAdd(t, s, layers...), mustAdd(t, s, layers[0], imagetest.Tar(t, imagetest.Entry{"other", "1"}))
	r := mustUse(t, s, one.ID)
	ctx := context.Background()
	if err := s.Remove(ctx, one.Digests[0]); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
	if got := imagetest.Show(t, r.Dir); got != imagetest.WantSome {
		t.Errorf("there is\n%s", got)
	}
	r.Release()
	check(t, s.Remove(ctx, one.Digests[0]))
	if err := s.Remove(ctx, one.ID); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Use(ctx, one.ID); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
	// What the other needs is there.
	evictNow(t, s, two.ID)
	if got := imagetest.Show(t, mustUse(t, s, two.ID).Dir); !strings.Contains(got, "other = 1") {
		t.Errorf("there is\n%s", got)
	}
	all, err := s.List()
	if err != nil || len(all) != 1 || all[0].ID != two.ID {
		t.Errorf("%+v, %v", all, err)
	}
	files, err := os.ReadDir(s.in("blobs", ""))
	if err != nil || len(files) != 4 { // manifest, configuration, two layers
		t.Errorf("%d blobs, %v", len(files), err)
	}
	again := mustAdd(t, s, layers...)
	if got := imagetest.Show(t, mustUse(t, s, again.ID).Dir); got != imagetest.WantSome {
		t.Errorf("there is\n%s", got)
	}
}

// What was fetched is kept when a source fails, and not fetched again.
func TestResume(t *testing.T) {
	layers := imagetest.SomeLayers(t)
	img := imagetest.Image(t, compression.GZip, layers...)
	blobs, err := img.Layers()
	check(t, err)
	dir := imagetest.Layout(t, img)
	second := filepath.Join(dir, "blobs/sha256", imagetest.Digest(t, blobs[1]).Encoded())
	check(t, os.Rename(second, second+".away"))
	s := storeIn(t, Options{})
	if _, err := add(t, s, dir); err == nil {
		t.Fatal("the image is not whole, and was added")
	}
	check(t, os.Rename(second+".away", second))
	check(t, os.Remove(filepath.Join(dir, "blobs/sha256", imagetest.Digest(t, blobs[0]).Encoded())))
	var stages []Progress
	src, err := images.Open(context.Background(), dir, offline)
	check(t, err)
	defer src.Close()
	e, err := s.Add(context.Background(), src, func(p Progress) { stages = append(stages, p) })
	check(t, err)
	if got := imagetest.Show(t, mustUse(t, s, e.ID).Dir); got != imagetest.WantSome {
		t.Errorf("there is\n%s", got)
	}
	last := Progress{}
	for _, p := range stages {
		if p.Stage == last.Stage && p.Done < last.Done || p.Done > p.Total || p.Stage == "fetch" && last.Stage == "unpack" {
			t.Errorf("progress goes from %+v to %+v", last, p)
		}
		last = p
	}
	if last.Stage != "unpack" || last.Done != last.Total || stages[0].Stage != "fetch" {
		t.Errorf("progress is %+v", stages)
	}
}

// A store that is opened keeps the blobs of an image that is not there yet, for a
// day.
func TestOldBlobs(t *testing.T) {
	img := imagetest.Image(t, compression.GZip, imagetest.SomeLayers(t)...)
	layers, err := img.Layers()
	check(t, err)
	dir := imagetest.Layout(t, img)
	check(t, os.Remove(filepath.Join(dir, "blobs/sha256", imagetest.Digest(t, layers[1]).Encoded())))
	s := storeIn(t, Options{})
	if _, err := add(t, s, dir); err == nil {
		t.Fatal("an image without a layer was added")
	}
	blobs := func() int {
		files, err := os.ReadDir(s.in("blobs", ""))
		check(t, err)
		return len(files)
	}
	before := blobs()
	open(t, s.dir, Options{})
	if blobs() != before || before == 0 {
		t.Errorf("%d blobs, then %d", before, blobs())
	}
	// One that is refused has none, but what others have.
	if _, err := add(t, s, imagetest.Layout(t, imagetest.Image(t, compression.GZip, imagetest.SomeLayers(t)[0], imagetest.Tar(t, imagetest.Entry{"../x", ""})))); err == nil || blobs() != before-1 {
		t.Errorf("%d blobs, then %d, %v", before, blobs(), err)
	}
	open(t, s.dir, Options{Now: func() time.Time { return time.Now().Add(25 * time.Hour) }})
	if blobs() != 0 {
		t.Errorf("%d blobs are a day old", blobs())
	}
}

// A damaged image is found, whatever was changed in it.
func TestVerify(t *testing.T) {
	tests := []struct {
		name  string
		harm  func(s *Store, e Entry, root string) error
		wants string // part of the one finding
	}{
		{"a changed file", func(_ *Store, _ Entry, root string) error {
			path := filepath.Join(root, "usr/lib/x")
			info, err := os.Stat(path)
			return errors.Join(err, os.WriteFile(path, []byte("liB"), 0o755), os.Chtimes(path, info.ModTime(), info.ModTime()))
		}, "usr/lib/x: it was file 0755 3 "},
		{"a mode", func(_ *Store, _ Entry, root string) error {
			return os.Chmod(filepath.Join(root, "usr/bin/tool"), 0o700)
		}, "usr/bin/tool: it was file 0755"},
		{"a time", func(_ *Store, _ Entry, root string) error {
			return os.Chtimes(filepath.Join(root, "usr/bin/tool"), time.Unix(5, 0), time.Unix(5, 0))
		}, "usr/bin/tool: it was file"},
		{"setuid", func(_ *Store, _ Entry, root string) error {
			return os.Chmod(filepath.Join(root, "usr/bin/tool"), 0o755|fs.ModeSetuid)
		}, "and is file 0755s"},
		{"a file more", func(_ *Store, _ Entry, root string) error {
			return os.WriteFile(filepath.Join(root, "specs"), []byte("x"), 0o644)
		}, "specs: it was not there"},
		{"a file less", func(_ *Store, _ Entry, root string) error { return os.Remove(filepath.Join(root, "usr/lib/y")) }, "usr/lib/y: it is gone"},
		{"another link", func(_ *Store, _ Entry, root string) error {
			return errors.Join(os.Remove(filepath.Join(root, "lib")), os.Symlink("/lib", filepath.Join(root, "lib")))
		}, `lib: it was link "usr/lib" and is link "/lib"`},
		{"a device", func(_ *Store, _ Entry, root string) error {
			path := filepath.Join(root, "usr/lib/x")
			return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o644))
		}, "usr/lib/x: it was file"},
		{"the list", func(s *Store, e Entry, _ string) error {
			return os.WriteFile(filepath.Join(s.rootDir(e.ID), "list"), nil, 0o600)
		}, "list: it is damaged itself"},
		{"a blob", func(s *Store, e Entry, _ string) error { return flip(s.in("blobs", e.ID.Encoded())) }, "blob " + "sha256:"},
		{"a blob that is gone", func(s *Store, e Entry, _ string) error { return os.Remove(s.in("blobs", e.Digests[0].Encoded())) }, ": it is gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := storeIn(t, Options{})
			e := mustAdd(t, s, imagetest.SomeLayers(t)...)
			check(t, tt.harm(s, e, filepath.Join(s.rootDir(e.ID), "root")))
			damage, err := s.Verify(context.Background(), e.Digests[0])
			if err != nil || len(damage) != 1 || !strings.Contains(damage[0].What+": "+damage[0].Why, tt.wants) {
				t.Errorf("%+v, %v, want %s", damage, err, tt.wants)
			}
		})
	}
	if _, err := storeIn(t, Options{}).Verify(context.Background(), imagetest.SomeDigest); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
}

// flip changes one bit in the middle of a file.
func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0o600)
}

// A blob that rots in the store is never unpacked, and mended by adding the image
// again.
func TestRottenBlob(t *testing.T) {
	s := storeIn(t, Options{})
	e := mustAdd(t, s, imagetest.SomeLayers(t)...)
	r, err := s.find(e.ID)
	check(t, err)
	for _, l := range r.LayerList {
		evictNow(t, s, e.ID)
		check(t, flip(s.in("blobs", l.Digest.Encoded())))
		if _, err := s.Use(context.Background(), e.ID); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "add the image again") {
			t.Errorf("got %v", err)
		}
		mustAdd(t, s, imagetest.SomeLayers(t)...)
		mustTouch(t, s, e.ID)
	}
	// It need not be noticed before.
	evictNow(t, s, e.ID)
	check(t, flip(s.in("blobs", r.LayerList[1].Digest.Encoded())))
	mustAdd(t, s, imagetest.SomeLayers(t)...)
	if damage, err := s.Verify(context.Background(), e.ID); err != nil || damage != nil {
		t.Errorf("%v, %v", damage, err)
	}
	evictNow(t, s, e.ID)
	check(t, os.Remove(s.in("blobs", r.LayerList[0].Digest.Encoded())))
	if _, err := s.Use(context.Background(), e.ID); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
}

// Another user can read an image, and nothing else of the store.
func TestReadable(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	s := storeIn(t, Options{})
	e := mustAdd(t, s, imagetest.SomeLayers(t)...)
	r := mustUse(t, s, e.ID)
	for dir := r.Dir; dir != filepath.Dir(s.dir); dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s has mode %v, %v", dir, info.Mode(), err)
		}
	}
	for _, folder := range []string{"blobs", "images", "incoming", "work", "locks"} {
		if info, err := os.Stat(s.in(folder, "")); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, %v", folder, info.Mode(), err)
		}
	}
}

// A directory of another user's is refused, with what to do.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give a directory away")
	}
	dir := t.TempDir()
	check(t, os.Chown(dir, 1234, 1234))
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "belongs to user 1234 and this is user 0; run it as that user") {
		t.Errorf("got %v", err)
	}
}

// A record that is damaged is passed over, told, and written anew.
func TestDamagedRecord(t *testing.T) {
	s, j := open(t, filepath.Join(t.TempDir(), "images"), Options{})
	e := mustAdd(t, s, imagetest.SomeLayers(t)...)
	for _, text := range []string{"", "{", "{}", `{"id": "sha256:1"}`, `{"id": "` + imagetest.SomeDigest + `"}`} {
		// As a crash may leave it: in place it would be noticed when the directory changes.
		check(t, replace(s.in("images", e.ID.Encoded()+".json"), []byte(text)))
		if _, err := s.Use(context.Background(), e.ID); !errors.Is(err, ErrAbsent) {
			t.Errorf("%q: %v", text, err)
		}
		again := mustAdd(t, s, imagetest.SomeLayers(t)...)
		if again.ID != e.ID || !again.Unpacked {
			t.Errorf("%q: %+v", text, again)
		}
	}
	if j.count(".json: ") < 5 {
		t.Error("nobody was told")
	}
}

// Indexes within indexes end.
func TestNestedIndexes(t *testing.T) {
	deep := []byte(`{"manifests": []}`)
	blobs := [][]byte{deep}
	for range 6 {
		deep = fmt.Appendf(nil, `{"manifests": [{"digest": %q, "size": %d}]}`, digest.FromBytes(deep), len(deep))
		blobs = append(blobs, deep)
	}
	_, err := add(t, storeIn(t, Options{}), imagetest.ByHand(t, blobs...))
	if err == nil || !strings.Contains(err.Error(), "more than 4 indexes within each other") {
		t.Errorf("got %v", err)
	}
}

// FuzzDocuments: whatever an index, a manifest and a configuration say, the store is
// sound after it.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"config": {"digest": "`+imagetest.SomeDigest+`", "size": 2}, "layers": []}`), []byte(`{}`))
	f.Add([]byte(`{"manifests": [{"digest": "`+imagetest.SomeDigest+`", "size": 2}]}`), []byte(`{"rootfs": {"type": "layers"}}`))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		above := t.TempDir()
		s, err := Open(filepath.Join(above, "images"), Options{})
		check(t, err)
		one = bytes.ReplaceAll(one, []byte(imagetest.SomeDigest), []byte(digest.FromBytes(two)))
		e, err := add(t, s, imagetest.ByHand(t, two, one))
		if err != nil {
			nothing(t, s, above)
		} else if damage, err := s.Verify(context.Background(), e.ID); err != nil || damage != nil {
			t.Fatalf("%v, %v", damage, err)
		}
	})
}
