// Command targets is `make e2e-targets`: each row of the triple table is held
// against the compilers that Debian has for it. They are unpacked into a directory,
// not installed. Each is asked for its name of the target and makes an object: the
// table must know the name, and the object must be of the kind that the table says,
// and of no other row's.
//
// Start with run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/crosscc/crosscc/e2e/debian"
	"github.com/crosscc/crosscc/e2e/site"
	"github.com/crosscc/crosscc/e2e/tool"
	"github.com/crosscc/crosscc/toolchains/triple"
)

func main() {
	os.Exit(tool.Main("targets", run))
}

// A compiler is one of Debian's.
type compiler struct {
	pkg     string
	program string
	words   string // that choose a target or an ABI
}

// compilers are in the order of the triple table.
func compilers() []compiler {
	list := []compiler{
		{"gcc-12", "gcc-12", ""}, {"gcc-12", "gcc-12", "-m32"}, {"gcc-12", "gcc-12", "-mx32"},
		{"gcc-12-x86-64-linux-gnux32", "x86_64-linux-gnux32-gcc-12", ""},
		{"gcc-mingw-w64-x86-64-win32", "x86_64-w64-mingw32-gcc-win32", ""}, {"gcc-mingw-w64-i686-win32", "i686-w64-mingw32-gcc-win32", ""},
		{"gcc-12-i686-linux-gnu", "i686-linux-gnu-gcc-12", ""}, {"gcc-12-i686-linux-gnu", "i686-linux-gnu-gcc-12", "-m64"},
	}
	for _, name := range strings.Fields("aarch64-linux-gnu arm-linux-gnueabihf arm-linux-gnueabi riscv64-linux-gnu " +
		"powerpc64le-linux-gnu powerpc64-linux-gnu powerpc-linux-gnu s390x-linux-gnu mips64el-linux-gnuabi64 mips64-linux-gnuabi64 " +
		"mipsel-linux-gnu mips-linux-gnu mipsisa32r6-linux-gnu mipsisa32r6el-linux-gnu mipsisa64r6-linux-gnuabi64 mipsisa64r6el-linux-gnuabi64 " +
		"sparc64-linux-gnu hppa-linux-gnu hppa64-linux-gnu m68k-linux-gnu sh4-linux-gnu alpha-linux-gnu arc-linux-gnu") {
		list = append(list, compiler{"gcc-12-" + name, name + "-gcc-12", ""})
	}
	list = append(list,
		compiler{"gcc-12-aarch64-linux-gnu", "aarch64-linux-gnu-gcc-12", "-mbig-endian"},
		compiler{"gcc-12-aarch64-linux-gnu", "aarch64-linux-gnu-gcc-12", "-mabi=ilp32"},
		compiler{"gcc-12-arm-linux-gnueabihf", "arm-linux-gnueabihf-gcc-12", "-mbig-endian"},
		compiler{"gcc-12-powerpc64-linux-gnu", "powerpc64-linux-gnu-gcc-12", "-m32"},
		compiler{"gcc-12-s390x-linux-gnu", "s390x-linux-gnu-gcc-12", "-m31"},
		compiler{"gcc-12-sparc64-linux-gnu", "sparc64-linux-gnu-gcc-12", "-m32"},
		compiler{"gcc-12-sparc64-linux-gnu", "sparc64-linux-gnu-gcc-12", "-m32 -mcpu=v8"},
		compiler{"gcc-12-mips64el-linux-gnuabi64", "mips64el-linux-gnuabi64-gcc-12", "-mabi=n32"},
		compiler{"gcc-12-mips-linux-gnu", "mips-linux-gnu-gcc-12", "-EL"},
		compiler{"gcc-12-sh4-linux-gnu", "sh4-linux-gnu-gcc-12", "-mb"},
		compiler{"gcc-arm-none-eabi", "arm-none-eabi-gcc", ""},
		compiler{"gcc-riscv64-unknown-elf", "riscv64-unknown-elf-gcc", ""},
		compiler{"gcc-riscv64-unknown-elf", "riscv64-unknown-elf-gcc", "-march=rv32imac -mabi=ilp32"},
		compiler{"gcc-avr", "avr-gcc", ""},
		compiler{"gcc-xtensa-lx106", "xtensa-lx106-elf-gcc", ""}, compiler{"gcc-bpf", "bpf-gcc", ""},
		compiler{"gcc-or1k-elf", "or1k-elf-gcc", ""},
	)
	for _, name := range strings.Fields("x86_64-linux-gnu i686-linux-gnu aarch64-linux-gnu aarch64_be-linux-gnu arm-linux-gnueabihf armeb-linux-gnueabi " +
		"armv7a-unknown-linux-gnueabihf riscv64-linux-gnu riscv32-unknown-elf powerpc64le-linux-gnu powerpc64-linux-gnu powerpc-linux-gnu powerpcle-linux-gnu " +
		"s390x-linux-gnu mips64el-linux-gnuabi64 mips64-linux-gnuabi64 mipsel-linux-gnu mips-linux-gnu sparc64-linux-gnu " +
		"avr msp430 bpf wasm32-unknown-unknown arm64_32-apple-watchos") {
		list = append(list, compiler{"clang-14", "clang-14", "--target=" + name})
	}
	list = append(list, compiler{"clang-14", "clang-14", "--target=sparc-linux-gnu -fintegrated-as"})
	return list
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("targets", flag.ContinueOnError)
	cache := flags.String("cache", ".cache/demo", "directory that keeps compilers and apt's lists")
	if err := flags.Parse(args); err != nil {
		return err
	}
	archive, err := debian.Open(*cache)
	if err != nil {
		return err
	}
	var packages []string
	seen := make(map[string]bool)
	for _, c := range compilers() {
		if !seen[c.pkg] {
			packages = append(packages, c.pkg)
		}
		seen[c.pkg] = true
	}
	root, err := archive.Root(ctx, "amd64", packages...)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "compiler\t-dumpmachine\ttarget\tits object")
	var faults []string
	for _, c := range compilers() {
		row, err := c.check(ctx, root)
		if err != nil {
			faults = append(faults, err.Error())
			row = "-\t-\t" + err.Error()
		}
		fmt.Fprintf(t, "%s %s\t%s\n", c.program, c.words, row)
	}
	t.Flush()
	if len(faults) > 0 {
		return fmt.Errorf("%d compilers are not as the table says:\n  %s", len(faults), strings.Join(faults, "\n  "))
	}
	return nil
}

