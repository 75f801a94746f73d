package helper

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/native"
)

// resolve makes of native what an agent makes of it: words for gcc's specs, or a
// command without native and the words behind it. clang's have what it finds out.
func (c *client) resolve(tc toolchains.Toolchain, driver string, cmd *argv.Command) ([]string, *argv.Command) {
	c.t.Helper()
	d, _ := argv.ParseDriver(filepath.Base(driver))
	sys := drivers.System{Root: c.root, Run: c.run, Getenv: os.Getenv, Dir: c.dir, Cache: &c.probes}
	if !cmd.Native() {
		if tc.Family != argv.Clang {
			return nil, cmd
		}
		found, err := native.ClangWords(c.t.Context(), sys, tc.Fingerprint, driver, cmd.FeatureWords())
		if err != nil {
			c.t.Fatal(err)
		}
		return nil, argv.Parse(cmd.Explicit(found...), argv.Env{Driver: d})
	}
	q := native.Question{Path: driver, Of: tc, CPU: "this one", Words: cmd.NativeWords()}
	n, err := native.Ask(c.t.Context(), sys, q)
	if err != nil {
		c.t.Fatal(err)
	}
	if len(n.Specs) > 0 {
		return n.Specs, cmd
	}
	return nil, argv.Parse(cmd.Explicit(n.Words...), argv.Env{Driver: d})
}

// loops is code that a CPU's features, its tuning and the sizes of its caches
// move: loops to vectorise, counts of bits, a division, an atomic, a copy.
const loops = `
float f(float *a, float *b, int n) { float s = 0; for (int i = 0; i < n; i++) { a[i] += b[i] * 3; s += a[i] * b[i]; } return s; }
int g(unsigned *a, int n) { int s = 0; for (int i = 0; i < n; i++) s += __builtin_popcount(a[i]) + __builtin_ctz(a[i] | 1); return s; }
void h(char *a, const char *b, int n) { for (int i = 0; i < n; i++) a[i] = b[i] > 7 ? b[i] : -b[i]; }
double d(double x, long y) { return x / y + __builtin_sqrt(x); }
struct big { long x[40]; }; void k(struct big *a, struct big *b) { *a = *b; }
long m(long *p) { return __atomic_fetch_add(p, 3, 5); }
`

// vectors asks the preprocessor as well.
const vectors = loops + `
#ifdef __AVX512F__
int wide = 1;
#endif
`

// nativeMixes are uses of native among other words of gcc (X23).
var nativeMixes = []string{
	"-march=native",
	"-mtune=native",
	"-march=native -mtune=native",
	"-march=native -mtune=generic",
	"-march=native -mtune=skylake",
	"-march=native -mno-avx512f",
	"-mno-avx512f -march=native",
	"-mno-avx512f -mprefer-vector-width=128 -march=native -mno-fma",
	"-march=native -march=x86-64-v3 -mtune=native",
	"-march=x86-64 -march=native -msse4.2 -mavx",
	"-march=native -mno-avx2 -mtune=haswell -fno-tree-vectorize",
	"-march=haswell -mtune=native -mno-bmi -ffast-math",
	"-mcpu=native", // an old name of -mtune, of which gcc warns
}

// TestNativeGCC is 144 compiles and 12 more (X23): a helper that is told what native means
// makes the local object, debug information and recorded switches too. Words that
// an agent keeps at home are held against the driver with the helper's specs.
func TestNativeGCC(t *testing.T) {
	for _, driver := range []string{"/usr/bin/gcc-11", "/usr/bin/gcc-12"} {
		h := newWalled(t, driver)
		c := newClient(t, "a.c", vectors)
		for _, machine := range []string{"", " -m32"} {
			for _, level := range []string{"-O2", "-O3 -g", "-O2 -frecord-gcc-switches"} {
				for _, mix := range nativeMixes {
					words := strings.Fields(level + " " + mix + machine + " -c a.c")
					cmd := argv.Parse(words, argv.Env{Driver: argv.Driver{Family: argv.GCC}, Native: true})
					if cmd.Verdict().Remote {
						c.same(h, driver, words...)
						continue
					}
					told, _ := c.resolve(nativeOf(t, h), driver, cmd)
					c.sameWithSpecs(driver, &broker.Job{Native: told}, words)
				}
			}
		}
	}
}

