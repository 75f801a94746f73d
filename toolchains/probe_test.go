package toolchains

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/rootfs"
	"github.com/crosscc/crosscc/toolchains/triple"
)

func TestProbeIdentities(t *testing.T) {
	all := []argv.Language{argv.C, argv.CXX, argv.ObjC, argv.ObjCXX}
	for _, tc := range []struct {
		program, target string
		want            Identity // digests are not compared; Package by its beginning
		languages       []argv.Language
	}{
		{"gcc-12", "", Identity{Family: argv.GCC, Target: "x86_64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14"}, all[:3]},
		{"gcc-11", "", Identity{Family: argv.GCC, Target: "x86_64-linux-gnu", Version: "11.3.0", Package: "Debian 11.3.0-"}, all[:2]},
		{"aarch64-linux-gnu-gcc-12", "", Identity{Family: argv.GCC, Target: "aarch64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14"}, all[:2]},
		{"aarch64-linux-gnu-gcc-11", "", Identity{Family: argv.GCC, Target: "aarch64-linux-gnu", Version: "11.3.0", Package: "Debian 11.3.0-"}, nil},
		{"riscv64-linux-gnu-gcc", "", Identity{Family: argv.GCC, Target: "riscv64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-13"}, nil},
		{"clang-14", "", Identity{Family: argv.Clang, Target: "x86_64-linux-gnu", Version: "14.0.6", Package: "Debian 14.0.6"}, all},
		{"clang-14", "aarch64-linux-gnu", Identity{Family: argv.Clang, Target: "aarch64-linux-gnu", Version: "14.0.6", Package: "Debian 14.0.6"}, all},
	} {
		t.Run(tc.program+tc.target, func(t *testing.T) {
			h := newHost(t)
			start := time.Now()
			got := h.probe(t, tc.program, tc.target)
			t.Logf("%s: %d programs run, %v, %v", got, h.runs.Load(), time.Since(start), got.Programs)
			if got.Family != tc.want.Family || got.Target != tc.want.Target || got.Version != tc.want.Version || !strings.HasPrefix(got.Package, tc.want.Package) {
				t.Errorf("identity %+v, want %+v", got.Identity, tc.want)
			}
			if len(got.Defaults) != 64 || (got.Libm != "") != (got.Family == argv.Clang) {
				t.Errorf("defaults %q, libm %q", got.Defaults, got.Libm)
			}
			if gnu := strings.HasPrefix(got.Assembler, "GNU assembler (GNU Binutils for Debian) 2.40"); gnu != (got.Family == argv.GCC) {
				t.Errorf("assembler %q", got.Assembler)
			}
			if !slices.Contains(got.Languages, argv.C) || tc.languages != nil && !slices.Equal(got.Languages, tc.languages) {
				t.Errorf("languages %v, want %v", got.Languages, tc.languages)
			}
			if h.runs.Load() > 6 {
				t.Errorf("%d programs were run", h.runs.Load())
			}
			for _, p := range got.Programs {
				if _, err := os.Stat(p); err != nil || filepath.Clean(p) != p {
					t.Errorf("program %s: %v", p, err)
				}
			}
		})
	}
}

func TestProbeAgreesWithDriver(t *testing.T) {
	for _, name := range []string{"gcc-12", "g++-11", "aarch64-linux-gnu-gcc-11", "riscv64-linux-gnu-gcc", "clang-14"} {
		h := newHost(t)
		tc := h.probe(t, name, "")
		machine, err := h.Run(t.Context(), drivers.Program{Path: need(t, name), Args: []string{"-dumpmachine"}})
		if err != nil || !triple.Same(firstLine(machine.Stdout), tc.Target) {
			t.Errorf("%s: target %s, -dumpmachine %s, %v", name, tc.Target, machine.Stdout, err)
		}
		flag := map[argv.Family]string{argv.GCC: "-dumpfullversion", argv.Clang: "-dumpversion"}[tc.Family]
		version, err := h.Run(t.Context(), drivers.Program{Path: need(t, name), Args: []string{flag}})
		if err != nil || firstLine(version.Stdout) != tc.Version {
			t.Errorf("%s: version %s, %s %s, %v", name, tc.Version, flag, version.Stdout, err)
		}
	}
}

