package object

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const source = `
int counter = 3;
static const char *names[] = {"a", "b"};
extern int other(int);
#define TWICE(x) (other(x) + other((x) + 1))
int f(int n) { counter += TWICE(n); return names[n & 1][0] + counter; }
`

// compile makes an object of text with the compiler's words.
func compile(t *testing.T, text, compiler string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.c"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(compiler, append(args, "-c", "a.c", "-o", "a.o")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return filepath.Join(dir, "a.o")
}

func TestSameCode(t *testing.T) {
	for _, compiler := range []string{"gcc", "aarch64-linux-gnu-gcc", "riscv64-linux-gnu-gcc"} {
		plain := compile(t, source, compiler, "-O2")
		for name, c := range map[string]struct {
			text string
			args []string
			want string // part of the error; "" when they are the same
		}{
			"the same":        {source, []string{"-O2"}, ""},
			"debug info":      {source, []string{"-O2", "-g"}, ""},
			"another number":  {strings.Replace(source, "+ 1", "+ 2", 1), []string{"-O2"}, ".text"},
			"another value":   {strings.Replace(source, "= 3", "= 4", 1), []string{"-O2"}, "data"},
			"another callee":  {strings.ReplaceAll(source, "other", "elsewhere"), []string{"-O2"}, ".rela.text"},
			"another name":    {strings.Replace(source, "int f(", "int g(", 1), []string{"-O2"}, "symbol table"},
			"another section": {source, []string{"-O2", "-ffunction-sections"}, "section"},
		} {
			t.Run(compiler+"/"+name, func(t *testing.T) {
				err := SameCode(plain, compile(t, c.text, compiler, c.args...))
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("SameCode = %v, want an error with %q", err, c.want)
				}
			})
		}
	}
}

// Objects that differ in .comment alone are told from those that differ in
// anything else: a byte of debug info, a flag of the machine.
func TestButComment(t *testing.T) {
	const compiler = "arm-linux-gnueabihf-gcc"
	text, err := os.ReadFile(compile(t, source, compiler, "-O2", "-g", "-S"))
	if err != nil {
		t.Fatal(err)
	}
	assembly := string(text)
	assemble := func(text string, args ...string) string {
		return compile(t, text, compiler, append(args, "-x", "assembler")...)
	}
	plain := assemble(assembly)
	for name, c := range map[string]struct {
		from, to string
		args     []string
		want     string // part of the error; "" when they are the same
	}{
		"the same":           {"", "", nil, ""},
		"another compiler":   {".ident\t\"GCC: (", ".ident\t\"GCC: (of another maker ", nil, ""},
		"another number":     {"adds\tr0, r5, #1", "adds\tr0, r5, #2", nil, ".text"},
		"another value":      {".word\t3", ".word\t4", nil, ".data"},
		"another column":     {".loc 1 6 24", ".loc 1 6 25", nil, ".debug_line"},
		"another name":       {"\tcounter", "\tkounter", nil, "differs"},
		"compressed":         {"", "", []string{"-gz"}, "headers of .debug"},
		"another byte order": {"", "", []string{"-mbig-endian"}, "ELF headers"},
		"no ident":           {".ident", "@ .ident", nil, "sections"},
	} {
		changed := strings.ReplaceAll(assembly, c.from, c.to)
		if c.from != "" && changed == assembly {
			t.Fatalf("%s: the assembly has no %q", name, c.from)
		}
		err := butComment(t, plain, assemble(changed, c.args...))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
	soft := assemble(strings.Replace(assembly, ".eabi_attribute 28, 1", ".eabi_attribute 28, 0", 1))
	if err := butComment(t, plain, soft); err == nil {
		t.Error("another float ABI makes the same object")
	}
}

func butComment(t *testing.T, a, b string) error {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	return ButComment(a, x, b, y)
}

func TestKind(t *testing.T) {
	for _, c := range []struct {
		compiler, flag string
		machine        string
		class          int
	}{
		{"aarch64-linux-gnu-gcc", "-O2", "aarch64", 64},
		{"riscv64-linux-gnu-gcc", "-O2", "riscv", 64},
		{"x86_64-linux-gnu-gcc", "-O2", "x86_64", 64},
		{"x86_64-linux-gnu-gcc", "-m32", "386", 32},
	} {
		machine, class, err := Kind(compile(t, source, c.compiler, c.flag))
		if err != nil || machine != c.machine || class != c.class {
			t.Errorf("%s %s: Kind = %q, %d, %v, want %q, %d", c.compiler, c.flag, machine, class, err, c.machine, c.class)
		}
	}
}

func TestNoObject(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no object"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Kind(text); err == nil {
		t.Error("Kind of a text is no error")
	}
	if err := SameCode(text, text); err == nil {
		t.Error("SameCode of texts is no error")
	}
}
