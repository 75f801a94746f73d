package headers

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// A change is one line of what somebody does to files: write NAME TEXT, mv A B,
// swap A B, ln TARGET NAME (over what is there), hard A B, rm NAME, mkdir NAME,
// touch NAME, fifo NAME, socket NAME.
func (h *home) change(lines string) {
	h.t.Helper()
	for line := range strings.SplitSeq(lines, "; ") {
		op, rest, _ := strings.Cut(line, " ")
		a, b, _ := strings.Cut(rest, " ")
		from, to := filepath.Join(h.dir, a), filepath.Join(h.dir, b)
		if err := change(op, from, to, a, b); err != nil {
			h.t.Fatalf("%s: %v", line, err)
		}
	}
}

func change(op, from, to, a, b string) error {
	switch op {
	case "":
		return nil
	case "write":
		if err := os.MkdirAll(filepath.Dir(from), 0o755); err != nil {
			return err
		}
		return os.WriteFile(from, []byte(strings.ReplaceAll(b, `\n`, "\n")+"\n"), 0o644)
	case "mv":
		return os.Rename(from, to)
	case "swap":
		return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	case "ln":
		if err := os.Symlink(a, to+".new"); err != nil {
			return err
		}
		return os.Rename(to+".new", to)
	case "hard":
		return os.Link(from, to)
	case "rm":
		return os.RemoveAll(from)
	case "mkdir":
		return os.Mkdir(from, 0o755)
	case "touch":
		return os.Chtimes(from, time.Unix(1, 0), time.Unix(1, 0))
	case "fifo":
		return unix.Mkfifo(from, 0o600)
	case "socket":
		return unix.Mknod(from, unix.S_IFSOCK|0o600, 0)
	}
	return fmt.Errorf("no such change")
}

// includer includes what its text asks for, so that one text fits all steps.
const includer = `write a.c #include "x.h"\n#include <y.h>\n#if __has_include(<z.h>)\n#include <z.h>\n#endif`