// sameWithSpecs holds what a driver makes with the helper's specs against what it
// makes without.
func (c *client) sameWithSpecs(driver string, j *broker.Job, words []string) {
	c.t.Helper()
	var made [2][]byte
	for i, more := range [][]string{c.specs(j), nil} {
		out, err := c.run(c.t.Context(), drivers.Program{Path: driver, Args: slices.Concat(more, words, []string{"-o", "same.o"})})
		if err != nil || out.Status != 0 {
			c.t.Fatalf("%s %q: %v %s", driver, words, err, out.Stderr)
		}
		if made[i], err = os.ReadFile(c.dir + "/same.o"); err != nil {
			c.t.Fatal(err)
		}
	}
	if !bytes.Equal(made[0], made[1]) {
		c.t.Errorf("%s %q: the objects differ", driver, words)
	}
}

// specs writes the helper's specs file and gives the driver's word for it.
func (c *client) specs(j *broker.Job) []string {
	c.t.Helper()
	c.write("told", nativeTexts(j)[nativeFile])
	return []string{"-specs=" + c.dir + "/told"}
}

// clangMixes are uses of native among other words of clang (X24).
var clangMixes = append(slices.Clone(nativeMixes[:12]), "-march=native -mno-sse3 -mavx")

// TestNativeClang is 78 compiles (X24); those with -flto, which an agent may keep
// at home, are made with the words that a helper would get.
func TestNativeClang(t *testing.T) {
	const driver = "/usr/bin/clang-14"
	h := newWalled(t, driver)
	c := newClient(t, "a.c", vectors)
	for _, machine := range []string{"", " -m32"} {
		for _, level := range []string{"-O2", "-O3 -g", "-O3 -g -flto"} {
			for _, mix := range clangMixes {
				words := strings.Fields(level + " " + mix + machine + " -c a.c")
				env := argv.Env{Driver: argv.Driver{Family: argv.Clang}, Native: true}
				if argv.Parse(words, env).Verdict().Remote {
					c.same(h, driver, words...)
					continue
				}
				cmd := argv.Parse(words, env)
				_, explicit := c.resolve(nativeOf(t, h), driver, cmd)
				var extra []string
				if strings.Contains(level, "-flto") {
					extra = append(extra, "-flto")
				}
				c.sameBy(driver, explicit.Whole("same.o", "", extra...), append(words, "-o", "same.o"))
			}
		}
	}
}

// What clang finds out for -ffast-math rests on files that a helper does not show
// (X3), native or not.
func TestClangFastMath(t *testing.T) {
	const driver = "/usr/bin/clang-14"
	h := newWalled(t, driver)
	c := newClient(t, "a.c", vectors)
	for _, words := range []string{
		"-O3 -flto -ffast-math", "-Ofast -flto", "-O2 -flto -funsafe-math-optimizations", "-O2 -ffast-math -fdenormal-fp-math=positive-zero -flto",
		"-O2 -ffast-math -fno-fast-math -flto", "--target=aarch64-linux-gnu -O3 -flto -ffast-math", "--gcc-toolchain=/nosuch -O3 -flto -ffast-math", "-O3 -ffast-math",
	} {
		c.same(h, driver, strings.Fields(words+" -c a.c")...)
	}
}

// sameBy holds the objects of two command lines against each other.
func (c *client) sameBy(driver string, given, plain []string) {
	c.t.Helper()
	var made [2][]byte
	for i, words := range [][]string{given, plain} {
		out, err := c.run(c.t.Context(), drivers.Program{Path: driver, Args: words})
		if err != nil || out.Status != 0 {
			c.t.Fatalf("%s %q: %v %s", driver, words, err, out.Stderr)
		}
		if made[i], err = os.ReadFile(c.dir + "/same.o"); err != nil {
			c.t.Fatal(err)
		}
	}
	if !bytes.Equal(made[0], made[1]) {
		c.t.Errorf("%s %q and %q: the objects differ", driver, given, plain)
	}
}

