package thin

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Members and their modes are what ar says they are.
func TestMembers(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("long name ", 5) + ".o"
	for name, mode := range map[string]os.FileMode{"a.o": 0o640, "fifteen_chars.o": 0o755, "far/a.o": 0o600, long: 0o644, "sixteen__chars.o": 0o444} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	build(t, dir,
		[]string{"ar", "rcU", "x.a", "a.o", "fifteen_chars.o", long, "sixteen__chars.o"}, []string{"ar", "qcU", "x.a", "far/a.o"},
		[]string{"ar", "rcDP", "full.a", "far/a.o"}, []string{"ar", "rcT", "thin.a", "a.o"}, []string{"ar", "rc", "empty.a"})
	want := "a.o 640, fifteen_chars.o 755, " + long + " 644, sixteen__chars.o 444, a.o 600, "
	for name, want := range map[string]string{"x.a": want, "full.a": "far/a.o 644, ", "thin.a": "", "empty.a": "", "a.o": ""} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		members, err := Members(bytes.NewReader(text))
		got := ""
		for _, m := range members {
			got += fmt.Sprintf("%s %o, ", m.Name, m.Mode)
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	head := func(name, mode string) string {
		return fmt.Sprintf("%-16s%-12s%-6s%-6s%-8s%-10d`\n", name, "0", "0", "0", mode, 0)
	}
	for what, text := range map[string]string{
		"a name of BSD's": head("#1/4", "644"), "one without a slash": head("a.o", "644"), "one out of the table": head("/7", "644"),
		"no table": head("//", "644") + head("/0", "644"), "no mode": head("a.o/", "x"), "half a head": head("a.o/", "644")[:30], "no head": strings.Repeat("x", 60),
	} {
		if members, err := Members(strings.NewReader(Plain + text)); err == nil {
			t.Errorf("%s: %v", what, members)
		}
	}
}

func FuzzMembers(f *testing.F) {
	f.Add([]byte(Plain + "a.o/            0           0     0     644     2         `\nxy"))
	f.Add([]byte(Plain + "//                                              6         `\na.o/\n\n/0              0           0     0     644     0         `\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		members, err := Members(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, m := range members {
			if m.Name == "" || m.Mode > 0o7777 {
				t.Fatalf("%q has %+v", text, m)
			}
		}
	})
}