// Every driver of a toolchain, links and wrapper scripts with it, has one
// identity and one fingerprint of its compilers.
func TestDriversOfOneToolchain(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	write(t, dir+"/gcc", "#!/bin/sh\nexec gcc-12 \"$@\"\n", 0o755)
	write(t, dir+"/g++", "#!/bin/sh\nexec g++-12 \"$@\"\n", 0o755)
	for _, group := range [][]string{
		{"gcc-12", "g++-12", "gcc", "cc", "c++", "x86_64-linux-gnu-g++-12", dir + "/gcc", dir + "/g++"},
		{"gcc-11", "g++-11"},
		{"aarch64-linux-gnu-gcc-12", "aarch64-linux-gnu-g++-12", "aarch64-linux-gnu-gcc"},
		{"clang-14", "clang++-14", "/usr/lib/llvm-14/bin/clang"},
	} {
		first := h.probe(t, group[0], "")
		for _, name := range group[1:] {
			tc := h.probe(t, name, "")
			if tc.Identity != first.Identity {
				t.Errorf("%s is %+v, %s is %+v", name, tc.Identity, group[0], first.Identity)
			}
			for _, role := range []string{"cc1", "cc1plus", "as", "objcopy"} {
				if tc.Fingerprint[role] != first.Fingerprint[role] {
					t.Errorf("%s and %s differ in %s", name, group[0], role)
				}
			}
		}
	}
	if tc := h.probe(t, "g++-12", ""); tc.Path != "/usr/bin/gcc-12" || tc.CXXPath != "/usr/bin/g++-12" {
		t.Errorf("drivers of g++-12: %q and %q", tc.Path, tc.CXXPath)
	}
	a, b := h.probe(t, dir+"/gcc", ""), h.probe(t, dir+"/g++", "")
	for _, role := range []string{"driver", "driver++"} {
		if a.Fingerprint[role] == "" || a.Fingerprint[role] != b.Fingerprint[role] {
			t.Errorf("%s of the scripts: %q and %q", role, a.Fingerprint[role], b.Fingerprint[role])
		}
	}
}

func TestIdentitiesThatDiffer(t *testing.T) {
	h := newHost(t)
	gcc := h.probe(t, "gcc-12", "")
	dir := t.TempDir()
	write(t, dir+"/gcc", "#!/bin/sh\nexec gcc-12 -fno-pie -march=x86-64-v2 \"$@\"\n", 0o755)
	if tc := h.probe(t, dir+"/gcc", ""); tc.Defaults == gcc.Defaults {
		t.Error("a driver with other defaults has the same identity")
	}
	// A libm that folds otherwise, here without FMA, is another clang.
	plain := newHost(t, "GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4")
	with, without := h.probe(t, "clang-14", ""), plain.probe(t, "clang-14", "")
	if cpu, _ := os.ReadFile("/proc/cpuinfo"); strings.Contains(string(cpu), " fma ") && with.Libm == without.Libm {
		t.Error("clang with and without FMA has the same libm fingerprint")
	}
	if with.Defaults != without.Defaults {
		t.Error("defaults depend on the CPU")
	}
}

// clang is one compiler with all its targets: only Target differs.
func TestClangIsOneCompiler(t *testing.T) {
	h := newHost(t)
	native := h.probe(t, "clang-14", "")
	for _, target := range []string{"aarch64-unknown-linux-gnu", "arm-linux-gnueabihf", "riscv64-linux-gnu", "x86_64-w64-mingw32", "avr"} {
		tc := h.probe(t, "clang-14", target)
		want := native.Identity
		if want.Target = triple.Canonical(target); tc.Identity != want {
			t.Errorf("%s: %+v, want %+v", target, tc.Identity, want)
		}
	}
}

// A configuration file for one target changes what clang does for it unasked,
// and appears without any program changing.
func TestClangConfiguration(t *testing.T) {
	h := newHost(t)
	// clang looks beside its own file, links followed.
	driver := t.TempDir() + "/aarch64-linux-gnu-clang"
	data, err := os.ReadFile(need(t, "clang-14"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, driver, string(data), 0o755)
	c := settledCache("")
	plain, err := c.Probe(t.Context(), h.System, driver, "")
	if err != nil || plain.Target != "aarch64-linux-gnu" {
		t.Fatal(plain, err)
	}
	if bare := h.probe(t, "clang-14", "aarch64-linux-gnu"); bare.Identity != plain.Identity {
		t.Errorf("%+v by its name is %+v by --target", plain.Identity, bare.Identity)
	}
	write(t, driver+".cfg", "-fstack-protector-strong\n", 0o644)
	if tc, err := c.Probe(t.Context(), h.System, driver, ""); err != nil || tc.Defaults == plain.Defaults {
		t.Errorf("a configuration file was not noticed, %v", err)
	}
}

// A sibling of another toolchain is no part of this one.
func TestProbeForeignSibling(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/gcc", "#!/bin/sh\nexec gcc-12 \"$@\"\n", 0o755)
	write(t, dir+"/g++", "#!/bin/sh\nexec g++-11 \"$@\"\n", 0o755)
	if tc := newHost(t).probe(t, dir+"/gcc", ""); tc.CXXPath != "" || tc.Version != "12.2.0" {
		t.Errorf("g++ 11 counts as part of %s: %s", tc, tc.CXXPath)
	}
}

func TestProbeErrors(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	write(t, dir+"/gcc", "#!/bin/sh\necho hello >&2\n", 0o755)
	for _, tc := range []struct{ path, target, want string }{
		{dir + "/gcc", "", `is neither gcc nor clang: it answers -### with "hello"`},
		{dir + "/absent-gcc", "", "no such file"},
		{"gcc", "", "no absolute path"},
		{need(t, "gcc-12"), "aarch64-linux-gnu", "takes no --target=aarch64-linux-gnu"},
		{need(t, "clang-14"), "nosuch-linux-gnu", "clang 14.0.6 built without nosuch-linux-gnu"},
	} {
		if _, err := Probe(t.Context(), h.System, tc.path, tc.target); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Probe(%s, %q) = %v, want %q", tc.path, tc.target, err, tc.want)
		}
	}
}

