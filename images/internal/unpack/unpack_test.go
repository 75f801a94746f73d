package unpack

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/images/internal/imagetest"
)

var testLimits = Limits{Bytes: 1 << 20, Entries: 1000}

// file, dir, symlink, link and device are entries of a layer.
func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), Linkname: content, ModTime: time.Unix(1000, 0)}
}
func dir(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o700} }
func symlink(name, text string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: text, Mode: 0o777}
}
func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
}
func device(name string, kind byte) tar.Header {
	return tar.Header{Typeflag: kind, Name: name, Mode: 0o666, Devmajor: 1, Devminor: 3}
}
func mode(h tar.Header, mode int64) tar.Header { h.Mode = mode; return h }

// layer is a tar of entries; of regular files Linkname is the content.
func layer(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// place is a tree in a directory with neighbours that nothing may touch.
func place(t testing.TB, l Limits) (tree *Tree, root string) {
	t.Helper()
	above := t.TempDir()
	root = filepath.Join(above, "root")
	if err := errors.Join(os.Mkdir(root, 0o755), os.WriteFile(filepath.Join(above, "neighbour"), []byte("untouched"), 0o600)); err != nil {
		t.Fatal(err)
	}
	tree, err := New(root, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = tree.Close()
		names, err := os.ReadDir(above)
		content, rerr := os.ReadFile(filepath.Join(above, "neighbour"))
		if err != nil || len(names) != 2 || string(content) != "untouched" || rerr != nil {
			t.Errorf("beside the root are %v, %q, %v, %v", names, content, err, rerr)
		}
	})
	return tree, root
}

func lay(t *testing.T, tree *Tree, layers ...[]byte) error {
	t.Helper()
	for _, l := range layers {
		sum := sha256.Sum256(l)
		got, err := tree.Layer(context.Background(), bytes.NewReader(l))
		if err != nil {
			return err
		}
		if got != hex.EncodeToString(sum[:]) {
			t.Errorf("diff id %s, want %x", got, sum)
		}
	}
	return nil
}