// A client with another CPU than the helper's: what it says counts, and the helper
// does not look at its own.
func TestNativeOfAnotherCPU(t *testing.T) {
	const driver = "/usr/bin/gcc-12"
	h := newWalled(t, driver)
	c := newClient(t, "a.c", vectors)
	tc := nativeOf(t, h)
	objects := map[broker.Digest]bool{}
	for _, cpu := range []string{"skylake", "nehalem", "znver1"} {
		told := []string{"-march=" + cpu, "-mno-avx512f", "--param", "l1-cache-size=17", "--param", "l2-cache-size=171", "-mtune=" + cpu}
		for _, words := range []string{"-O3 -march=native -c a.c", "-O3 -mtune=generic -march=native -mno-fma -c a.c"} {
			j := c.job(tc, driver, strings.Fields(words)...)
			j.Native = told
			res, err := h.Run(t.Context(), j)
			if err != nil || res.ExitCode != 0 {
				t.Fatalf("%s: %v %s", words, err, res.Stderr)
			}
			objects[res.Outputs[0].Blob.Digest] = true

			// Without debug information the words may as well stand first.
			plain := slices.Concat(told, strings.Fields(strings.ReplaceAll(words, "-march=native", "")), []string{"-o", "same.o"})
			out, err := c.run(t.Context(), drivers.Program{Path: driver, Args: plain})
			if err != nil || out.Status != 0 {
				t.Fatalf("%q: %v %s", plain, err, out.Stderr)
			}
			data, err := os.ReadFile(c.dir + "/same.o")
			if err != nil || broker.DigestOf(data) != res.Outputs[0].Blob.Digest {
				t.Errorf("%s for %s: not the object of %q, %v", words, cpu, plain, err)
			}

			asked, err := c.run(t.Context(), drivers.Program{Path: driver, Args: slices.Concat(c.specs(j), j.Args, []string{"-###"})})
			if err != nil {
				t.Fatal(err)
			}
			cc1 := lineOf(t, string(asked.Stderr))
			if got := strings.ReplaceAll(cc1, `"`, ""); strings.Count(got, "cache-size=") != 2 || strings.Count(got, "-march=") != 1 ||
				!strings.Contains(got, " "+strings.Join(told, " ")+" ") || strings.Contains(got, "native") || strings.Contains(got, "detect") {
				t.Errorf("%s for %s: cc1 gets %s", words, cpu, cc1)
			}
		}
	}
	if len(objects) < 4 {
		t.Errorf("three CPUs have %d kinds of objects", len(objects))
	}
}

// lineOf is the line in the output of -### that runs cc1.
func lineOf(t *testing.T, text string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, " ") && strings.Contains(line, "/cc1 ") {
			return line
		}
	}
	t.Fatalf("no cc1 in %s", text)
	return ""
}

// What native means is part of the key, and a job that says too much or too little
// of it is refused.
func TestNativeIsKeyed(t *testing.T) {
	h := newHelper(t, nil)
	make := func(told string, words ...string) *broker.Job {
		j := job(t, h, loops)
		j.Args, j.Native = append(words, j.Args...), strings.Fields(told)
		return j
	}
	seen := map[broker.Digest]string{}
	for _, told := range []string{"-march=skylake", "-march=skylake -mno-avx", "-march=haswell", "-march=skylake --param l1-cache-size=32"} {
		for range 2 {
			res, err := h.Run(t.Context(), make(told, "-march=native"))
			if err != nil || res.ExitCode != 0 || res.Cached != (seen[res.Outputs[0].Blob.Digest] == told) {
				t.Fatalf("%s: cached %t, %v %s", told, res.Cached, err, res.Stderr)
			}
			seen[res.Outputs[0].Blob.Digest] = told
		}
	}
	for name, j := range map[string]*broker.Job{
		"nothing of it":     make("", "-march=native"),
		"no native":         make("-march=skylake", "-march=haswell"),
		"overridden native": make("-march=skylake", "-march=native", "-march=haswell"),
		"another option":    make("-march=skylake -fplugin=x", "-march=native"),
		"native":            make("-march=native", "-march=native"),
		"a spec":            make("-march=%:getenv(HOME)", "-march=native"),
	} {
		_, err := h.Run(t.Context(), j)
		if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != ReasonRejected {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	clang := newHelperWith(t, "/usr/bin/clang-14", nil)
	j := job(t, clang, loops)
	j.Name, j.Args, j.Native = "clang", append([]string{"-march=native"}, j.Args...), []string{"-march=skylake"}
	if _, err := clang.Run(t.Context(), j); err == nil {
		t.Error("a clang takes specs")
	}
}

// A gcc that has no such spec can't be told.
func TestNativeOfOtherTargets(t *testing.T) {
	h := newHelperWith(t, "/usr/bin/aarch64-linux-gnu-gcc-12", nil)
	j := job(t, h, loops)
	j.Name, j.Args, j.Native = "aarch64-linux-gnu-gcc", append([]string{"-mcpu=native"}, j.Args...), []string{"-mcpu=cortex-a72"}
	_, err := h.Run(t.Context(), j)
	if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != ReasonNative {
		t.Errorf("got %v, want a refusal because of %s", err, ReasonNative)
	}
	// Explicit words are an agent's for a gcc that works native out by itself.
	j.Args, j.Native = append([]string{"-O3", "-g", "-mcpu=neoverse-n1+crypto"}, j.Args[1:]...), nil
	if res, err := h.Run(t.Context(), j); err != nil || res.ExitCode != 0 {
		t.Errorf("explicit words: %v %s", err, res.Stderr)
	}
}