// steps are what happens to headers during a build. After each the same Scanner
// must see what a new one sees, and what the compilers read.
var steps = []struct {
	name, words string
	changes     []string // the first makes the files
}{
	{"replaced by rename", "-I.", []string{"write x.h int x;; write y.h", "write n int n;; mv n x.h", "write n int m;; mv n x.h"}},
	{"written in place", "-I.", []string{"write x.h int x;; write y.h int y;", "write x.h int z;", "write x.h #include \"y.h\""}},
	{"appears in an earlier directory", "-Ip -Iq", []string{"mkdir p; write x.h int x;; write q/y.h int q;", "write p/y.h int p;", "rm p/y.h", "mv q/y.h p/y.h"}},
	{"an absent directory appears", "-Inope -Iq", []string{"write x.h int x;; write q/y.h int q;", "write nope/y.h int n;", "rm nope", "mkdir nope"}},
	{"a directory is deleted", "-Ip -Iq", []string{"write x.h int x;; write p/y.h int p;; write q/y.h int q;", "rm p", "mkdir p", "write p/y.h int z;"}},
	{"a link leads elsewhere", "-Il", []string{"write x.h int x;; write p/y.h int p;; write q/y.h int q;; ln p l", "ln q l", "rm q", "ln nowhere l", "rm l; mkdir l; write l/y.h int l;"}},
	{"a chain of links", "-Il", []string{"write p/y.h int p;; write q/y.h int q;; ln p m; ln m l; ln p/y.h x.h", "ln q m", "ln q/y.h x.h", "rm x.h; write x.h int x;", "rm m"}},
	{"a link comes alive", "-I.", []string{"ln gone/x.h x.h; write y.h int y;", "write gone/x.h int x;", "rm gone"}},
	{"dots", "-Ip/../q -Ip/..", []string{"write p/f; write q/y.h int y;; write x.h #include \"p/../q/w.h\"; write q/w.h int w;", "mv p o; ln o p", "rm p; mkdir r; mkdir r/p; ln r/p p", "rm p"}},
	{"case", "-Ip -Iq", []string{"mkdir p; write x.h int x;; write q/y.h int q;", "write p/Y.h int p;", "write X.h int X;; rm x.h; write x.h #include <Y.h>", "mv p/Y.h p/y.h"}},
	{"two headers swapped", "-I.", []string{"write x.h int x;; write y.h int y;", "swap x.h y.h", "write x.h int x;; write y.h int y;", "mv x.h t; mv y.h x.h; mv t y.h"}},
	{"one directory twice", "-Ip -Ip -Iq -Ip", []string{"write x.h int x;; write p/y.h #include_next <y.h>; write q/y.h int q;", "rm p/y.h", "write p/y.h int p;"}},
	{"directories by two names", "-Ip -Iq", []string{"write x.h int x;; write p/y.h #include_next <y.h>; write q/y.h int q;", "mv p r; ln q p", "rm p; mv r p"}},
	{"another directory in its place", "-Ia", []string{"write x.h int x;; write a/y.h int a;; write c/y.h int c;", "mv a b; mv c a", "swap a b", "mv a d; mv b a"}},
	{"another directory above", "-Ia/i", []string{"write x.h #include \"a/i/w.h\"; write a/i/y.h int a;; write a/i/w.h int w;; write c/i/y.h int c;", "mv a b; mv c a", "rm a; ln b a", "rm a; mv b a"}},
	{"a header becomes a directory", "-Ip -Iq", []string{"write x.h int x;; write p/y.h int p;; write q/y.h int q;", "rm p/y.h; mkdir p/y.h", "write p/y.h/f", "rm p/y.h; write p/y.h int z;"}},
	{"a directory of a name", "-Ip -Iq", []string{"mkdir p; write x.h #include <s/w.h>; write y.h; write q/s/w.h int q;", "mkdir p/s", "write p/s/w.h int p;", "rm p/s; write p/s file", "rm p/s; ln ../q/s p/s"}},
	{"found by __has_include", "-Ip -Iq", []string{"mkdir p; write x.h; write y.h; mkdir q", "write q/z.h int q;", "write p/z.h int p;", "rm p; rm q"}},
	{"next", "-Ip -Iq -Ir", []string{"write x.h; write p/y.h #include_next <y.h>; write q/y.h #include_next <y.h>; write r/y.h int r;", "rm q/y.h", "write q/y.h int q;", "rm p/y.h; rm r"}},
	{"a macro for a name", "-I.", []string{"write y.h; write x.h #define N \"n1.h\"\\n#include N; write n1.h int n1;; write n2.h int n2;", "write x.h #define N \"n2.h\"\\n#include N", "write x.h #define N(a) a\\n#include N(\"n1.h\")", "write x.h #define N <n1.h>\\n#include N"}},
	{"unasked and given", "-Ip -include p/w.h", []string{"write x.h; write y.h; write p/w.h int w;", "write p/stdc-predef.h int predef;", "write p/w.h.gch", "rm p/w.h.gch", "rm p/stdc-predef.h"}},
	{"hard links", "-I.", []string{"write x.h #pragma once\\nint x;; hard x.h y.h", "rm y.h; write y.h #pragma once\\nint x;; touch y.h", "touch x.h", "rm x.h; hard y.h x.h"}},
	{"not a file any more", "-I.", []string{"write x.h; write y.h", "rm x.h; fifo x.h", "rm x.h; write x.h int x;", "rm y.h; ln y.h y.h", "rm y.h; write y.h"}},
	{"objects beside", "-I. -Ip", []string{"write x.h; write p/y.h", "write a.o 1; write b.o.tmp 2", "mv b.o.tmp b.o; write y.h int y;", "rm a.o; rm y.h", "write c.o 3"}},
	{"the source moves", "-Ip", []string{"write p/y.h; write x.h", "mv a.c b.c; ln b.c a.c", "mkdir s; mv b.c s/b.c; ln s/b.c a.c; write s/x.h int s;", "rm a.c; mv s/b.c a.c"}},
}

