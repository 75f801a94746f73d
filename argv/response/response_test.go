package response

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
	got, err := Expand([]string{"0", "@a", "-o", "@b"}, read)
	if err != nil || !slices.Equal(got, []string{"0", "1", "2", "3", "-o", "2"}) {
		t.Errorf("%q, %v", got, err)
	}
	for _, s := range []string{"@missing", "@", "@loop", "@fork", "@huge", "@big"} {
		if _, err := Expand([]string{s}, read); err == nil {
			t.Errorf("%s: no error", s)
		}
	}
	if _, err := Expand([]string{"@a"}, nil); err == nil {
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
	words, err := Expand([]string{"@outer"}, func(n string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, n)) })
	if err != nil {
		t.Fatal(err)
	}
	for _, cc := range []string{"gcc-11", "gcc-12", "clang-14"} {
		ask := func(args ...string) string {
			c := exec.Command(cc, append([]string{"-dM", "-E", "-x", "c", "/dev/null"}, args...)...)
			c.Dir = dir
			out, err := c.CombinedOutput()
			return fmt.Sprint(string(out), err)
		}
		if got, want := ask(words...), ask("@outer"); got != want || !strings.Contains(want, "#define N in ner") {
			t.Errorf("%s reads the file as\n%s\nand our words as\n%s", cc, want, got)
		}
	}
}

// quote writes words as a response file.
func quote(words []string) []byte {
	var b strings.Builder
	for _, w := range words {
		for i := range len(w) {
			if isSpace(w[i]) || strings.IndexByte(`'"\`, w[i]) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(w[i])
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// FuzzSplit: no panic, and a response file that is read can be written and read again.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"", "-O2 'a b'", `"x\"y" \ z`, "'open", "a\\\n\tb", "\xef\xbb\xbf", "@x @y"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		words, err := split(b)
		if err != nil {
			return
		}
		again, err := split(quote(words))
		if len(words) > 0 && bom(words[0]) {
			return // quoting moved a mark to the file's beginning
		}
		if err != nil || !slices.Equal(words, again) {
			t.Fatalf("%q was read as %q and comes back as %q, %v", b, words, again, err)
		}
	})
}

func bom(s string) bool {
	return strings.HasPrefix(s, "\xff\xfe") || strings.HasPrefix(s, "\xfe\xff") || strings.HasPrefix(s, "\xef\xbb\xbf")
}