func TestFingerprintLibraries(t *testing.T) {
	tc := newHost(t).probe(t, "clang-14", "riscv64-linux-gnu")
	for _, role := range []string{"driver", "driver++", "lib:libclang-cpp.so.14", "lib:libLLVM-14.so.1"} {
		if tc.Fingerprint[role] == "" {
			t.Errorf("no %s in %v", role, tc.Fingerprint)
		}
	}
	tc = newHost(t).probe(t, "gcc-12", "")
	for role := range tc.Fingerprint {
		if strings.HasPrefix(role, "lib:libc.so") {
			t.Errorf("the C library is in the fingerprint: %s", role)
		}
	}
	if tc.Fingerprint["lib:libmpfr.so.6"] == "" {
		t.Errorf("no libmpfr in %v", tc.Fingerprint)
	}
}

func TestPrograms(t *testing.T) {
	h := newHost(t)
	got, err := Programs(t.Context(), h.System, need(t, "aarch64-linux-gnu-gcc-12"))
	want := []string{"/usr/aarch64-linux-gnu/bin/as", "/usr/aarch64-linux-gnu/bin/objcopy", "/usr/bin/aarch64-linux-gnu-g++-12", "/usr/bin/aarch64-linux-gnu-gcc-12",
		"/usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1", "/usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1plus"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Programs = %q, %v, want %q", got, err, want)
	}
}

func TestClangWords(t *testing.T) {
	h := newHost(t)
	got, err := ClangWords(t.Context(), h.System, need(t, "clang-14"), []string{"--target=aarch64-linux-gnu", "-march=armv8.1-a", "-O2"})
	if err != nil || !slices.Contains(got, "+v8.1a") || !slices.Contains(got, "+outline-atomics") {
		t.Errorf("features %q, %v (outline-atomics comes with gcc-12-aarch64-linux-gnu)", got, err)
	}
	for _, tc := range [][2]string{
		{"-ffast-math", "-fdenormal-fp-math=preserve-sign,preserve-sign"}, // crtfastmath.o comes with gcc-12
		{"-Ofast --gcc-toolchain=/nosuch", "-fdenormal-fp-math=ieee,ieee"},
	} {
		got, err := ClangWords(t.Context(), h.System, need(t, "clang-14"), strings.Fields(tc[0]))
		if err != nil || !slices.Contains(got, tc[1]) {
			t.Errorf("%s has %q, %v, want %s", tc[0], got, err, tc[1])
		}
	}
	if got, err := ClangWords(t.Context(), h.System, need(t, "clang-14"), []string{"-mnosuch"}); err == nil {
		t.Errorf("features of an unknown word: %q", got)
	}
}

// Whatever lies in a compiler's place, a probe neither hangs nor eats memory.
func TestProberReadsFilesOnly(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/large", "", 0o755)
	if err := os.Truncate(dir+"/large", 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(dir+"/fifo", 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := rootfs.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	p := newProber(drivers.System{Root: r}, nil)
	if p.executable("/fifo") || p.executable("/") || !p.executable("/large") {
		t.Error("executable is not only for regular files")
	}
	if libs := p.libraries("/large"); len(libs) > 0 {
		t.Errorf("libraries of 1 GiB of zeros: %v", libs)
	}
	if sum, err := p.digests.file(t.Context(), r, "/large"); err != nil || len(sum) != 64 {
		t.Errorf("digest of 1 GiB: %q, %v", sum, err)
	}
	if _, err := p.digests.file(t.Context(), r, "/fifo"); err == nil {
		t.Error("a FIFO has a digest")
	}
}
