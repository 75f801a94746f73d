package preprocessed

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The cases are compiled by the real gcc, once from source and once from its
// own preprocessed text: where provable says yes, both must say the same.
func TestProvable(t *testing.T) {
	for _, tc := range []struct {
		name, source string
		want         bool
	}{
		{"missing semicolon", "#include <stddef.h>\nint f(void)\n{\n  int a = 1\n  return a;\n}\n", true},
		{"tabs", "int f(void)\n{\n\tint a;\n\t \treturn 1\n}\n", true},
		{"end of input", "int f(void)\n{\n", true},
		{"undeclared name may be near a macro's", "#define value 1\nint f(void) { return valu; }\n", false},
		{"error in a macro's use", "#define TWICE(x) ((x) + (x)\nint f(void) { return TWICE(1); }\n", false},
		{"two spaces", "int  f(void) { return  1 }\n", false},
		{"unused variable", "int f(void)\n{\n  int unused;\n  return 1;\n}\n", true},
		{"unused, and a hint", "#define value 1\nint f(void)\n{\n  int unused;\n  return valu;\n}\n", false},
		{"comment that silences", "int g(int);\nint f(int a)\n{\n  switch (a) {\n  case 1:\n    g(2); /* fall through */\n  case 2:\n    return 1;\n  }\n  return 2;\n}\n", false},
		{"nothing", "int f(void) { return 1; }\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			home, away := t.TempDir(), t.TempDir()
			write(t, filepath.Join(home, "a.c"), tc.source)
			write(t, filepath.Join(away, "a.c"), tc.source)
			text, _ := gcc(t, home, "-E", "a.c")
			write(t, filepath.Join(away, ".x.i"), text)
			_, local := gcc(t, home, "-Wall", "-Wextra", "-S", "-o", "o.s", "a.c")
			_, remote := gcc(t, away, "-Wall", "-Wextra", "-S", "-o", "o.s", "-x", "cpp-output", ".x.i")
			got := Provable("a.c", []byte(tc.source), []byte(text), []byte(remote), false)
			if got != tc.want {
				t.Errorf("provable = %t, want %t, of:\n%s", got, tc.want, remote)
			}
			if got && local != remote {
				t.Errorf("provable, but at home gcc said:\n%s\nand of preprocessed text:\n%s", local, remote)
			}
		})
	}
}

// Where a build reads ‘x’ and the helper's gcc wrote 'x', nothing is proven.
func TestProvableQuotes(t *testing.T) {
	source := []byte("int f(void) { return 1 }\n")
	text := append([]byte("# 1 \"a.c\"\n"), source...)
	for message, want := range map[string]bool{
		"a.c:1:23: error: expected ‘;’ before ‘}’ token\n    1 | int f(void) { return 1 }\n      |                       ^~\n": true,
		"a.c:1:23: error: expected ';' before '}' token\n    1 | int f(void) { return 1 }\n      |                       ^~\n": false,
	} {
		if got := Provable("a.c", source, text, []byte(message), true); got != want {
			t.Errorf("provable = %t, want %t, of:\n%s", got, want, message)
		}
	}
}

func gcc(t *testing.T, dir string, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command("gcc-12", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("gcc-12: %v (apt-get install gcc-12)", err)
	}
	return out.String(), errs.String()
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
