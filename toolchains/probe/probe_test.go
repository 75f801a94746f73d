package probe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
	"github.com/crosscc/crosscc/toolchains/rootfs"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// probed asks a compiler on PATH.
func probed(t *testing.T, h *drivertest.Host, program, target string) toolchains.Toolchain {
	t.Helper()
	tc, err := Toolchain(t.Context(), h.System, drivertest.Need(t, program), target)
	if err != nil {
		t.Fatal(err)
	}
	return tc
}

func TestProbeIdentities(t *testing.T) {
	all := []argv.Language{argv.C, argv.CXX, argv.ObjC, argv.ObjCXX}
	for _, tc := range []struct {
		program, target string
		want            toolchains.Identity // digests are not compared; Package by its beginning
		languages       []argv.Language
	}{
		{"gcc-12", "", toolchains.Identity{Family: argv.GCC, Target: "x86_64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14"}, all[:3]},
		{"gcc-11", "", toolchains.Identity{Family: argv.GCC, Target: "x86_64-linux-gnu", Version: "11.3.0", Package: "Debian 11.3.0-"}, all[:2]},
		{"aarch64-linux-gnu-gcc-12", "", toolchains.Identity{Family: argv.GCC, Target: "aarch64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14"}, all[:2]},
		{"aarch64-linux-gnu-gcc-11", "", toolchains.Identity{Family: argv.GCC, Target: "aarch64-linux-gnu", Version: "11.3.0", Package: "Debian 11.3.0-"}, nil},
		{"riscv64-linux-gnu-gcc", "", toolchains.Identity{Family: argv.GCC, Target: "riscv64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-13"}, nil},
		{"clang-14", "", toolchains.Identity{Family: argv.Clang, Target: "x86_64-linux-gnu", Version: "14.0.6", Package: "Debian 14.0.6"}, all},
		{"clang-14", "aarch64-linux-gnu", toolchains.Identity{Family: argv.Clang, Target: "aarch64-linux-gnu", Version: "14.0.6", Package: "Debian 14.0.6"}, all},
	} {
		t.Run(tc.program+tc.target, func(t *testing.T) {
			h := drivertest.New(t)
			start := time.Now()
			got := probed(t, h, tc.program, tc.target)
			t.Logf("%s: %d programs run, %v, %v", got, h.Runs.Load(), time.Since(start), got.Programs)
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
			if h.Runs.Load() > 6 {
				t.Errorf("%d programs were run", h.Runs.Load())
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
		h := drivertest.New(t)
		tc := probed(t, h, name, "")
		machine, err := h.Run(t.Context(), drivers.Program{Path: drivertest.Need(t, name), Args: []string{"-dumpmachine"}})
		if err != nil || !triple.Same(drivers.FirstLine(machine.Stdout), tc.Target) {
			t.Errorf("%s: target %s, -dumpmachine %s, %v", name, tc.Target, machine.Stdout, err)
		}
		flag := map[argv.Family]string{argv.GCC: "-dumpfullversion", argv.Clang: "-dumpversion"}[tc.Family]
		version, err := h.Run(t.Context(), drivers.Program{Path: drivertest.Need(t, name), Args: []string{flag}})
		if err != nil || drivers.FirstLine(version.Stdout) != tc.Version {
			t.Errorf("%s: version %s, %s %s, %v", name, tc.Version, flag, version.Stdout, err)
		}
	}
}

// Every driver of a toolchain, links and wrapper scripts with it, has one
// identity and one fingerprint of its compilers.
func TestDriversOfOneToolchain(t *testing.T) {
	h := drivertest.New(t)
	dir := t.TempDir()
	drivertest.Write(t, dir+"/gcc", "#!/bin/sh\nexec gcc-12 \"$@\"\n", 0o755)
	drivertest.Write(t, dir+"/g++", "#!/bin/sh\nexec g++-12 \"$@\"\n", 0o755)
	for _, group := range [][]string{
		{"gcc-12", "g++-12", "gcc", "cc", "c++", "x86_64-linux-gnu-g++-12", dir + "/gcc", dir + "/g++"},
		{"gcc-11", "g++-11"},
		{"aarch64-linux-gnu-gcc-12", "aarch64-linux-gnu-g++-12", "aarch64-linux-gnu-gcc"},
		{"clang-14", "clang++-14", "/usr/lib/llvm-14/bin/clang"},
	} {
		first := probed(t, h, group[0], "")
		for _, name := range group[1:] {
			tc := probed(t, h, name, "")
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
	if tc := probed(t, h, "g++-12", ""); tc.Path != "/usr/bin/gcc-12" || tc.CXXPath != "/usr/bin/g++-12" {
		t.Errorf("drivers of g++-12: %q and %q", tc.Path, tc.CXXPath)
	}
	a, b := probed(t, h, dir+"/gcc", ""), probed(t, h, dir+"/g++", "")
	for _, role := range []string{"driver", "driver++"} {
		if a.Fingerprint[role] == "" || a.Fingerprint[role] != b.Fingerprint[role] {
			t.Errorf("%s of the scripts: %q and %q", role, a.Fingerprint[role], b.Fingerprint[role])
		}
	}
}

func TestIdentitiesThatDiffer(t *testing.T) {
	h := drivertest.New(t)
	gcc := probed(t, h, "gcc-12", "")
	dir := t.TempDir()
	drivertest.Write(t, dir+"/gcc", "#!/bin/sh\nexec gcc-12 -fno-pie -march=x86-64-v2 \"$@\"\n", 0o755)
	if tc := probed(t, h, dir+"/gcc", ""); tc.Defaults == gcc.Defaults {
		t.Error("a driver with other defaults has the same identity")
	}
	// A libm that folds otherwise, here without FMA, is another clang.
	plain := drivertest.New(t, "GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4")
	with, without := probed(t, h, "clang-14", ""), probed(t, plain, "clang-14", "")
	if cpu, _ := os.ReadFile("/proc/cpuinfo"); strings.Contains(string(cpu), " fma ") && with.Libm == without.Libm {
		t.Error("clang with and without FMA has the same libm fingerprint")
	}
	if with.Defaults != without.Defaults {
		t.Error("defaults depend on the CPU")
	}
}

// clang is one compiler with all its targets: only Target differs.
func TestClangIsOneCompiler(t *testing.T) {
	h := drivertest.New(t)
	native := probed(t, h, "clang-14", "")
	for _, target := range []string{"aarch64-unknown-linux-gnu", "arm-linux-gnueabihf", "riscv64-linux-gnu", "x86_64-w64-mingw32", "avr"} {
		tc := probed(t, h, "clang-14", target)
		want := native.Identity
		if want.Target = triple.Canonical(target); tc.Identity != want {
			t.Errorf("%s: %+v, want %+v", target, tc.Identity, want)
		}
	}
}

// A configuration file for one target changes what clang does for it unasked,
// and appears without any program changing.
func TestClangConfiguration(t *testing.T) {
	h := drivertest.New(t)
	// clang looks beside its own file, links followed.
	driver := t.TempDir() + "/aarch64-linux-gnu-clang"
	data, err := os.ReadFile(drivertest.Need(t, "clang-14"))
	if err != nil {
		t.Fatal(err)
	}
	drivertest.Write(t, driver, string(data), 0o755)
	h.Cache = drivertest.Settled("")
	plain, err := Toolchain(t.Context(), h.System, driver, "")
	if err != nil || plain.Target != "aarch64-linux-gnu" {
		t.Fatal(plain, err)
	}
	if bare := probed(t, h, "clang-14", "aarch64-linux-gnu"); bare.Identity != plain.Identity {
		t.Errorf("%+v by its name is %+v by --target", plain.Identity, bare.Identity)
	}
	drivertest.Write(t, driver+".cfg", "-fstack-protector-strong\n", 0o644)
	if tc, err := Toolchain(t.Context(), h.System, driver, ""); err != nil || tc.Defaults == plain.Defaults {
		t.Errorf("a configuration file was not noticed, %v", err)
	}
}

// A sibling of another toolchain is no part of this one.
func TestProbeForeignSibling(t *testing.T) {
	dir := t.TempDir()
	drivertest.Write(t, dir+"/gcc", "#!/bin/sh\nexec gcc-12 \"$@\"\n", 0o755)
	drivertest.Write(t, dir+"/g++", "#!/bin/sh\nexec g++-11 \"$@\"\n", 0o755)
	if tc := probed(t, drivertest.New(t), dir+"/gcc", ""); tc.CXXPath != "" || tc.Version != "12.2.0" {
		t.Errorf("g++ 11 counts as part of %s: %s", tc, tc.CXXPath)
	}
}

func TestProbeErrors(t *testing.T) {
	h := drivertest.New(t)
	dir := t.TempDir()
	drivertest.Write(t, dir+"/gcc", "#!/bin/sh\necho hello >&2\n", 0o755)
	for _, tc := range []struct{ path, target, want string }{
		{dir + "/gcc", "", `is neither gcc nor clang: it answers -### with "hello"`},
		{dir + "/absent-gcc", "", "no such file"},
		{"gcc", "", "no absolute path"},
		{drivertest.Need(t, "gcc-12"), "aarch64-linux-gnu", "takes no --target=aarch64-linux-gnu"},
		{drivertest.Need(t, "clang-14"), "nosuch-linux-gnu", "clang 14.0.6 built without nosuch-linux-gnu"},
	} {
		if _, err := Toolchain(t.Context(), h.System, tc.path, tc.target); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Toolchain(%s, %q) = %v, want %q", tc.path, tc.target, err, tc.want)
		}
	}
}

func TestFingerprintLibraries(t *testing.T) {
	tc := probed(t, drivertest.New(t), "clang-14", "riscv64-linux-gnu")
	for _, role := range []string{"driver", "driver++", "lib:libclang-cpp.so.14", "lib:libLLVM-14.so.1"} {
		if tc.Fingerprint[role] == "" {
			t.Errorf("no %s in %v", role, tc.Fingerprint)
		}
	}
	tc = probed(t, drivertest.New(t), "gcc-12", "")
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
	h := drivertest.New(t)
	got, err := Programs(t.Context(), h.System, drivertest.Need(t, "aarch64-linux-gnu-gcc-12"))
	want := []string{"/usr/aarch64-linux-gnu/bin/as", "/usr/aarch64-linux-gnu/bin/objcopy", "/usr/bin/aarch64-linux-gnu-g++-12", "/usr/bin/aarch64-linux-gnu-gcc-12",
		"/usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1", "/usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1plus"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Programs = %q, %v, want %q", got, err, want)
	}
}

// Whatever lies in a compiler's place, a probe neither hangs nor eats memory.
func TestProberReadsFilesOnly(t *testing.T) {
	dir := t.TempDir()
	drivertest.Write(t, dir+"/large", "", 0o755)
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
	p := &prober{Asker: drivers.NewAsker(drivers.System{Root: r})}
	if p.Executable("/fifo") || p.Executable("/") || !p.Executable("/large") {
		t.Error("Executable is not only for regular files")
	}
	if libs := p.libraries("/large"); len(libs) > 0 {
		t.Errorf("libraries of 1 GiB of zeros: %v", libs)
	}
	if sum, err := p.Digest(t.Context(), "/large"); err != nil || len(sum) != 64 {
		t.Errorf("digest of 1 GiB: %q, %v", sum, err)
	}
	if _, err := p.Digest(t.Context(), "/fifo"); err == nil {
		t.Error("a FIFO has a digest")
	}
}

// Targets that clang names otherwise than triples do.
func TestClangCanTarget(t *testing.T) {
	real := probed(t, drivertest.New(t), "clang-14", "")
	for _, arch := range []string{
		"x86_64", "i686", "aarch64", "aarch64_be", "arm", "powerpc", "powerpc64", "powerpc64le", "powerpcle", "s390x", "mips",
		"mipsel", "mips64", "mips64el", "sparc64", "avr", "msp430", "bpf", "riscv64", "riscv32",
	} {
		if name := arch + "-linux-gnu"; !real.CanTarget(name) {
			t.Errorf("clang 14 cannot %s, of %v", name, real.Targets)
		}
	}
	if !real.CanTarget("wasm32-wasi") {
		t.Error("clang 14 cannot wasm32")
	}
}
