package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/e2e/debian"
	"github.com/crosscc/crosscc/e2e/site"
)

// TestForeignHeaders compiles in a root whose headers are another machine's:
// those of Debian's arm64 packages, at the names that they have there. At the
// helper other headers have the same names, and some of those directories do not
// exist. Objects and dependency files are what the cross compiler makes in that
// root.
func TestForeignHeaders(t *testing.T) {
	s := startSite(t)
	packages, err := debian.Open("../.cache/demo")
	if err != nil {
		t.Fatal(err)
	}
	f := foreign{site: s, root: filepath.Join(root, "w", "foreign")}
	if err := errors.Join(
		packages.Unpack(t.Context(), "arm64", f.root, "libc6-dev", "linux-libc-dev", "libcrypt-dev", "libgcc-12-dev", "libstdc++-12-dev"),
		f.furnish(),
	); err != nil {
		t.Fatal(err)
	}
	// What a native arm64 gcc searches unasked.
	native := []string{"-nostdinc", "-isystem", "/usr/lib/gcc/aarch64-linux-gnu/12/include", "-isystem", "/usr/local/include",
		"-isystem", "/usr/include/aarch64-linux-gnu", "-isystem", "/usr/include"}
	nativeCXX := append([]string{"-nostdinc++", "-isystem", "/usr/include/c++/12", "-isystem", "/usr/include/aarch64-linux-gnu/c++/12",
		"-isystem", "/usr/include/c++/12/backward"}, native...)
	// The agent is this machine's, and has seen this machine's headers.
	here := invocation{dir: t.TempDir(), words: []string{"aarch64-linux-gnu-gcc", "-O2", "-MD", "-c", "here.c", "-o", "out-0.o"}}
	text := []byte("#include <stdio.h>\n#include <signal.h>\nint here(void) { return printf(\"%d\", SIGINT); }\n")
	if err := errors.Join(os.WriteFile(filepath.Join(here.dir, "here.c"), text, 0o644), here.compare(s)); err != nil {
		t.Fatal(err)
	}
	jobs := 1
	for _, words := range [][]string{
		{"aarch64-linux-gnu-gcc", "-O2", "-g", "-MD", "-c", "system.c"},
		{"aarch64-linux-gnu-gcc", "-O2", "-g3", "-MD", "-Wall", "-Wsystem-headers", "-I/usr/include", "-c", "system.c"},
		{"aarch64-linux-gnu-gcc", "-O1", "-g", "-MMD", "-H", "-c", "vector.c"},
		append([]string{"aarch64-linux-gnu-gcc", "-O2", "-g3", "-MD", "-c", "system.c"}, native...),
		append([]string{"aarch64-linux-gnu-g++", "-O2", "-g", "-MD", "-c", "library.cc"}, nativeCXX...),
		append([]string{"aarch64-linux-gnu-g++", "-O0", "-gdwarf-4", "-gz", "-MMD", "-c", "library.cc"}, nativeCXX...),
	} {
		c := invocation{dir: "/project", words: words}
		jobs++
		if err := f.compare(c); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Jobs.Remote != jobs || len(st.Preprocessed) > 0 {
		t.Errorf("of %d jobs %d were at the helper; local %v, without a tree %v", jobs, st.Jobs.Remote, st.LocalReasons, st.PreprocessedLast)
	}
}

// foreign is a root with another machine's headers and this one's compiler.
type foreign struct {
	site *site.Site
	root string
}

var foreignSources = map[string]string{
	"system.c": `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <errno.h>
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <linux/if_packet.h>
#include <limits.h>
#include "own.h"
#ifndef FOREIGN
#error "these are this machine's own headers"
#endif
#if __has_include("/etc/passwd") || __has_include("/usr/bin/sh") || __has_include(<../bin/env>)
#error "these are this machine's files"
#endif
int system_test(ucontext_t *u, const char *s)
{
	struct stat st;
	assert(s != NULL);
	if (stat(s, &st) != 0)
		return errno;
	return OWN((int)u->uc_mcontext.pc + (int)strlen(s) + (int)sizeof(struct sockaddr_ll) + isnan(sqrt(st.st_size)) + MB_LEN_MAX);
}
`,
	"own.h": "#pragma once\n#define OWN(x) ((x) + __LINE__)\n",
	"vector.c": `#include <arm_neon.h>
#include <arm_acle.h>
#include <stdatomic.h>
int32x4_t sum(int32x4_t a, int32x4_t b, atomic_int *n) { atomic_fetch_add(n, 1); return vaddq_s32(a, vmulq_s32(a, b)); }
`,
	"library.cc": `#include <algorithm>
#include <atomic>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#ifndef FOREIGN
#error "these are this machine's own headers"
#endif
std::atomic<int> count;
struct node { std::map<std::string, std::unique_ptr<node>> below; };
int walk(const node &n)
{
	std::vector<std::string> names;
	for (auto &[name, child] : n.below) {
		names.push_back(name);
		count += walk(*child);
	}
	std::sort(names.begin(), names.end());
	std::cout << names.size() << std::endl;
	return std::thread::hardware_concurrency() + count;
}
`,
}

// furnish puts the project, the compiler and the wrapper into the root.
func (f foreign) furnish() error {
	at := func(name string) string { return filepath.Join(f.root, name) }
	var errs []error
	for _, dir := range []string{"project", "tmp", "dev", "usr/lib64", "usr/lib/x86_64-linux-gnu"} {
		errs = append(errs, os.MkdirAll(at(dir), 0o755))
	}
	for _, dir := range []string{"bin", "lib", "lib64"} {
		errs = append(errs, os.Symlink("usr/"+dir, at(dir)))
	}
	for name, text := range foreignSources {
		errs = append(errs, os.WriteFile(at("project/"+name), []byte(text), 0o644))
	}
	// The cross compiler finds the other one's headers in the place of its own.
	const own = "usr/lib/gcc-cross/aarch64-linux-gnu/12"
	errs = append(errs, os.MkdirAll(at(own), 0o755), copyTree(at("usr/lib/gcc/aarch64-linux-gnu/12/include"), at(own+"/include")))
	for _, program := range []string{
		"/usr/bin/aarch64-linux-gnu-gcc", "/usr/bin/aarch64-linux-gnu-g++", "/usr/aarch64-linux-gnu/bin/as", "/usr/bin/aarch64-linux-gnu-as",
		"/" + own + "/cc1", "/" + own + "/cc1plus", bin("crosscc"),
	} {
		errs = append(errs, f.install(program))
	}
	features, err := os.OpenFile(at("usr/include/features.h"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	_, err = io.WriteString(features, "#define FOREIGN 1\n")
	return errors.Join(append(errs, err, features.Close())...)
}

// install copies a program, and the libraries that it needs, to their own names in
// the root.
func (f foreign) install(program string) error {
	list, err := exec.Command("ldd", program).Output()
	if err != nil && len(list) > 0 {
		return fmt.Errorf("ldd %s: %w", program, err)
	}
	errs := []error{f.copyLinked(program)}
	for line := range strings.Lines(string(list)) {
		for word := range strings.FieldsSeq(line) {
			if strings.HasPrefix(word, "/") {
				errs = append(errs, f.copyLinked(word))
			}
		}
	}
	return errors.Join(errs...)
}

// copyLinked copies a file, each link on the way to it too.
func (f foreign) copyLinked(name string) error {
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return err
	}
	name = filepath.Join(dir, filepath.Base(name))
	to := filepath.Join(f.root, name)
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	link, err := os.Readlink(name)
	if err != nil {
		return copyFile(name, to)
	}
	if !filepath.IsAbs(link) {
		link = filepath.Join(dir, link)
	}
	return errors.Join(os.Symlink(link, to), f.copyLinked(link))
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(name, 0o755)
		}
		return copyFile(path, name)
	})
}

