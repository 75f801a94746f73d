package helper

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
)

// An attack is a tree that would have a compiler run or believe what a client
// sends. works says whether it does in a sandbox without the rule, so that each
// row tells whether the rule is what stands in its way.
type attack struct {
	name, driver string
	plant        func(t *testing.T, root *broker.Dir)
	words, env   string
	works        bool
}

const evilSource = "#include \"h.h\"\n#ifdef EVIL\n#error evil\n#endif\nint x = nope;\n"

// specs makes gcc define EVIL.
const specs = "*cpp:\n+ -DEVIL\n\n"

func file(name, text string) func(*testing.T, *broker.Dir) {
	return func(_ *testing.T, root *broker.Dir) {
		root.Put(name, broker.File{Blob: broker.BytesBlob([]byte(text))})
	}
}

func link(name, target string, then func(*testing.T, *broker.Dir)) func(*testing.T, *broker.Dir) {
	return func(t *testing.T, root *broker.Dir) {
		in := root.Mkdir(path.Dir(name))
		in.Links = append(in.Links, broker.Link{Name: path.Base(name), Target: target})
		then(t, root)
	}
}

func made(name string, make func(t *testing.T) []byte) func(*testing.T, *broker.Dir) {
	return func(t *testing.T, root *broker.Dir) {
		root.Put(name, broker.File{Blob: broker.BytesBlob(make(t))})
	}
}

