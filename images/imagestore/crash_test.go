package imagestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/compression"

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
	dir := filepath.Join(t.TempDir(), "images")
	var layouts, wants []string
	for _, what := range []string{"one", "two"} {
		layouts = append(layouts, imagetest.Layout(t, imagetest.Image(t, compression.GZip, manyFiles(t, what), imagetest.Tar(t, imagetest.Entry{"d1/.wh.f1", ""}, imagetest.Entry{"who", what}))))
		s := storeIn(t, Options{})
		e, err := add(t, s, layouts[len(layouts)-1])
		check(t, err)
		wants = append(wants, imagetest.Show(t, mustUse(t, s, e.ID).Dir))
	}
	seen := make(map[string]int) // what was found after a kill
	for range 15 {
		kill(t, dir, layouts)
		for folder := range folders {
			if files, err := os.ReadDir(filepath.Join(dir, folder)); err == nil && len(files) > 0 {
				seen[folder]++
			}
		}
		s, err := Open(dir, Options{MaxBytes: churnBytes})
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
		if len(roots) > len(all) {
			t.Errorf("%d images and %d directories", len(all), len(roots))
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
			if got := imagetest.Show(t, r.Dir); got != wants[0] && got != wants[1] {
				t.Errorf("half an image is served:\n%.500s", got)
			}
			r.Release()
		}
	}
	t.Logf("found after the kills: %v", seen)
	if seen["work"] == 0 {
		t.Error("no process was killed while it unpacked")
	}
	s, err := Open(dir, Options{MaxBytes: churnBytes})
	check(t, err)
	for i, layout := range layouts {
		e, err := add(t, s, layout)
		check(t, err)
		if got := imagetest.Show(t, mustUseFor(t, s, e)); got != wants[i] {
			t.Errorf("there is\n%.500s", got)
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

// kill lets a process work for a random time and kills it.
func kill(t *testing.T, dir string, layouts []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), churnVariable+"="+dir+" "+strings.Join(layouts, " "))
	out, err := cmd.StdoutPipe()
	check(t, err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	check(t, cmd.Start())
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Errorf("the process did not begin: %v", err)
	}
	time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	check(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Errorf("the process ended by itself: %v, %s", err, stderr.String())
	}
}
