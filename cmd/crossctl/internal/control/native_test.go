package control

import (
	"strings"
	"testing"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/monitor"
)

func TestNative(t *testing.T) {
	p := newPlace(t)
	p.program("gcc", "")
	p.program("clang-14", "")
	p.agent(local.BuildID(), answers)
	const all = "-march=skylake -mno-sgx --param=l2-cache-size=256 --param=x=1\n"
	for line, want := range map[string]string{
		"native":                       all,
		"native gcc -m32":              all,
		"native --vertical":            strings.ReplaceAll(all, " ", "\n"),
		"native -m32 --no-cache-sizes": "-march=skylake -mno-sgx --param=x=1\n",
		"native gcc -m32 --no-cache-sizes --vertical": "-march=skylake\n-mno-sgx\n--param=x=1\n",
	} {
		p.run(strings.Fields(line)...).check(t, said{want, "", 0})
	}
	p.run("native", "gcc", "--help").check(t, said{nativeHelp, "", 0})
	for line, command := range map[string]string{
		"native --json":                          "gcc -march=native -c native.c",
		"--json native clang-14 -m32":            "clang-14 -m32 -march=native -c native.c",
		"native --json -mtune=native clang-14":   "clang-14 -mtune=native -c native.c",
		"native --json crosscc gcc -mcpu=native": "gcc -mcpu=native -c native.c",
	} {
		program, _, _ := strings.Cut(command, " ")
		same(t, p.run(strings.Fields(line)...), monitor.Native{
			Compiler: p.path("bin/" + program), Identity: command,
			Flags: []string{"-march=skylake", "-mno-sgx", "--param=l2-cache-size=256", "--param=x=1"}, Words: []string{"-march=skylake", "-mavx"},
		})
	}
}
