package native

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
	"github.com/crosscc/crosscc/toolchains/probe"
)

// question is what an agent asks about a command's words.
func question(t *testing.T, h *drivertest.Host, driver string, words string) Question {
	t.Helper()
	tc, err := probe.Toolchain(t.Context(), h.System, drivertest.Need(t, driver), "")
	if err != nil {
		t.Fatal(err)
	}
	env := argv.Env{Driver: argv.Driver{Family: tc.Family}, Native: true}
	return Question{Path: drivertest.Need(t, driver), Of: tc, CPU: "this one", Words: argv.Parse(strings.Fields(words), env).NativeWords()}
}

// What the specs come to is what cc1 gets, in its order, for each use of native.
func TestNativeGCC(t *testing.T) {
	h := drivertest.New(t)
	for _, driver := range []string{"gcc-11", "gcc-12"} {
		for _, words := range []string{
			"-march=native", "-mtune=native", "-march=native -mtune=generic", "-march=native -m32", "-mno-avx512f -march=native -mtune=native",
			"-march=native -march=x86-64-v2 -mtune=native",
		} {
			n, err := Ask(t.Context(), h.System, question(t, h, driver, words+" -O2 -c a.c"))
			if err != nil {
				t.Fatalf("%s %s: %v", driver, words, err)
			}
			out, err := h.Run(t.Context(), drivers.Program{Path: driver, Args: append(strings.Fields(words), "-###", "-S", "-x", "c", "/dev/null")})
			if err != nil {
				t.Fatal(err)
			}
			cc1, _ := drivers.ReadReport(string(out.Stderr)).Program("cc1")
			if len(n.Specs) == 0 || len(n.Words) > 0 || !strings.Contains(strings.Join(cc1, " "), "/dev/null "+strings.Join(n.Specs, " ")+" -quiet") {
				t.Errorf("%s %s: got %q, cc1 gets %q", driver, words, n, cc1)
			}
		}
	}
}

// A compiler that does not know native says so itself, at home.
func TestNativeRefused(t *testing.T) {
	h := drivertest.New(t)
	for driver, words := range map[string]string{
		"aarch64-linux-gnu-gcc-12": "-mcpu=native", "riscv64-linux-gnu-gcc": "-march=native", "gcc-12": "-march=Native",
		"gcc-11": "-mcpu=native -mtune=generic", "clang-14": "--target=riscv64-linux-gnu -march=native",
	} {
		n, err := Ask(t.Context(), h.System, question(t, h, driver, words+" -c a.c"))
		if err == nil {
			t.Errorf("%s %s means %q", driver, words, n)
		}
	}
	n, err := Ask(t.Context(), h.System, question(t, h, "clang-14", "-mcpu=native -c a.c"))
	if err == nil || !strings.Contains(err.Error(), "native") {
		t.Errorf("clang warns of -mcpu=native on x86, and it means %q, %v", n, err)
	}
}

func TestNativeClang(t *testing.T) {
	h := drivertest.New(t)
	for words, want := range map[string]string{
		"-march=native":                "-march=",
		"-mtune=native":                "-march=x86-64 -mtune=",
		"-march=native -mtune=generic": " -mtune=generic",
		"-march=native -m32":           "-march=",
	} {
		n, err := Ask(t.Context(), h.System, question(t, h, "clang-14", words+" -c a.c"))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(n.Words, " ")
		if !strings.Contains(got, want) || strings.Contains(got, "native") || len(n.Specs) > 0 {
			t.Errorf("%s means %q, %q", words, n.Words, n.Specs)
		}
		if features := strings.Count(got, "-Xclang -target-feature -Xclang "); (features > 20) != strings.Contains(words, "march") {
			t.Errorf("%s has %d features: %q", words, features, got)
		}
	}
}

// selfDriver is a gcc that works native out before it reads specs, as that for
// arm64 does.
type selfDriver struct {
	adds  string // what else it works out by itself
	hides bool   // a word more for cc1 where native was said
	runs  int
}

