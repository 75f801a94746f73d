package helper

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
)

// TestOperandsAreOperands: where the table has an option with an operand that
// nobody judges, the compilers have one too. A driver that read it as a word of its
// own would take any option of a client's there; and one that hands it on as a word
// that begins with @ would have a file of the client's read for words. So each row
// is tried, with a plugin that nobody has: who looks for it has been told to.
func TestOperandsAreOperands(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.c": "int x;\n", "words": "x -fplugin=/none/evil\n", "@words": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, driver := range []string{"gcc-12", "gcc-11", "clang-14"} {
		d, _ := argv.ParseDriver(driver)
		tried, looked := 0, 0
		for _, r := range option.Rules(d.Family) {
			var tries [][]string
			if r.Operand == option.SeparateOperand || r.Operand == option.EitherOperand {
				tries = append(tries, []string{r.Name, "-fplugin=/none/evil"})
			}
			if r.Operand != option.SeparateOperand && r.Operand != option.NoOperand {
				tries = append(tries, []string{r.Name + "@words"})
			}
			for _, words := range tries {
				words = append(words, "-MD", "-c", "a.c", "-o", "a.o")
				cmd := argv.Parse(words, argv.Env{Driver: d, Job: true})
				admitted := cmd.Verdict().Remote && argv.AdmitWhole(cmd) == nil
				if !admitted && !strings.Contains(r.Name, "I") { // one that shows that the plugin is looked for at all
					continue
				}
				tried++
				c := exec.Command(driver, words...)
				c.Dir = dir
				out, _ := c.CombinedOutput()
				// gcc and clang look for it; clang -cc1 knows no such word.
				if !strings.Contains(string(out), "load plugin") && !strings.Contains(string(out), "unknown argument: '-fplugin=") {
					continue
				}
				if looked++; admitted {
					t.Errorf("%s %q is admitted, and looks for a plugin:\n%s", driver, words, out)
				}
			}
		}
		if tried < 20 || looked == 0 {
			t.Errorf("%s: %d words were tried, %d led to a plugin", driver, tried, looked)
		}
	}
}