func TestSteps(t *testing.T) {
	drivers := []string{"gcc-12", "clang-14"}
	homes := make([]*home, len(steps))
	last := 0
	for i, s := range steps {
		h := newHome(t)
		h.change(includer)
		h.s, homes[i] = New(nil), h
		last = max(last, len(s.changes))
	}
	for n := range last {
		for i, s := range steps {
			if n < len(s.changes) {
				homes[i].change(s.changes[n])
				for _, driver := range drivers {
					homes[i].sees(fmt.Sprintf("%s, change %d, %s", s.name, n, driver), true, driver, strings.Fields(s.words))
				}
			}
		}
		time.Sleep(2100 * time.Millisecond) // ctime can't be set; now what changed has settled
		for i, s := range steps {
			if n < len(s.changes) {
				for _, driver := range drivers {
					homes[i].sees(fmt.Sprintf("%s, change %d, settled, %s", s.name, n, driver), false, driver, strings.Fields(s.words))
				}
			}
		}
	}
	compared := 0
	for _, h := range homes {
		compared += h.compared
	}
	t.Logf("%d compiles compared", compared)
	if compared < 130 {
		t.Errorf("only %d compiles did well", compared)
	}
}

// sees compares the home's Scanner with a new one, and with the compiler.
func (h *home) sees(what string, ask bool, driver string, words []string) {
	h.t.Helper()
	words = append(words, "-c", "a.c")
	src := h.cached(driver, words)
	tree, err := h.s.Scan(h.t.Context(), h.fd, src)
	other, fresh := New(nil).Scan(h.t.Context(), h.fd, src)
	if reason(err) != reason(fresh) {
		h.t.Errorf("%s: %v, and a new Scanner says %v", what, err, fresh)
	}
	if err != nil || fresh != nil {
		return
	}
	if got, want := show(tree), show(other); got != want {
		h.t.Errorf("%s: an old Scanner sees\n%s\na new one\n%s", what, got, want)
	}
	h.isHere(what, tree)
	if ask {
		h.reads(what, tree, driver, words)
	}
}

// isHere checks that the tree has nothing that is not at home.
func (h *home) isHere(what string, tree *Tree) {
	h.t.Helper()
	for name, e := range tree.Root.All() {
		if !strings.HasPrefix(name, h.dir) {
			continue
		}
		switch st, err := os.Lstat(name); {
		case err != nil:
			h.t.Errorf("%s: %v", what, err)
		case e.Dir != nil && !st.IsDir():
			h.t.Errorf("%s: %s is no directory", what, name)
		case e.Link != nil:
			if target, _ := os.Readlink(name); target != e.Link.Target {
				h.t.Errorf("%s: %s leads to %s, not to %s", what, name, target, e.Link.Target)
			}
		case e.File != nil:
			if data, err := os.ReadFile(name); err != nil || !st.Mode().IsRegular() || broker.DigestOf(data) != e.File.Blob.Digest {
				h.t.Errorf("%s: %s has another content (%v)", what, name, err)
			}
		}
	}
}

// reads checks that the tree has every file that the compiler reads.
func (h *home) reads(what string, tree *Tree, driver string, words []string) {
	h.t.Helper()
	out, err := h.run(h.t.Context(), drivers.Program{Path: need(h.t, driver), Args: append(slices.Clone(words), "-M", "-MT", "o")})
	if err != nil {
		h.t.Fatal(err)
	}
	if out.Status != 0 {
		return // a list of what is missing
	}
	h.compared++
	h.holds(tree, out.Stdout)
}

// cached is source, without asking the compiler again.
func (h *home) cached(driver string, words []string) Source {
	h.t.Helper()
	src, ok := h.asked[driver]
	if !ok {
		src = h.source(driver, words...)
		h.asked[driver] = src
	}
	fresh := h.parse(driver, words)
	fresh.Defaults = src.Defaults
	return fresh
}