func (d *selfDriver) run(_ context.Context, p drivers.Program) (drivers.Output, error) {
	if slices.Contains(p.Args, "-dumpspecs") {
		return drivers.Output{Stdout: []byte("*cc1:\n%{profile:-p}\n\n*cc1_cpu:\n\n\n")}, nil
	}
	d.runs++
	var options []string
	native := false
	for _, w := range p.Args {
		if native = native || w == "-mcpu=native"; w != "-mcpu=native" && w != "-###" {
			options = append(options, w)
		}
	}
	if d.adds != "" && !slices.Contains(options, d.adds) {
		options = append(options, d.adds)
	}
	if native {
		options = append(options, "-mcpu=neoverse-n1+crypto")
	}
	var machine []string
	for _, w := range options {
		if strings.HasPrefix(w, "-m") {
			machine = append(machine, w)
		}
	}
	if d.hides && native {
		machine = append(machine, "-mhidden")
	}
	text := fmt.Sprintf("COLLECT_GCC_OPTIONS='%s'\n /usr/lib/cc1 -quiet %s -o -\n as -o /dev/null\n", strings.Join(options, "' '"), strings.Join(machine, " "))
	return drivers.Output{Stderr: []byte(text)}, nil
}

func TestNativeSelf(t *testing.T) {
	h := drivertest.New(t)
	for name, tc := range map[string]struct {
		driver selfDriver
		words  string
		want   string
	}{
		"plain":                       {selfDriver{}, "-mcpu=native", "-mcpu=neoverse-n1+crypto"},
		"among others":                {selfDriver{}, "-mabi=lp64 -mcpu=native -mno-outline-atomics", "-mcpu=neoverse-n1+crypto"},
		"with a default behind it":    {selfDriver{adds: "-mlittle-endian"}, "-mcpu=native", "-mlittle-endian -mcpu=neoverse-n1+crypto"},
		"with a word that it hides":   {selfDriver{hides: true}, "-mcpu=native", ""},
		"another that it rejects too": {selfDriver{}, "-mtune=native", ""},
	} {
		h.Run = tc.driver.run
		q := Question{Path: "/usr/bin/gcc", Words: strings.Fields(tc.words)}
		n, err := Ask(t.Context(), h.System, q)
		if got := strings.Join(n.Words, " "); tc.want != "" && (err != nil || got != tc.want) || tc.want == "" && err == nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tc.want)
		}
	}
}

