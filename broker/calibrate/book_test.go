package calibrate

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains"
)

func question() Question {
	tc := toolchains.Toolchain{
		Identity:    toolchains.Identity{Family: argv.GCC, Target: "aarch64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14+deb12u1"},
		Fingerprint: toolchains.Fingerprint{"cc1": "1", "as": "2"},
	}
	have := tc
	have.Package = "Debian 12.2.0-14"
	return Question{Want: tc, Have: have, Language: argv.C, Words: []string{"-O2", "-g"}}
}

// A result holds for what it was found for, and outlives the process.
func TestBook(t *testing.T) {
	dir := t.TempDir()
	b := OpenBook(dir)
	want := Result{Avoid: []string{"optimize"}, Avoided: ".text differ"}
	if r, ok := b.Look(question()); ok {
		t.Fatalf("an empty book knows %+v", r)
	}
	if err := b.Keep(question(), want); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*Book{"this one": b, "the next one": OpenBook(dir)} {
		if r, ok := b.Look(question()); !ok || !reflect.DeepEqual(r, want) {
			t.Errorf("%s: %+v, %t", name, r, ok)
		}
		for what, change := range map[string]func(*Question){
			"language":                 func(q *Question) { q.Language = argv.CXX },
			"options":                  func(q *Question) { q.Words = []string{"-O2"} },
			"their order":              func(q *Question) { q.Words = []string{"-g", "-O2"} },
			"their boundaries":         func(q *Question) { q.Words = []string{"-O2 -g"} },
			"words in front":           func(q *Question) { q.Front = []string{"-fno-pie"} },
			"extra words":              func(q *Question) { q.Extra = []string{"-O2"} },
			"the client's compiler":    func(q *Question) { q.Want.Fingerprint = toolchains.Fingerprint{"cc1": "9", "as": "2"} },
			"the helper's assembler":   func(q *Question) { q.Have.Fingerprint = toolchains.Fingerprint{"cc1": "1", "as": "9"} },
			"the helper's revision":    func(q *Question) { q.Have.Package = "Debian 12.2.0-15" },
			"the two the other way":    func(q *Question) { q.Have, q.Want = q.Want, q.Have },
			"the client's defaults":    func(q *Question) { q.Want.Defaults = "x" },
			"a file that one has more": func(q *Question) { q.Have.Fingerprint = toolchains.Fingerprint{"cc1": "1", "as": "2", "specs": "3"} },
		} {
			q := question()
			change(&q)
			if _, ok := b.Look(q); ok {
				t.Errorf("%s: known for another %s", name, what)
			}
		}
	}
}

// Damage of any kind to a file is as if it were not there.
func TestDamagedBook(t *testing.T) {
	dir := t.TempDir()
	if err := OpenBook(dir).Keep(question(), Result{Refused: "differ"}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "results", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		damaged := append([]byte(nil), text...)
		damaged[i] ^= 1
		for _, data := range [][]byte{damaged, text[:i]} {
			if err := os.WriteFile(files[0], data, 0o600); err != nil {
				t.Fatal(err)
			}
			if r, ok := OpenBook(dir).Look(question()); ok && r.Refused != "differ" {
				t.Fatalf("byte %d: %+v", i, r)
			}
		}
	}
	if err := os.WriteFile(files[0], append(text, make([]byte, maxFile)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := OpenBook(dir).Look(question()); ok {
		t.Error("a file that is too long is read")
	}
}

// Distrust is of a helper and the client's toolchain, whatever the helper changes,
// and holds until it is cleared.
func TestDistrust(t *testing.T) {
	dir := t.TempDir()
	b := OpenBook(dir)
	of := question().Want.Identity
	if err := b.Distrust("a:1", of, []string{"gcc", "-c", "a.c"}, "a.o: .text differ"); err != nil {
		t.Fatal(err)
	}
	if err := b.Distrust("b:1", of, []string{"gcc"}, "x"); err != nil {
		t.Fatal(err)
	}
	if err := b.Distrust("a:1", of, []string{"gcc", "-c", "b.c"}, "later"); err != nil {
		t.Fatal(err)
	}
	next := OpenBook(dir)
	d, ok := next.Distrusts("a:1", of)
	if !ok || d.Differs != "a.o: .text differ" || len(d.Command) != 3 || len(next.Distrusted()) != 2 {
		t.Errorf("%+v, %t, %+v", d, ok, next.Distrusted())
	}
	other := of
	other.Version = "11"
	if _, ok := next.Distrusts("a:1", other); ok {
		t.Error("distrusted for another compiler")
	}
	if n, err := next.Clear("a:1"); n != 1 || err != nil {
		t.Error(n, err)
	}
	if _, ok := next.Distrusts("a:1", of); ok {
		t.Error("cleared, and distrusted")
	}
	if _, ok := OpenBook(dir).Distrusts("b:1", of); !ok {
		t.Error("another one was cleared")
	}
	if n, err := next.Clear(""); n != 1 || err != nil || len(OpenBook(dir).Distrusted()) != 0 {
		t.Error(n, err)
	}
}
