package preprocessed

import (
	"path/filepath"
	"strings"
	"testing"
)

const switches = `int g(int);
int falls(int a)
{
  switch (a) {
  case 1:
    g(2);
    /* FALLTHROUGH */
  case 2:
    g(3); /* fall through */
  case 3:
    g(4); // fall through
  case 4:
    return 1;
  }
  return 2;
}
`

const warns = `int g(int);
int warns(int a)
{
  switch (a) {
  case 1:
    g(2);
#if 0
    /* fall through */
#endif
  case 2:
    g(3); /* and on */
  case 3:
    return 1;
  }
  return 2;
}
`

// tricky has what -E -C gets wrong: an argument behind a comment, a comment in a
// string, a string that looks like one.
const tricky = `#define NEXT(x) ((x) + 1)
#define TEXT(x) #x
int g(int);
const char *s = TEXT(a /* fall through */ b), *t = "/* fall through */";
int tricky(int a)
{
  switch (a) {
  case 1:
    g(NEXT /* fall through */ (a)); /* fall through */
  case 2:
    return 1;
  }
  return 2;
}
`

// What gcc says of the text that is sent is what it says of the source, and the
// program is the same.
func TestWithComments(t *testing.T) {
	for name, source := range map[string]string{"falls": switches, "warns": warns, "tricky": tricky} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "a.c"), source)
			plain, _ := gcc(t, dir, "-E", "a.c")
			commented, _ := gcc(t, dir, "-E", "-C", "a.c")
			write(t, filepath.Join(dir, "a.i"), string(WithComments([]byte(plain), []byte(commented))))
			want, wantWords := gcc(t, dir, "-Wextra", "-O2", "-S", "-o", "-", "a.c")
			got, gotWords := gcc(t, dir, "-Wextra", "-O2", "-S", "-o", "-", "a.i")
			if got != want {
				t.Errorf("the program changed:\n%s", got)
			}
			if strings.Count(gotWords, "may fall through") != strings.Count(wantWords, "may fall through") {
				t.Errorf("gcc said of the text:\n%s\nand of the source:\n%s", gotWords, wantWords)
			}
			if name == "falls" && wantWords != "" {
				t.Errorf("the test's own source warns:\n%s", wantWords)
			}
		})
	}
}

// Nothing is put into text with raw strings, nor behind a directive.
func TestWithCommentsLeavesAlone(t *testing.T) {
	marker := "# 1 \"a.c\"\n"
	for text, commented := range map[string]string{
		marker + "auto s = R\"(x\ny)\";\nint i;\n": marker + "auto s = R\"(x /* fall through */\ny)\";\nint i; /* fall through */\n",
		marker + "#pragma pack(1)\n":               marker + "#pragma pack(1) /* fall through */\n",
		marker + "int i;\n":                        marker + "int i; /* nothing */\n",
	} {
		if got := WithComments([]byte(text), []byte(commented)); string(got) != text {
			t.Errorf("text became:\n%s", got)
		}
	}
}
