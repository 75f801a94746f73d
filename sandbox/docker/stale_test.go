package docker

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

// A container that waits for jobs of a toolchain ends when that is gone or another, and no
// other does.
func TestStale(t *testing.T) {
	dir := t.TempDir()
	name := func(base string) string { return filepath.Join(dir, base) }
	synctest.Test(t, func(t *testing.T) {
		r := &runner{pool: newPool(), logf: t.Logf}
		make := func(base string) *warm {
			w := &warm{d: r, key: base, dir: name("container-" + base)}
			if err := os.Mkdir(w.dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{base, "libc"} {
				if err := os.WriteFile(name(file), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return w
		}
		show := func(w *warm) {
			for _, file := range []string{w.key, "libc"} {
				stamp, err := stampOf(name(file))
				if err != nil {
					t.Fatal(err)
				}
				w.shows = append(w.shows, stamped{name(file), stamp})
			}
			if _, err := r.pool.take(t.Context(), w.key); err != nil {
				t.Fatal(err)
			}
			r.giveBack(w)
		}
		all := []*warm{make("gone"), make("other"), make("stays")}
		for _, w := range all {
			show(w)
		}
		waits := func(want ...*warm) {
			t.Helper()
			time.Sleep(staleRound + time.Second)
			synctest.Wait()
			r.pool.mu.Lock()
			idle := slices.Clone(r.pool.idle)
			r.pool.mu.Unlock()
			if !slices.Equal(idle, want) {
				t.Errorf("%d wait, want %d", len(idle), len(want))
			}
			for _, w := range all {
				_, err := os.Stat(w.dir)
				if here := slices.Contains(want, w); here != (err == nil) {
					t.Errorf("%s: its files: %v", w.key, err)
				}
			}
		}
		waits(all...)
		if err := os.Remove(name("gone")); err != nil {
			t.Fatal(err)
		}
		waits(all[1:]...)
		if err := os.Rename(name("stays"), name("stays2")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name("other"), name("gone")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name("stays2"), name("stays")); err != nil {
			t.Fatal(err)
		}
		r.pool.mu.Lock()
		all[2].shows[0].stamp, _ = stampOf(name("stays")) // a rename changes it
		r.pool.mu.Unlock()
		waits(all[2])
		r.pool.close()
		time.Sleep(2 * staleRound)
		synctest.Wait()
	})
}

// What a container says that it shows is what it shows: of an image all of it.
func TestShows(t *testing.T) {
	r := newCounting(t)
	s := rig.Spec(rig.Build(t, "int main(void) { return 0; }"))
	if _, err := r.run(rig.Context(t), s); err != nil {
		t.Fatal(err)
	}
	r.pool.mu.Lock()
	w := r.pool.idle[len(r.pool.idle)-1]
	r.pool.mu.Unlock()
	for _, f := range slices.Concat(w.shows, []stamped{{name: s.Path}}) {
		if !slices.ContainsFunc(w.shows, func(x stamped) bool { return x.name == f.name && x.stamp != "" }) || w.stale() {
			t.Errorf("%s is not among %v", f.name, w.shows)
		}
	}
	whole := &sandbox.Spec{Root: t.TempDir(), Whole: true, Path: "/a", Args: []string{"a"}, Dir: "/"}
	if _, shows, err := keyOf(whole, sandbox.Limits{}.OrDefaults(), nil); err != nil || len(shows) != 1 || shows[0].name != whole.Root {
		t.Errorf("of an image: %v, %v", shows, err)
	}
}