// compare runs a command in the root, through crosscc and without.
func (f foreign) compare(c invocation) error {
	have, err := f.run(c, bin("crosscc"))
	if err != nil {
		return err
	}
	want, err := f.run(c)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(want["status"], "status 0") || len(want) < 5 {
		return fmt.Errorf("the compiler of that root: %s\n%s", want["status"], want["stderr"])
	}
	return differences(have, want)
}

// run is all that a command leaves in the root's /project. The root is a small one
// of bubblewrap's; the state of the site is in it under its own name, because the
// agent's socket is; the race detector in our programs asks for /proc.
func (f foreign) run(c invocation, before ...string) (map[string]string, error) {
	words := []string{"--bind", f.root, "/", "--dev-bind", "/dev", "/dev", "--ro-bind", "/proc", "/proc",
		"--bind", filepath.Join(root, "s"), filepath.Join(root, "s"), "--chdir", c.dir, "--die-with-parent", "--"}
	words = append(append(words, before...), c.words...)
	cmd := exec.Command("bwrap", append(words, "-o", "out-0.o")...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = f.site.Env, &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return nil, err
	}
	all, err := outputs(filepath.Join(f.root, c.dir), "out-")
	if err != nil {
		return nil, err
	}
	all["stdout"], all["stderr"], all["status"] = stdout.String(), stderr.String(), cmd.ProcessState.String()
	return all, nil
}