var attacks = []attack{
	{"specs beside cc1 (X20)", "gcc-12", file("/usr/lib/gcc/x86_64-linux-gnu/12/specs", specs), "", "", true},
	{"specs above cc1", "gcc-12", file("/usr/lib/gcc/x86_64-linux-gnu/specs", specs), "", "", true},
	{"specs of the target", "gcc-12", file("/usr/x86_64-linux-gnu/lib/specs", specs), "", "", true},
	{"specs of the target's version", "gcc-12", file("/usr/x86_64-linux-gnu/lib/x86_64-linux-gnu/12/specs", specs), "", "", true},
	{"a link to where specs are", "gcc-12", link("/usr/x86_64-linux-gnu", "/w/t", file("/w/t/lib/specs", specs)), "", "", true},
	{"specs in a directory for headers", "gcc-12", file("/usr/lib/gcc/x86_64-linux-gnu/12/include/specs", specs), "", "", false},
	{"a library of the loader's own choice", "gcc-12", file("/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v2/libz.so.1", "evil"), "", "", true},
	{"the loader's preload list", "gcc-12", file("/etc/ld.so.preload", "/w/evil.so\n"), "", "", false},
	{"the loader's cache", "gcc-12", file("/etc/ld.so.cache", "evil"), "", "", false},
	{"a library in place of the toolchain's", "gcc-12", file("/usr/lib/x86_64-linux-gnu/libz.so.1", "evil"), "", "", false},
	{"a converter of characters", "gcc-12", plantConverter, "-finput-charset=EVIL", "", true},
	{"a catalogue of messages", "gcc-12", made("/usr/share/locale/C.UTF-8/LC_MESSAGES/gcc-12.mo", catalogue), "", "LC_ALL=C.UTF-8", true},
	{"a link to a catalogue", "gcc-12", link("/usr/share", "/w/s", made("/w/s/locale/C.UTF-8/LC_MESSAGES/gcc-12.mo", catalogue)), "", "LC_ALL=C.UTF-8", true},
	{"a precompiled header", "gcc-12", made("/w/h.h.gch", precompiled), "-nostdinc", "", true},
	{"a directory of them", "gcc-12", made("/w/h.h.gch/any", precompiled), "-nostdinc", "", true},
	{"a precompiled source", "gcc-12", made("/w/a.c.gch", precompiled), "-nostdinc", "", false},
	{"an assembler", "gcc-12", file("/usr/lib/gcc/x86_64-linux-gnu/12/as", "#!/evil\n"), "", "", false},
	{"a compiler", "gcc-12", file("/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "#!/evil\n"), "", "", false},
	{"clang's configuration", "clang-14", file("/usr/lib/llvm-14/bin/clang.cfg", "-DEVIL\n"), "", "", false},
	{"clang's configuration for a target", "clang-14", file("/usr/lib/llvm-14/bin/x86_64-pc-linux-gnu-clang.cfg", "-DEVIL\n"), "", "", false},
	{"clang's precompiled header", "clang-14", made("/w/h.h.pch", precompiledClang), "-include /w/h.h", "", true},
	{"a description of terminals", "clang-14", file("/usr/share/terminfo/x/xterm", "evil"), "", "", false},
}

// TestAttacks: each is refused, and those are attacks indeed that are said to be.
func TestAttacks(t *testing.T) {
	helpers := map[string]*Helper{}
	plain := map[string]string{}
	for _, a := range attacks {
		h := helpers[a.driver]
		if h == nil {
			h = newWalled(t, "/usr/bin/"+a.driver)
			helpers[a.driver] = h
		}
		honest := plain[a.driver+a.words+a.env]
		if honest == "" {
			honest = unguarded(t, h, a.job(t, h, false))
			plain[a.driver+a.words+a.env] = honest
		}
		got := unguarded(t, h, a.job(t, h, true))
		if got == "" { // the sandbox has a rule of its own
			got = honest
		}
		if (got != honest) != a.works {
			t.Errorf("%s: without a rule it works: %t, want %t\n%s\nhonest:\n%s", a.name, !a.works, a.works, got, honest)
		}
		j := a.job(t, h, true)
		if _, why := j.Root.Closed(); why == "" {
			t.Errorf("%s: the tree is open", a.name)
		}
		_, err := h.Run(t.Context(), j)
		if _, ok := errors.AsType[*broker.Refusal](err); !ok {
			t.Errorf("%s: got %v, want a refusal", a.name, err)
		}
	}
}

// TestFilesOfWords: a compiler proper reads words from a file where its driver
// sees the name of a directory, and no word of the job is one that is refused.
func TestFilesOfWords(t *testing.T) {
	for _, a := range []attack{
		{"joined", "gcc-12", file("/w/words", "x -DEVIL"), "-I@words", "", true},
		{"a root", "gcc-12", file("/w/words", "x -DEVIL"), "--sysroot=@words", "", true},
		{"handed on", "gcc-12", file("/w/words", "x -DEVIL"), "-Wp,-I,@words", "", true},
		{"joined, clang", "clang-14", file("/w/words", "x -DEVIL"), "-I@words", "", true},
		{"beside a letter", "gcc-12", file("/w/words", "x -DEVIL"), "-Iw@words", "", false},
	} {
		h := newWalled(t, "/usr/bin/"+a.driver)
		honest := strings.ReplaceAll(a.words, "@words", "@none")
		evil, plain := unguarded(t, h, a.job(t, h, true)), unguarded(t, h, attack{driver: a.driver, words: honest}.job(t, h, false))
		same := evil == plain

		if same == a.works {
			t.Errorf("%s: without a rule it works: %t", a.name, !same)
		}
		_, err := h.Run(t.Context(), a.job(t, h, true))
		if r, refused := errors.AsType[*broker.Refusal](err); refused != a.works || refused && r.Reason != ReasonRejected {
			t.Errorf("%s: got %v", a.name, err)
		}
	}
	if err := admitWritten([]string{"-c", "a@b", "@words"}); err == nil {
		t.Error("a word that is a file of words is written")
	}
}

func (a attack) job(t *testing.T, h *Helper, evil bool) *broker.Job {
	tc := nativeOf(t, h)
	j := &broker.Job{
		Name: a.driver, Identity: tc.Identity, Fingerprint: tc.Fingerprint, Dir: "/w", Form: broker.Tree,
		Args: append(strings.Fields(a.words), "-c", "a.c", "-o", "out.o"), Outputs: []string{"out.o"},
		Root: treeOf("/w/a.c", evilSource, "/w/h.h", "int h;\n"),
	}
	if a.env != "" {
		j.Env = []string{a.env}
	}
	// Where honest headers of such a machine are: the way to specs exists.
	j.Root.Mkdir("/usr/lib/gcc/x86_64-linux-gnu/12/include")
	if evil {
		a.plant(t, j.Root)
	}
	return j
}

// unguarded is what the compiler says when nobody looks at the tree before; ""
// when the sandbox refuses it.
func unguarded(t *testing.T, h *Helper, j *broker.Job) string {
	t.Helper()
	d, _ := argv.ParseDriver(j.Name)
	p := &plan{job: j, cmd: argv.Parse(j.Args, argv.Env{Driver: d, Family: j.Identity.Family}), env: append([]string{"TMPDIR=/tmp"}, j.Env...)}
	if err := p.write(); err != nil {
		t.Fatal(err)
	}
	res, err := h.compile(t.Context(), catalog.Located{Toolchain: nativeOf(t, h), SearchPath: "/usr/bin"}, p)
	if r, ok := errors.AsType[*broker.Refusal](err); ok && r.Reason == ReasonTreeClosed {
		return ""
	}
	if err != nil {
		return err.Error()
	}
	return string(res.Stderr)
}

// plantConverter has the C library load a library for the character set EVIL.
func plantConverter(t *testing.T, root *broker.Dir) {
	dir := t.TempDir()
	source := "__attribute__((constructor)) static void evil(void) { __builtin_puts(\"\"); __builtin_trap(); }\nint gconv(void) { return 0; }\nint gconv_init(void) { return 0; }\n"
	if err := os.WriteFile(dir+"/e.c", []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	compile(t, dir, "gcc-12", "-shared", "-fPIC", "-w", "-o", "evil.so", "e.c")
	b, err := os.ReadFile(dir + "/evil.so")
	if err != nil {
		t.Fatal(err)
	}
	const gconv = "/usr/lib/x86_64-linux-gnu/gconv/"
	root.Put(gconv+"EVIL.so", broker.File{Blob: broker.BytesBlob(b)})
	file(gconv+"gconv-modules", "module EVIL// INTERNAL EVIL 1\nmodule INTERNAL EVIL// EVIL 1\n")(t, root)
}

func compile(t *testing.T, dir, driver string, words ...string) {
	t.Helper()
	cmd := exec.Command(driver, words...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", driver, words, err, out)
	}
}

// precompiled is a header that defines EVIL, in gcc's form.
func precompiled(t *testing.T) []byte {
	return precompile(t, "gcc-12", "-nostdinc", "-x", "c-header", "h.h", "-o", "out")
}

func precompiledClang(t *testing.T) []byte {
	return precompile(t, "clang-14", "-x", "c-header", "h.h", "-o", "out")
}

func precompile(t *testing.T, driver string, words ...string) []byte {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "h.h"), []byte("#define EVIL\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	compile(t, dir, driver, words...)
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// catalogue is a gettext catalogue with one message of gcc's parser.
func catalogue(t *testing.T) []byte {
	from, to := "%qE undeclared here (not in a function)", "evil %qE"
	b := binary.LittleEndian.AppendUint32(nil, 0x950412de)
	text := from + "\x00" + to + "\x00"
	for _, n := range []int{0, 1, 28, 36, 0, 44, len(from), 44, len(to), 44 + len(from) + 1} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	b = append(b, text...)
	if len(b) != 44+len(text) {
		t.Fatal(io.ErrShortBuffer)
	}
	return b
}