// TestLargeDirectory: a directory that changes all the time, and is too large to
// be listed for each job, is asked for each name.
func TestLargeDirectory(t *testing.T) {
	h := newHome(t)
	h.s = New(func() time.Time { return time.Now().Add(-time.Hour) }) // nothing ever settles
	h.change(includer + "; write x.h int x;; write q/y.h int q;; mkdir p")
	for i := range 3500 {
		if err := os.WriteFile(fmt.Sprintf("%s/p/a-name-of-some-length-%d.o", h.dir, i), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range []string{"", "write p/y.h int p;", "rm p/y.h", "mkdir p/y.h"} {
		h.change(change)
		for range 2 {
			h.sees(change, true, "gcc-12", []string{"-Ip", "-Iq"})
		}
	}
}

// TestRandomSteps does things to a few directories at random, and compares three
// Scanners that look at different times with a new one.
func TestRandomSteps(t *testing.T) {
	h := newHome(t)
	h.change(includer)
	names := []string{"x.h", "y.h", "z.h", "p/x.h", "p/y.h", "q/y.h", "q/z.h", "p/s/y.h", "q/s/z.h"}
	dirs := []string{"p", "q", "p/s", "q/s", "r"}
	texts := []string{"int n;", "#include \"x.h\"", "#include <s/y.h>", "#include \"s/../y.h\"", "#include_next <y.h>", "#include \"../z.h\"", "#pragma once"}
	random := rand.New(rand.NewPCG(3, 14))
	pick := func(list []string) string { return list[random.IntN(len(list))] }
	scanners := []*Scanner{New(nil), New(nil), New(nil)}
	src := h.cached("gcc-12", []string{"-c", "a.c"})
	done := map[string]int{}
	for n := range 1200 {
		op := pick([]string{"write", "write", "write", "mv", "mv dirs", "swap", "swap dirs", "ln", "ln dirs", "rm", "rm dirs", "mkdir", "hard"})
		a, b := pick(names), pick(names)
		if op, ok := strings.CutSuffix(op, " dirs"); ok {
			_ = op
			a, b = pick(dirs), pick(dirs)
		}
		op, _, _ = strings.Cut(op, " ")
		from, to, text := filepath.Join(h.dir, a), filepath.Join(h.dir, b), b
		switch op {
		case "write":
			text = pick(texts)
		case "ln":
			a = h.dir + "/" + a
		case "mkdir":
			from = filepath.Join(h.dir, pick(dirs))
		}
		if change(op, from, to, a, text) == nil {
			done[op]++
		}
		src.Cmd = h.parse("gcc-12", strings.Fields(pick([]string{"-Ip -Iq -c a.c", "-Iq -Ip -I. -c a.c", "-Ip/s -Ir -Iq/../p -c a.c"}))).Cmd
		for i, s := range scanners {
			if random.IntN(i+1) != 0 {
				continue
			}
			tree, err := s.Scan(t.Context(), h.fd, src)
			other, fresh := New(nil).Scan(t.Context(), h.fd, src)
			if reason(err) != reason(fresh) || err == nil && show(tree) != show(other) {
				t.Fatalf("step %d, %s %s %s: an old Scanner sees %v\n%s\na new one %v\n%s", n, op, from, to, err, show(tree), fresh, show(other))
			}
		}
	}
	t.Log(done)
	for _, op := range []string{"write", "mv", "swap", "ln", "rm", "mkdir", "hard"} {
		if done[op] < 8 {
			t.Errorf("%s: done %d times", op, done[op])
		}
	}
}

// TestSharedLooks: scans that run at once share what they look at, and none sees
// what was so before its job arrived.
func TestSharedLooks(t *testing.T) {
	h := newHome(t)
	h.change(includer + "; write p/x.h int p;; write p/y.h int p;; write q/x.h int q;; write q/y.h int q;; ln p l")
	src := h.cached("gcc-12", []string{"-c", "a.c"})
	src.Cmd = h.parse("gcc-12", []string{"-Il", "-c", "a.c"}).Cmd
	want := map[string]string{}
	for _, d := range []string{"p", "q"} {
		h.change("ln " + d + " l")
		tree, err := New(nil).Scan(t.Context(), h.fd, src)
		if err != nil {
			t.Fatal(err)
		}
		want[d] = show(tree)
	}
	s := New(nil)
	stop := make(chan struct{})
	var background sync.WaitGroup
	for range 3 { // they arrive at any time
		background.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				tree, err := s.Scan(t.Context(), h.fd, src)
				if err != nil {
					t.Error(err)
				} else if got := show(tree); got != want["p"] && got != want["q"] {
					t.Errorf("neither:\n%s", got)
				}
			}
		})
	}
	for n := range 120 {
		d := []string{"p", "q"}[n%2]
		h.change("ln " + d + " l")
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				tree, err := s.Scan(t.Context(), h.fd, src)
				if err != nil {
					t.Error(err)
				} else if got := show(tree); got != want[d] {
					t.Errorf("link to %s:\n%s", d, got)
				}
			})
		}
		group.Wait()
	}
	close(stop)
	background.Wait()
}
