package argv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for in, want := range map[string][]string{
		"":                         nil,
		" \n\t ":                   nil,
		"-O2 -c\na.c\r\n":          {"-O2", "-c", "a.c"},
		`"a b" 'c d' e\ f`:         {"a b", "c d", "e f"},
		`-D"X=a b"' c'd`:           {"-DX=a b cd"},
		`"a\"b" 'c\'d' "e\\f" g\\`: {`a"b`, "c'd", `e\f`, `g\`},
		`"it's" 'say "x"'`:         {"it's", `say "x"`},
		"a\\\nb":                   {"a\nb"},
		"\xff\x80":                 {"\xff\x80"},
	} {
		got, err := split([]byte(in))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("split(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{`"open`, "'open", `x\`, `a "" b`, "''", "a\x00b", "a\vb", "\xef\xbb\xbfa", "\xff\xfea\x00"} {
		if got, err := split([]byte(in)); err == nil {
			t.Errorf("split(%q) = %q, want an error", in, got)
		}
	}
}

func TestExpand(t *testing.T) {
	files := map[string]string{"a": "1 @b 3", "b": "2", "loop": "x @loop", "fork": "@fork @fork", "deep": "", "big": strings.Repeat("x ", 1<<19),
		"huge": "@big @big @big @big @big @big @big @big @big @big @big @big @big @big @big @big @big"}
	read := func(name string) ([]byte, error) {
		if s, ok := files[name]; ok {
			return []byte(s), nil
		}
		return nil, errors.New("no such file")
	}
	got, err := expand([]string{"0", "@a", "-o", "@b"}, read)
	if err != nil || !slices.Equal(got, []string{"0", "1", "2", "3", "-o", "2"}) {
		t.Errorf("%q, %v", got, err)
	}
	for _, s := range []string{"@missing", "@", "@loop", "@fork", "@huge", "@big"} {
		if _, err := expand([]string{s}, read); err == nil {
			t.Errorf("%s: no error", s)
		}
	}
	if _, err := expand([]string{"@a"}, nil); err == nil {
		t.Error("no error without a way to read")
	}
}

// TestResponseFilesAsCompilers: a response file means to us what it means to gcc and clang.
func TestResponseFilesAsCompilers(t *testing.T) {
	dir := t.TempDir()
	const text = "-DA=1 \"-DB=x y\" -DC=a\\ b '-DD=q\\'r' -D\"E=\\\"s\\\\\"t\n-DF=a\\\\b\t@nested -DG='\"' -DH=\"'\""
	files := map[string]string{"outer": text, "nested": "'-DN=in ner' -UA"}
	for name, s := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	words, err := expand([]string{"@outer"}, func(n string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, n)) })
	if err != nil {
		t.Fatal(err)
	}
	for _, cc := range []string{"gcc-11", "gcc-12", "clang-14"} {
		ask := func(args ...string) string {
			c := exec.Command(need(t, cc), append([]string{"-dM", "-E", "-x", "c", "/dev/null"}, args...)...)
			c.Dir = dir
			out, err := c.CombinedOutput()
			return fmt.Sprint(string(out), err)
		}
		if got, want := ask(words...), ask("@outer"); got != want || !strings.Contains(want, "#define N in ner") {
			t.Errorf("%s reads the file as\n%s\nand our words as\n%s", cc, want, got)
		}
	}
}