func TestCPUSpec(t *testing.T) {
	const known = "%{march=native:%>march=native %:local_cpu_detect(arch %{!m32:64;:32})   %{!mtune=*:%>mtune=native %:local_cpu_detect(tune %{!m32:64;:32})}} %{mtune=native:%>mtune=native %:local_cpu_detect(tune %{!m32:64;:32})}"
	dump := func(cpu, cc1 string) string {
		return "*asm:\n%{m32:--32}\n\n*cc1_cpu:\n" + cpu + "\n\n*cc1:\n" + cc1 + "\n\n"
	}
	for name, tc := range map[string]struct {
		dump, want string
		bad        bool
	}{
		"x86":                       {dump(known, "%(cc1_cpu) %{profile:-p}"), known, false},
		"a cross gcc":               {dump("", "%(cc1_cpu)"), "", false},
		"nothing":                   {"", "", false},
		"another spec asks, too":    {dump(known, "%(cc1_cpu)") + "*asm_cpu:\n%:local_cpu_detect(asm)\n\n", "", true},
		"only another spec asks":    {dump("", "%(cc1_cpu) %:local_cpu_detect(cpu)"), "", true},
		"nobody uses it":            {dump(known, "%{profile:-p}"), "", true},
		"a condition on the source": {dump(known+"%{O*:%:local_cpu_detect(tune)}", "%(cc1_cpu)"), "", true},
		"a file is read":            {dump(known+" %:include(x)", "%(cc1_cpu)"), "", true},
		"the environment":           {dump(known+" %:getenv(X y)", "%(cc1_cpu)"), "", true},
		"an alternative":            {dump(known+" %{m32|g:-mx}", "%(cc1_cpu)"), "", true},
	} {
		if got, err := cpuSpecOf(tc.dump); got != tc.want || (err != nil) != tc.bad {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// One process for each compiler, CPU and set of words, now and after a restart;
// none that another CPU or compiler answered.
func TestNativeCache(t *testing.T) {
	h := drivertest.New(t)
	dir := t.TempDir()
	asked := 0
	sys := h.System
	sys.Run = func(ctx context.Context, p drivers.Program) (drivers.Output, error) {
		if slices.Contains(p.Args, "-###") {
			asked++
		}
		return h.Run(ctx, p)
	}
	gcc := question(t, h, "gcc-12", "-march=native -c a.c")
	clang := question(t, h, "clang-14", "-march=native -O2 -c a.c")
	for _, step := range []struct {
		name string
		ask  Question
		with func(*Question)
		runs int
	}{
		{"first", gcc, nil, 1},
		{"other words", gcc, func(q *Question) { q.Words = append(slices.Clone(q.Words), "-m32") }, 1},
		{"another CPU", gcc, func(q *Question) { q.CPU = "that one" }, 1},
		{"another compiler", gcc, func(q *Question) { q.Of.Fingerprint = toolchains.Fingerprint{"cc1": "1"} }, 1},
		{"clang", clang, nil, 1},
		{"clang on another CPU", clang, func(q *Question) { q.CPU = "that one" }, 1},
	} {
		if step.with != nil {
			step.with(&step.ask)
		}
		memory := drivertest.Settled(dir)
		var first Answer
		for i := range 1000 {
			before := asked
			sys.Cache = memory
			if i == 999 {
				sys.Cache = drivertest.Settled(dir) // as after a restart
			}
			n, err := Ask(t.Context(), sys, step.ask)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = n
			}
			if !slices.Equal(n.Specs, first.Specs) || !slices.Equal(n.Words, first.Words) {
				t.Fatalf("%s: %+v after %+v", step.name, n, first)
			}
			if want := step.runs; i == 0 && asked-before != want || i > 0 && asked != before {
				t.Fatalf("%s, time %d: %d processes", step.name, i+1, asked-before)
			}
		}
	}
}

func TestCPUIdentity(t *testing.T) {
	core := func(n, mhz, model, flags string) string {
		return "processor\t: " + n + "\nmodel name\t: " + model + "\ncpu MHz\t\t: " + mhz + "\napicid\t: " + n + "\nflags\t\t: " + flags + "\npower management:\n\n"
	}
	base := core("0", "1000", "P", "avx2") + core("1", "2000", "P", "avx2") + core("2", "1000", "E", "avx2")
	for name, tc := range map[string]struct {
		text string
		same bool
	}{
		"other clocks, and a core less": {core("0", "3000", "P", "avx2") + core("2", "900", "E", "avx2"), true},
		"another order":                 {core("0", "1", "E", "avx2") + core("1", "1", "P", "avx2"), true},
		"another flag of one core":      {core("0", "1000", "P", "avx2") + core("2", "1000", "E", "avx2 avx512f"), false},
		"one kind less":                 {core("0", "1000", "P", "avx2"), false},
		"another model":                 {core("0", "1000", "Q", "avx2") + core("2", "1000", "E", "avx2"), false},
	} {
		if got := cpuIdentity(tc.text) == cpuIdentity(base); got != tc.same {
			t.Errorf("%s: the same %t", name, got)
		}
	}
}

func TestCPUs(t *testing.T) {
	text, reads := "model: a\n", 0
	c := &CPUs{Read: func() ([]byte, error) { reads++; return []byte(text), nil }}
	first, err := c.Identity()
	if again, _ := c.Identity(); err != nil || first == "" || again != first || reads != 1 {
		t.Errorf("%q, %q, %v after %d reads", first, again, err, reads)
	}
	text, c.at = "model: b\n", time.Now().Add(-cpuRest)
	if now, err := c.Identity(); err != nil || now == first {
		t.Errorf("%q of another CPU, %v", now, err)
	}
	for _, bad := range []func() ([]byte, error){
		func() ([]byte, error) { return nil, errors.New("no /proc") },
		func() ([]byte, error) { return nil, nil },
	} {
		if id, err := (&CPUs{Read: bad}).Identity(); err == nil {
			t.Errorf("%q of what can't be read", id)
		}
	}
}