// show lists what is below root: name, kind and content.
func show(t *testing.T, root string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name := path[len(root)+1:]
		switch d.Type() {
		case fs.ModeDir:
			name += "/"
		case fs.ModeSymlink:
			text, _ := os.Readlink(path)
			name += " -> " + text
		case 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name += " = " + string(content)
		default:
			name += " is " + d.Type().String()
		}
		lines = append(lines, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestLayers(t *testing.T) {
	type headers = []tar.Header
	tests := []struct {
		name   string
		layers []headers
		want   string
	}{
		{"files, and directories that are not named", []headers{{file("a/b/c", "1"), dir("a/d/"), file("/abs", "2"), file("./dot", "3")}},
			"a/\na/b/\na/b/c = 1\na/d/\nabs = 2\ndot = 3"},
		{"a layer over another", []headers{{file("a", "1"), dir("d"), file("d/x", "1")}, {file("a", "two"), file("d/y", "2")}},
			"a = two\nd/\nd/x = 1\nd/y = 2"},
		{"links", []headers{{file("a", "1"), symlink("s", "/etc/passwd"), link("h", "a"), symlink("up", "../../.."), link("hs", "s")}},
			"a = 1\nh = 1\nhs -> /etc/passwd\ns -> /etc/passwd\nup -> ../../.."},
		{"a file in the place of a link is no write through it", []headers{{file("a", "1"), symlink("s", "a"), link("h", "a")}, {file("s", "2"), file("h", "3")}},
			"a = 1\nh = 3\ns = 2"},
		{"through a relative link", []headers{{dir("usr/lib"), symlink("lib", "usr/lib"), symlink("usr/lib64", "../lib")}, {file("lib/x", "1"), file("usr/lib64/y", "2"), link("lib/z", "lib/x")}},
			"lib -> usr/lib\nusr/\nusr/lib/\nusr/lib/x = 1\nusr/lib/y = 2\nusr/lib/z = 1\nusr/lib64 -> ../lib"},
		{"kinds replace each other", []headers{{file("a", "1"), dir("b"), file("b/c", "1"), symlink("s", "b"), file("t", "1")}, {dir("a"), file("b", "2"), dir("s"), symlink("t", "a")}},
			"a/\nb = 2\ns/\nt -> a"},
		{"whiteouts", []headers{{file("a", "1"), file("d/x", "1"), file("d/y", "1"), file("e/f", "1"), symlink("s", "a")}, {file(".wh.a", ""), file("d/.wh.x", ""), file(".wh.e", ""), file(".wh.s", ""), file(".wh.nothing", ""), file("no/.wh.thing", "")}},
			"d/\nd/y = 1"},
		{"a whiteout takes nothing of its own layer", []headers{{file("a", "1"), file("d/x", "1")}, {file("a", "2"), file(".wh.a", ""), file("d/new", "2"), file(".wh.d", "")}},
			"a = 2\nd/\nd/new = 2"},
		{"opaque, first", []headers{{file("d/x", "1"), file("d/e/y", "1"), dir("d/gone")}, {dir("d"), file("d/.wh..wh..opq", ""), file("d/new", "2"), file("d/e/z", "2")}},
			"d/\nd/e/\nd/e/z = 2\nd/new = 2"},
		{"opaque, last", []headers{{file("d/x", "1"), file("d/e/y", "1"), dir("d/gone")}, {file("d/new", "2"), file("d/e/z", "2"), file("d/.wh..wh..opq", "")}},
			"d/\nd/e/\nd/e/z = 2\nd/new = 2"},
		{"opaque through a link", []headers{{file("usr/lib/x", "1"), symlink("lib", "usr/lib")}, {file("lib/y", "2"), file("usr/lib/.wh..wh..opq", "")}},
			"lib -> usr/lib\nusr/\nusr/lib/\nusr/lib/y = 2"},
		{"an opaque root", []headers{{file("x", "1"), file("d/y", "1")}, {file(".wh..wh..opq", ""), file("z", "2")}}, "z = 2"},
		{"what aufs left", []headers{{file(".wh..wh.aufs", ""), dir(".wh..wh.plnk/"), file(".wh..wh.plnk/1.2", "x"), file("a", "1")}}, "a = 1"},
		{"devices and pipes are left out", []headers{{device("null", tar.TypeChar), device("disk", tar.TypeBlock), device("pipe", tar.TypeFifo), file("a", "1")}}, "a = 1"},
		{"a device hides a file", []headers{{file("a", "1")}, {device("a", tar.TypeChar)}}, ""},
		{"the root itself", []headers{{dir("./"), dir("/"), file("a", "1")}}, "a = 1"},
		{"a global header", []headers{{{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}, file("a", "1")}}, "a = 1"},
		{"a hard link to itself", []headers{{file("a", "1"), link("a", "./a")}}, "a = 1"},
		{"one name twice", []headers{{file("a", "1"), file("b", "1"), dir("c"), file("c/x", "1"), file("a", "2"), dir("b"), file("b/y", "2"), file("c", "2"), symlink("d", "c"), symlink("d", "a")}},
			"a = 2\nb/\nb/y = 2\nc = 2\nd -> a"},
		{"one name twice, by way of a link", []headers{{dir("usr/lib"), symlink("lib", "usr/lib"), file("lib/x", "1"), file("usr/lib/x", "2"), file("./lib//x", "3")}},
			"lib -> usr/lib\nusr/\nusr/lib/\nusr/lib/x = 3"},
		{"a whiteout of what the layer has twice", []headers{{file("d/a", "1")}, {file("d/a", "2"), file("d/.wh.a", ""), file("d/a", "3"), file("d/.wh.a", "")}}, "d/\nd/a = 3"},
		{"a hard link to a link is a link, and replaced as one", []headers{{file("a", "1"), symlink("s", "a"), link("hs", "s")}, {file("hs", "2")}}, "a = 1\nhs = 2\ns -> a"},
		{"a hard link that was replaced", []headers{{file("a", "1"), link("h", "a")}, {file("a", "2"), link("h2", "h")}}, "a = 2\nh = 1\nh2 = 1"},
		{"a hard link to what a whiteout takes", []headers{{file("a", "1"), link("h", "a")}, {file(".wh.a", "")}}, "h = 1"},
		{"a whiteout of a link takes what it leads to not", []headers{{file("d/a", "1"), symlink("s", "d")}, {file(".wh.s", "")}}, "d/\nd/a = 1"},
		{"opaque where nothing is", []headers{{file("no/where/.wh..wh..opq", ""), file("a", "1")}}, "a = 1"},
		{"opaque in the place of a file", []headers{{file("a", "1")}, {dir("a"), file("a/.wh..wh..opq", ""), file("a/b", "2")}}, "a/\na/b = 2"},
		{"whiteouts across three layers", []headers{
			{file("a", "1"), file("b", "1"), file("d/x", "1"), file("d/y", "1"), file("e/f", "1"), symlink("s", "d"), file("k", "1")},
			{file(".wh.a", ""), file("d/.wh.x", ""), file(".wh.e", ""), file(".wh.s", ""), file("b", "2"), file("new", "2"), file("d/z", "2"), dir("k"), file("k/f", "2")},
			{file("a", "3"), file("d/x", "3"), file(".wh.b", ""), file(".wh.new", ""), file("d/.wh.z", ""), file("s/t", "3"), file("k/.wh.f", "")}},
			"a = 3\nd/\nd/x = 3\nd/y = 1\nk/\ns/\ns/t = 3"},
		{"opaque across three layers", []headers{
			{file("d/x", "1"), file("d/e/y", "1"), file("f/x", "1"), file("g/x", "1")},
			{file("d/.wh..wh..opq", ""), file("d/e/z", "2"), file("d/n", "2"), file("f/.wh..wh..opq", ""), file("g/y", "2")},
			{file("d/e/.wh..wh..opq", ""), file("d/e/u", "3"), file("f/y", "3"), file(".wh.g", ""), file("g/z", "3")}},
			"d/\nd/e/\nd/e/u = 3\nd/n = 2\nf/\nf/y = 3\ng/\ng/z = 3"},
		{"hard links to files of layers below", []headers{
			{file("a", "1"), file("d/b", "1"), file("c", "1")},
			{link("h", "a"), link("d/g", "./d/b"), file("c", "2")},
			{link("i", "h"), file("a", "3"), file("d/.wh.b", ""), link("j", "c")}},
			"a = 3\nc = 2\nd/\nd/g = 1\nh = 1\ni = 1\nj = 2"},
		{"odd names", []headers{{file("a\nb", "1"), file("-", "2"), file("\xff", "3"), file(".wh", "4"), file("..a", "5"), file("a..", "6")}},
			"- = 2\n..a = 5\n.wh = 4\na\nb = 1\na.. = 6\n\xff = 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree, root := place(t, testLimits)
			for _, h := range tt.layers {
				if err := lay(t, tree, layer(t, h...)); err != nil {
					t.Fatal(err)
				}
			}
			if got := show(t, root); got != tt.want {
				t.Errorf("there is\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// A hard link is one file with its target, of whatever layer that is (#pragma once
// knows files by it); a file that comes later in its place is another.
func TestHardLinks(t *testing.T) {
	tree, root := place(t, testLimits)
	err := lay(t, tree,
		layer(t, dir("usr/lib"), symlink("lib", "usr/lib"), file("usr/lib/a", "1"), file("b", "1")),
		layer(t, link("h", "lib/a"), link("g", "b")),
		layer(t, link("usr/i", "h"), file("b", "3")))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		one, other string
		same       bool
	}{{"usr/lib/a", "h", true}, {"h", "usr/i", true}, {"b", "g", false}} {
		a, err := os.Lstat(filepath.Join(root, tt.one))
		b, berr := os.Lstat(filepath.Join(root, tt.other))
		if errors.Join(err, berr) != nil || os.SameFile(a, b) != tt.same {
			t.Errorf("%s and %s: want one file %t, %v", tt.one, tt.other, tt.same, errors.Join(err, berr))
		}
	}
}

func TestRefused(t *testing.T) {
	deep := strings.Repeat("d/", 64)
	tests := []struct {
		name   string
		layers [][]byte
		says   string
	}{
		{"climbs", [][]byte{layer(t, file("../x", ""))}, `entry "../x": its name leads out of the image`},
		{"climbs in the middle", [][]byte{layer(t, file("a/../../x", ""))}, "its name leads out of the image"},
		{"climbs with a slash", [][]byte{layer(t, file("/../x", ""))}, "its name leads out of the image"},
		{"is ..", [][]byte{layer(t, dir(".."))}, "its name leads out of the image"},
		{"writes through an absolute link", [][]byte{layer(t, symlink("a", "/tmp")), layer(t, file("a/x", ""))},
			"/a on the way to it is a symbolic link to \"/tmp\", and absolute ones are not followed"},
		{"of one layer", [][]byte{layer(t, symlink("a", "/"), file("a/x", ""))}, "absolute ones are not followed"},
		{"writes through a link that climbs", [][]byte{layer(t, symlink("a", "../..")), layer(t, file("a/x", ""))}, "a symbolic link on the way to it leads out of the image"},
		{"climbs by two links", [][]byte{layer(t, dir("d"), symlink("d/up", ".."), symlink("d/a", "up/../x"), file("d/a/y", ""))}, "leads out of the image"},
		{"makes a directory through a link", [][]byte{layer(t, symlink("a", "/tmp"), dir("a/x"))}, "absolute ones are not followed"},
		{"makes a link through a link", [][]byte{layer(t, symlink("a", "/tmp"), symlink("a/x", "y"))}, "absolute ones are not followed"},
		{"links in a circle", [][]byte{layer(t, symlink("a", "b"), symlink("b", "a"), file("a/x", ""))}, "more than 40 symbolic links"},
		{"removes through a link", [][]byte{layer(t, symlink("a", "..")), layer(t, file("a/.wh.neighbour", ""))}, "leads out of the image"},
		{"removes ..", [][]byte{layer(t, file(".wh...", ""))}, "a whiteout of no name"},
		{"removes .", [][]byte{layer(t, file("d/.wh..", ""))}, "a whiteout of no name"},
		{"removes the root", [][]byte{layer(t, file(".wh..", ""))}, "a whiteout of no name"},
		{"removes the root, with slashes", [][]byte{layer(t, dir("/.//.wh../"))}, "a whiteout of no name"},
		{"opaque below a file", [][]byte{layer(t, file("a", "")), layer(t, file("a/.wh..wh..opq", ""))}, "/a on the way to it is no directory"},
		{"a whiteout below a file", [][]byte{layer(t, file("a", "")), layer(t, file("a/.wh.b", ""))}, "/a on the way to it is no directory"},
		{"writes through a hard link to a link", [][]byte{layer(t, symlink("s", "/tmp"), link("hs", "s"), file("hs/x", ""))}, "/hs on the way to it is a symbolic link to \"/tmp\", and absolute ones"},
		{"hard link to a link that leads out", [][]byte{layer(t, symlink("s", "../.."), link("hs", "s"), link("h", "hs/neighbour"))}, "leads out of the image"},
		{"hard link to what a whiteout took", [][]byte{layer(t, file("a", "")), layer(t, file(".wh.a", ""), link("h", "a"))}, "which is not there"},
		{"removes nothing", [][]byte{layer(t, file(".wh.", ""))}, "a whiteout of no name"},
		{"is below a whiteout", [][]byte{layer(t, file(".wh.a/b", ""))}, "a whiteout is no directory"},
		{"opaque out", [][]byte{layer(t, symlink("a", "..")), layer(t, file("a/.wh..wh..opq", ""))}, "leads out of the image"},
		{"hard link out", [][]byte{layer(t, link("a", "../neighbour"))}, `a hard link to "../neighbour": its name leads out`},
		{"hard link through a link", [][]byte{layer(t, symlink("a", ".."), link("b", "a/neighbour"))}, "leads out of the image"},
		{"hard link through an absolute link", [][]byte{layer(t, symlink("a", "/"), link("b", "a/etc/passwd"))}, "absolute ones are not followed"},
		{"hard link to nothing", [][]byte{layer(t, link("b", "/etc/passwd"))}, `a hard link to "/etc/passwd", which is not there`},
		{"hard link to a directory", [][]byte{layer(t, dir("d"), link("b", "d"))}, "a hard link to the directory"},
		{"hard link in the place of a directory", [][]byte{layer(t, file("d/x", ""), link("d", "d/x"))}, "a hard link in the place of a directory"},
		{"below a file", [][]byte{layer(t, file("a", ""), file("a/b", ""))}, "/a on the way to it is no directory"},
		{"a root that is a file", [][]byte{layer(t, file(".", "x"))}, "the image's root is no directory"},
		{"a kind that nobody knows", [][]byte{layer(t, tar.Header{Typeflag: 'V', Name: "a"})}, "entries of type 'V' are not known"},
		{"a link to nowhere", [][]byte{layer(t, symlink("a", ""))}, `entry "a"`},
		{"a long name", [][]byte{layer(t, file(strings.Repeat("n/", 600)+"n", ""))}, "its name has 1201 bytes; 1024 are the limit"},
		{"a deep name", [][]byte{layer(t, file(deep+"x", ""))}, "it lies 65 directories deep; 64 are the limit"},
		{"a deep name by way of a link", [][]byte{layer(t, dir(deep[:80]), symlink("l", deep[:80]), file("l/"+deep[:80]+"x", ""))}, "65 directories deep"},
		{"directories by way of a link", [][]byte{layer(t, dir(deep[:80]), symlink("l", deep[:80]), dir("l/"+deep[:60]))}, "65 directories deep"},
		{"a hard link by way of a link", [][]byte{layer(t, file("f", ""), dir(deep), symlink("l", deep[:126]), link("l/d/x", "f"))}, "65 directories deep"},
		{"a long name by way of a link", [][]byte{layer(t, dir(strings.Repeat("n", 200)+"/"+strings.Repeat("n", 200)), symlink("l", strings.Repeat("n", 200)+"/"+strings.Repeat("n", 200)),
			dir("l/"+strings.Repeat("n", 200)+"/"+strings.Repeat("n", 200)), symlink("m", "l/"+strings.Repeat("n", 200)+"/"+strings.Repeat("n", 200)), file("m/"+strings.Repeat("n", 200)+"/x/"+strings.Repeat("n", 100), ""))}, "64 and 1024 are the limits"},
		{"a long part of a name", [][]byte{layer(t, file(strings.Repeat("n", 256), ""))}, "file name too long"},
		{"a long name of pax", [][]byte{pax(t, "path", strings.Repeat("n/", 300_000)+"n")}, "its name has 600001 bytes; 1024 are the limit"},
		{"a name of pax that climbs", [][]byte{pax(t, "path", "../neighbour")}, "its name leads out of the image"},
		{"a name of pax with a zero", [][]byte{pax(t, "path", "a\x00b")}, "invalid tar header"},
		{"a long link of pax", [][]byte{append(typed(t, 'x', layer(t, file("p", record("linkpath", strings.Repeat("n", 500_000))))), layer(t, symlink("a", "b"))...)}, "a symbolic link of 500000 bytes"},
		{"more pax than tar reads", [][]byte{pax(t, "comment", strings.Repeat("c", 1<<20))}, "expands to more than 1048576 bytes"},
		{"pax that is not one", [][]byte{append(typed(t, 'x', layer(t, file("p", "99999999999999999999 path=x\n"))), layer(t, file("a", ""))...)}, "invalid tar header"},
		{"a size of pax", [][]byte{pax(t, "size", "1125899906842624")}, "its 1125899906842624 bytes are too many"},
		{"a size of pax below nothing", [][]byte{pax(t, "size", "-1")}, "invalid tar header"},
		{"a sparse bomb of pax", [][]byte{append(typed(t, 'x', layer(t, file("p", record("GNU.sparse.major", "1")+record("GNU.sparse.minor", "0")+record("GNU.sparse.realsize", "1099511627776")))),
			layer(t, file("a", fmt.Sprintf("%-512sx", "1\n1099511627775\n1\n")))...)}, "its 1099511627776 bytes are too many"},
		{"a sparse bomb of pax, in its older form", [][]byte{pax(t, "GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.numblocks", "1", "GNU.sparse.map", "1099511627775,1", "GNU.sparse.size", "1099511627776")}, "its 1099511627776 bytes are too many"},
		{"a sparse map of many pieces", [][]byte{pax(t, "GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.numblocks", "99999999999", "GNU.sparse.map", "0,1", "GNU.sparse.size", "1")}, "invalid tar header"},
		{"a long link", [][]byte{layer(t, symlink("a", strings.Repeat("x", 4096)))}, "a symbolic link of 4096 bytes; 4095 are the limit"},
		{"a large file", [][]byte{layer(t, file("a", strings.Repeat("x", 1<<20+1)))}, "its 1048577 bytes are too many"},
		{"large files", [][]byte{layer(t, file("a", strings.Repeat("x", 1<<19))), layer(t, file("b", strings.Repeat("x", 1<<19)), file("c", "x"))}, "expands to more than 1048576 bytes"},
		{"cut off", [][]byte{layer(t, file("a", "12345"))[:515]}, "it is cut off"},
		{"cut off in a header", [][]byte{layer(t, file("a", ""))[:300]}, "it is cut off"},
		{"no tar", [][]byte{bytes.Repeat([]byte("no tar "), 200)}, "read tar: archive/tar: invalid tar header"},
		{"gzip cut off", [][]byte{gzipped(t, layer(t, file("a", strings.Repeat("x", 5000))))[:100]}, "it is cut off"},
		{"garbage behind a gzip", [][]byte{append(gzipped(t, layer(t, file("a", ""))), "garbage behind"...)}, "gzip: invalid header"},
		{"the second gzip of one cut off", [][]byte{append(gzipped(t, layer(t, file("a", ""))[:1024]), gzipped(t, make([]byte, 5000))[:20]...)}, "it is cut off"},
		{"garbage behind a zstd", [][]byte{append(zstded(t, layer(t, file("a", ""))), "garbage behind"...)}, "magic number mismatch"},
		{"a zstd with a window of 3 GiB", [][]byte{{0x28, 0xb5, 0x2f, 0xfd, 0, 0xac, 1, 0, 0}}, "window size exceeded"},
		{"a zstd that says it has 1 EiB", [][]byte{{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0}}, "decompressed size exceeds"},
		{"what is compressed in another way", [][]byte{append([]byte("\xfd7zXZ\x00"), make([]byte, 600)...)}, "invalid tar header"},
		{"zstd cut off", [][]byte{zstded(t, layer(t, file("a", strings.Repeat("x", 5000))))[:60]}, "it is cut off"},
		{"zip bomb", [][]byte{gzipped(t, make([]byte, 10<<20))}, "expands to more than 1048576 bytes"},
		{"zip bomb behind the archive", [][]byte{gzipped(t, append(layer(t, file("a", "")), make([]byte, 10<<20)...))}, "expands to more than 1048576 bytes"},
		{"zstd bomb", [][]byte{zstded(t, append(layer(t, file("a", "")), make([]byte, 10<<20)...))}, "expands to more than 1048576 bytes"},
		{"sparse bomb", [][]byte{sparse(t, 1<<40)}, "its 1099511627776 bytes are too many"},
		{"sparse bombs", slices.Repeat([][]byte{sparse(t, 100_000)}, 11), "its 100000 bytes are too many"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree, _ := place(t, testLimits)
			var err error
			for _, l := range tt.layers {
				if err == nil {
					_, err = tree.Layer(context.Background(), bytes.NewReader(l))
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %s", err, tt.says)
			}
		})
	}
}

// typed is a layer of one entry, of the kind, whose end is left out.
func typed(t testing.TB, kind byte, data []byte) []byte {
	t.Helper()
	data = data[:len(data)-1024]
	data[156] = kind
	copy(data[148:156], "        ")
	sum := 0
	for _, c := range data[:512] {
		sum += int(c)
	}
	copy(data[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return data
}

// record is one of a pax header.
func record(key, value string) string {
	rest := fmt.Sprintf(" %s=%s\n", key, value)
	n := len(rest) + len(fmt.Sprint(len(rest)))
	if len(fmt.Sprint(n)) > len(fmt.Sprint(len(rest))) {
		n++
	}
	return fmt.Sprint(n) + rest
}

// pax is a layer of a file whose pax header says the pairs.
func pax(t testing.TB, pairs ...string) []byte {
	t.Helper()
	text := ""
	for i := 0; i < len(pairs); i += 2 {
		text += record(pairs[i], pairs[i+1])
	}
	return append(typed(t, 'x', layer(t, file("p", text))), layer(t, file("a", ""))...)
}

func gzipped(t testing.TB, data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, data []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(data, nil)
}

// sparse is a layer of a file a that is said to have size bytes, of which one is there.
func sparse(t testing.TB, size int64) []byte { return imagetest.Sparse(t, size) }

// Sparse files within the limits are what they say.
func TestSparse(t *testing.T) {
	tree, root := place(t, testLimits)
	if err := lay(t, tree, sparse(t, 10000)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "a"))
	if err != nil || len(data) != 10000 || data[9999] != 'x' || bytes.Count(data, []byte{0}) != 9999 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

// Room is asked for before anything is put on the disk: for all of a sparse file, of
// which the layer has one byte.
func TestRoom(t *testing.T) {
	full := errors.New("full")
	var asked []int64
	limits := testLimits
	limits.Room = func(bytes int64) error {
		if asked = append(asked, bytes); bytes > 500_000 {
			return full
		}
		return nil
	}
	tree, root := place(t, limits)
	if err := lay(t, tree, layer(t, dir("d"), file("d/small", "x"), symlink("l", "d"), file("e/large", strings.Repeat("x", 5000)))); err != nil {
		t.Error(err)
	}
	// d, d/small and what it has, l, e/large, e and what e/large has.
	if want := []int64{4096, 8192, 8192, 12288, 16384, 20480, 24576}; !slices.Equal(asked, want) {
		t.Errorf("room for %d, want %d", asked, want)
	}
	if err := lay(t, tree, sparse(t, 900_000)); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(filepath.Join(root, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that there is no room for: %v", err)
	}
}

// Zeros that no byte of the layer stands for end with the context as all else does.
func TestSparseCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	limits := testLimits
	limits.Room = func(bytes int64) error {
		if bytes > 500_000 {
			cancel(errors.New("enough"))
		}
		return nil
	}
	tree, root := place(t, limits)
	if _, err := tree.Layer(ctx, bytes.NewReader(sparse(t, 1_000_000))); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("got %v", err)
	}
	if info, err := os.Lstat(filepath.Join(root, "a")); err != nil || info.Size() != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestManyEntries(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range 1001 {
		h := dir(fmt.Sprintf("d%d", i))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	tree, _ := place(t, testLimits)
	_, err := tree.Layer(context.Background(), &b)
	if err == nil || !strings.Contains(err.Error(), "more than 1000 entries, which is the limit") {
		t.Errorf("got %v", err)
	}
	// Directories that no entry names count too.
	tree, _ = place(t, Limits{Bytes: 1 << 20, Entries: 100})
	if err := lay(t, tree, layer(t, file(strings.Repeat("a/", 60)+"x", ""), file(strings.Repeat("b/", 60)+"x", ""))); err == nil || !strings.Contains(err.Error(), "more than 100 entries") {
		t.Errorf("got %v", err)
	}
	// Names that are taken and given up again count.
	again := slices.Repeat([]tar.Header{file("a", "")}, 101)
	tree, _ = place(t, Limits{Bytes: 1 << 20, Entries: 100})
	if err := lay(t, tree, layer(t, again...)); err == nil || !strings.Contains(err.Error(), "more than 100 entries") {
		t.Errorf("got %v", err)
	}
}

// Names and links are bounded together: they are all in the list.
func TestLongNames(t *testing.T) {
	for name, l := range map[string][]byte{"a link": layer(t, symlink("l", strings.Repeat("x", maxText))), "a name": layer(t, file(strings.Repeat("d/", 50)+strings.Repeat("x", 200), ""))} {
		tree, _ := place(t, testLimits)
		tree.names = maxNames - 200 // of those before it
		if err := lay(t, tree, l); err == nil || !strings.Contains(err.Error(), "names and links in the image have more than 67108864 bytes") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Work that costs no entries is bounded too.
func TestDearWhiteouts(t *testing.T) {
	headers := []tar.Header{dir("d")}
	for i := range 50 {
		headers = append(headers, file(fmt.Sprintf("d/%d", i), ""))
	}
	headers = append(headers, slices.Repeat([]tar.Header{file("d/.wh..wh..opq", "")}, 400)...)
	tree, _ := place(t, Limits{Bytes: 1 << 20, Entries: 500})
	if err := lay(t, tree, layer(t, headers...)); err == nil || !strings.Contains(err.Error(), "too many links and whiteouts") {
		t.Errorf("got %v", err)
	}
}

// Whatever modes, owners and times a layer has: everybody may read, nobody gets
// rights.
func TestModes(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	tree, root := place(t, testLimits)
	owned := file("owned", "")
	owned.Uid, owned.Gid = 1234, 1234
	old1, far := file("old", ""), file("far", "")
	old1.ModTime, far.ModTime = time.Unix(-5, 0), time.Unix(1<<40, 0)
	err := lay(t, tree, layer(t, mode(file("suid", "x"), 0o6755), mode(file("secret", "x"), 0o000), mode(file("x", "x"), 0o100), mode(file("open", ""), 0o666),
		mode(dir("d"), 0o1777), mode(dir("closed"), 0), file("closed/implicit/f", "x"), owned, old1, far, file("dated", "")))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]fs.FileMode{
		"": fs.ModeDir | 0o755, "suid": 0o755, "secret": 0o644, "x": 0o755, "open": 0o644, "d": fs.ModeDir | 0o755, "closed": fs.ModeDir | 0o755,
		"closed/implicit": fs.ModeDir | 0o755, "closed/implicit/f": 0o644, "owned": 0o644,
	}
	for name, mode := range want {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%q has mode %v, %v; want %v", name, info.Mode(), err, mode)
		}
	}
	for name, at := range map[string]int64{"old": 0, "far": 0, "dated": 1000} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || info.ModTime().Unix() != at {
			t.Errorf("%s is of %v, %v", name, info.ModTime(), err)
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(root, "owned"), &st); err != nil || int(st.Uid) != os.Geteuid() {
		t.Errorf("owner %d, %v", st.Uid, err)
	}
	if tree.Skipped() != 0 {
		t.Errorf("%d entries were left out", tree.Skipped())
	}
}

func TestCompression(t *testing.T) {
	plain := layer(t, file("a", strings.Repeat("hello ", 5000)))
	sum := sha256.Sum256(plain)
	for name, data := range map[string][]byte{
		"plain": plain, "gzip": gzipped(t, plain), "zstd": zstded(t, plain),
		"several gzips": slices.Concat(gzipped(t, plain[:700]), gzipped(t, nil), gzipped(t, plain[700:])),
		"several zstds": slices.Concat(zstded(t, plain[:700]), zstded(t, plain[700:])),
	} {
		tree, root := place(t, testLimits)
		got, err := tree.Layer(context.Background(), bytes.NewReader(data))
		if err != nil || got != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		if content, err := os.ReadFile(filepath.Join(root, "a")); err != nil || len(content) != 30000 {
			t.Errorf("%s: %d bytes, %v", name, len(content), err)
		}
	}
}

// Each flipped bit shows: in an error, or in the diff id.
func TestFlippedBits(t *testing.T) {
	plain := layer(t, file("a", strings.Repeat("hello ", 50)))
	sum := sha256.Sum256(plain)
	for i := 0; i < len(plain); i += 13 {
		bad := bytes.Clone(plain)
		bad[i] ^= 1 << (i % 8)
		tree, _ := place(t, testLimits)
		got, err := tree.Layer(context.Background(), bytes.NewReader(bad))
		if err == nil && got == hex.EncodeToString(sum[:]) {
			t.Errorf("byte %d may be anything", i)
		}
		_ = tree.Close()
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("enough"))
	tree, _ := place(t, testLimits)
	if _, err := tree.Layer(ctx, bytes.NewReader(layer(t, file("a", "")))); err == nil || err.Error() != "enough" {
		t.Errorf("got %v", err)
	}
}

// FuzzLayer: whatever bytes come, nothing beside the root is touched, and nothing in
// it is more than files, directories and links.
func FuzzLayer(f *testing.F) {
	f.Add(layer(f, symlink("a", ".."), file("a/x", "1")), layer(f, link("h", "a/neighbour"), file("h", "2")))
	f.Add(gzipped(f, layer(f, dir("d"), device("d/null", tar.TypeChar))), zstded(f, layer(f, file("d/a", "x"))))
	f.Add(sparse(f, 5000), layer(f, file(".wh.a", "")))
	f.Fuzz(func(t *testing.T, one, two []byte) { harmless(t, one, two) })
}

// FuzzEntries is FuzzLayer with tars that are well made: each three bytes are an
// entry, its name and what it leads to.
func FuzzEntries(f *testing.F) {
	f.Add([]byte{2, 1, 9, 0, 5, 0, 0xff, 3, 6, 10, 0, 11, 0})
	f.Add([]byte{1, 3, 0, 0, 4, 0, 2, 1, 3, 0xff, 0, 7, 0, 0, 8, 0, 3, 2, 4})
	f.Fuzz(func(t *testing.T, ops []byte) {
		names := []string{"", "a", "b", "d", "d/x", "a/x", "a/neighbour", "d/.wh..wh..opq", ".wh.a", "..", "../neighbour", "a/.wh.neighbour", "/", "d/../..", ".", "d/e/f", "b/x/y"}
		name := func(b byte) string { return names[int(b)%len(names)] }
		var layers [][]byte
		var entries []tar.Header
		for len(ops) > 0 {
			if len(ops) < 3 || ops[0] == 0xff {
				layers, entries, ops = append(layers, layer(t, entries...)), nil, ops[1:]
				continue
			}
			switch n, to := name(ops[1]), name(ops[2]); ops[0] % 5 {
			case 0:
				entries = append(entries, file(strings.TrimRight(n, "/"), to))
			case 1:
				entries = append(entries, dir(n))
			case 2:
				entries = append(entries, symlink(n, to))
			case 3:
				entries = append(entries, link(n, to))
			case 4:
				entries = append(entries, mode(device(n, tar.TypeChar+ops[2]%4), int64(ops[2])<<4))
			}
			if last := entries[len(entries)-1]; tar.NewWriter(io.Discard).WriteHeader(&last) != nil {
				entries = entries[:len(entries)-1]
			}
			ops = ops[3:]
		}
		harmless(t, append(layers, layer(t, entries...))...)
	})
}

// harmless lays layers out, as far as they are taken, and looks at what came of it.
func harmless(t *testing.T, layers ...[]byte) {
	tree, root := place(t, Limits{Bytes: 1 << 18, Entries: 200})
	for _, l := range layers {
		if _, err := tree.Layer(context.Background(), bytes.NewReader(l)); err != nil {
			break
		}
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		kind := info.Mode().Type()
		if kind == fs.ModeSymlink {
			return nil
		}
		if kind != 0 && kind != fs.ModeDir || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky|0o022) != 0 {
			t.Fatalf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
