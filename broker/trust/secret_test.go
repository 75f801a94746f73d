package trust

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// Agents that start at once end with one secret, whatever was there; it stays.
func TestOpenSecret(t *testing.T) {
	write := func(mode os.FileMode, text string) func(*testing.T, string) {
		return func(t *testing.T, name string) {
			if err := os.WriteFile(name, []byte(text), mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	good := strings.Repeat("s", secretSize)
	for name, before := range map[string]func(*testing.T, string){
		"nothing there":    func(*testing.T, string) {},
		"half written":     write(0o600, good[1:]),
		"too long":         write(0o600, good+"s"),
		"zeros":            write(0o600, strings.Repeat("\x00", secretSize)),
		"others may read":  write(0o640, good),
		"others may write": write(0o602, good),
		"a link": func(t *testing.T, name string) {
			write(0o600, good)(t, name+".else")
			if err := os.Symlink(name+".else", name); err != nil {
				t.Fatal(err)
			}
		},
		"a pipe": func(t *testing.T, name string) {
			if err := unix.Mkfifo(name, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"another user's": func(t *testing.T, name string) {
			write(0o600, good)(t, name)
			if err := os.Chown(name, 65534, -1); err != nil {
				t.Skipf("only root gives a file away: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			file := filepath.Join(dir, "peer-secret")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			before(t, file)
			got := make([]Secret, 20)
			var all sync.WaitGroup
			for i := range got {
				all.Go(func() {
					var err error
					if got[i], err = OpenSecret(t.Context(), dir); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			for _, s := range got {
				if s != got[0] || s.None() || s == (Secret{[secretSize]byte([]byte(good))}) {
					t.Fatal("agents have different secrets, or one that is not theirs")
				}
			}
			st, err := os.Lstat(file)
			if err != nil || st.Mode() != 0o600 || st.Size() != secretSize {
				t.Errorf("it is kept in %v, %v", st, err)
			}
			if again, err := OpenSecret(t.Context(), dir); err != nil || again != got[0] {
				t.Errorf("a later agent has another, %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

// A directory where nothing can be kept, or a lock that nobody lets go, is an error
// that says where.
func TestNoSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := OpenSecret(t.Context(), file); err == nil || !s.None() || !strings.Contains(err.Error(), file) {
		t.Errorf("below a file: %v", err)
	}
	dir := t.TempDir()
	unlock, err := lockSecret(t.Context(), filepath.Join(dir, "peer-secret.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenSecret(ctx, dir); err == nil {
		t.Error("made while another makes it")
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if _, err := OpenSecret(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "another process holds "+dir) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != secretWait {
			t.Errorf("waited for %s", took)
		}
	})
}

// Nothing printed shows the secret; what one helper hears is not what another does, and
// a name is no word.
func TestSecretWords(t *testing.T) {
	s, err := OpenSecret(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%s", "%x", "%q", "%+v", "%#v", "%d"} {
		if got := fmt.Sprintf(format, s); got != "(secret)" {
			t.Errorf("%s shows %q", format, got)
		}
		if got := fmt.Sprintf(format, struct{ S *Secret }{&s}); strings.Contains(got, fmt.Sprintf("%x", s.bytes[:])) {
			t.Errorf("%s shows %q", format, got)
		}
	}
	other, err := OpenSecret(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for what, word := range map[string]string{
		"one here": s.Word("10.0.0.1:3634"), "one there": s.Word("10.0.0.2:3634"), "another here": other.Word("10.0.0.1:3634"),
		"the name of one here": PeerName(s.Word("10.0.0.1:3634")),
	} {
		name := PeerName(word)
		if len(word) != 64 || len(name) != 64 || name == word || seen[name] != "" {
			t.Errorf("%s is %q, which makes %q, as does %q", what, word, name, seen[name])
		}
		seen[name] = what
	}
	if first := s.Word("a:1"); s.Word("a:1") != first {
		t.Error("a word changes")
	}
	word := s.Word("a")
	for _, bad := range []string{"", "a", word[1:], word + "00", word[:63] + "g", word + "\n"} {
		if got := PeerName(bad); got != "" {
			t.Errorf("%q has the name %s", bad, got)
		}
	}
	if PeerName(strings.ToUpper(word)) != PeerName(word) {
		t.Error("the case of digits counts")
	}
}