// check asks one compiler, and says in three columns what it is.
func (c compiler) check(ctx context.Context, root string) (string, error) {
	dump, err := c.run(ctx, root, "/tmp", append(strings.Fields(c.words), "-dumpmachine")...)
	if err != nil {
		return "", err
	}
	name := dump[strings.LastIndexByte(strings.TrimSpace(dump), '\n')+1:] // after warnings
	name = strings.TrimSpace(name)
	target, err := triple.Parse(name)
	if err != nil {
		return "", err
	}
	out, err := os.MkdirTemp("", "targets-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(out)
	if err := os.WriteFile(filepath.Join(out, "a.c"), []byte("int f(int x) { return x + 1; }\n"), 0o644); err != nil {
		return "", err
	}
	if _, err := c.run(ctx, root, out, append(strings.Fields(c.words), "-c", "a.c", "-o", "a.o")...); err != nil {
		return "", err
	}
	head, err := os.ReadFile(filepath.Join(out, "a.o"))
	if err != nil {
		return "", err
	}
	head = head[:min(len(head), triple.HeadSize)]
	m, ok := target.Machine(strings.Fields(c.words))
	if !ok {
		return fmt.Sprintf("%s\t%s\tnot known: nothing is checked", name, target.Canonical()), nil
	}
	if err := m.Check(head); err != nil {
		return "", fmt.Errorf("%s %s: %w", c.program, c.words, err)
	}
	return fmt.Sprintf("%s\t%s\t%s", name, target.Canonical(), m), nil
}

// run runs the compiler where it is unpacked, in a directory of this machine's.
func (c compiler) run(ctx context.Context, root, dir string, args ...string) (string, error) {
	words := []string{"--ro-bind", root, "/", "--dev", "/dev", "--bind", dir, "/tmp", "--chdir", "/tmp",
		"--unsetenv", "TMPDIR", // is not inside
		"--", "/usr/bin/" + c.program}
	return site.Output(ctx, "/", nil, "bwrap", append(words, args...)...)
}
