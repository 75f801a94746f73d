package ending

import (
	"testing"

	"github.com/crosscc/crosscc/sandbox"
)

func TestSigns(t *testing.T) {
	for _, s := range signs() {
		if s.text == "" || s.notes == "" {
			t.Errorf("%+v: say what it is", s)
		}
		if f := readSigns([]byte("a.c:1:1: error: x\ncc1: " + s.text + "\n")); f == nil || f.Kind != s.kind {
			t.Errorf("%s: got %v", s.text, f)
		}
		if f := readSigns([]byte("a.c:1:1: error: x\n   12 | puts(\"" + s.text + "\")\n")); f != nil {
			t.Errorf("quoted source: got %v", f)
		}
	}
}

// TestSaid: what compilers said whose parts were killed, word for word.
func TestSaid(t *testing.T) {
	for said, want := range map[string]sandbox.Kind{
		"collect2: fatal error: ld terminated with signal 9 [Killed]\ncompilation terminated.\n":                                                            sandbox.Killed,
		"collect2: fatal error: ld terminated with signal 25 [File size limit exceeded]\ncompilation terminated.\n":                                         sandbox.Disk,
		"gcc-12: fatal error: Killed signal terminated program as\ncompilation terminated.\n":                                                               sandbox.Killed,
		"clang: error: unable to execute command: Killed\nclang: error: assembler command failed due to signal (use -v to see invocation)\n":                sandbox.Killed,
		"clang: error: unable to execute command: File size limit exceeded\nclang: error: linker command failed due to signal (use -v to see invocation)\n": sandbox.Disk,
		"a.c:1:1: error: unknown type name 'signal'\n    1 | signal x; // ld terminated with signal 9\n      | ^~~~~~\n":                                    "",
	} {
		f := readSigns([]byte(said))
		if f == nil && want != "" || f != nil && f.Kind != want {
			t.Errorf("%q: got %v, want %q", said, f, want)
		}
	}
}
