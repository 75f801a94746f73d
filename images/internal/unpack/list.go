package unpack

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A Tally is what List counted.
type Tally struct {
	Entries int
	Bytes   int64 // of the disk
}

// block is what file systems give out, in bytes.
const block = 4096

// onDisk is what a file of size bytes takes of the disk.
func onDisk(size int64) int64 { return max(block, (size+block-1)/block*block) }

// An Item is one name of an unpacked image.
type Item struct {
	Path string // from the root: usr/bin/gcc
	// What is all that it is: type, mode, times and content. Hard links are not told
	// from copies.
	What string
	// Err says why that could not be found out.
	Err error
}

// Walk tells of everything in dir, in the order of names, of whatever bytes they are:
// package fs has names of UTF-8 only. Each file is read.
func Walk(dir string, visit func(Item, fs.FileInfo) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return walk(root, ".", make(map[uint64]string), visit)
}

// walk is Walk from one name on. sums are of inodes that have several names.
func walk(root *os.Root, name string, sums map[uint64]string, visit func(Item, fs.FileInfo) error) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	what, err := describe(root, name, info, sums)
	if err := visit(Item{Path: name, What: what, Err: err}, info); err != nil || !info.IsDir() {
		return err
	}
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		if err := walk(root, path.Join(name, n), sums, visit); err != nil {
			return err
		}
	}
	return nil
}

// describe is an item's What.
func describe(root *os.Root, name string, info fs.FileInfo, sums map[uint64]string) (string, error) {
	switch info.Mode().Type() {
	case fs.ModeDir:
		return fmt.Sprintf("directory %04o", info.Mode().Perm()), nil
	case fs.ModeSymlink:
		text, err := root.Readlink(name)
		return fmt.Sprintf("link %q", text), err
	case 0:
	default:
		return info.Mode().Type().String(), nil
	}
	sum, err := sumOf(root, name, info, sums)
	return fmt.Sprintf("file %04o%s %d %d %s", info.Mode().Perm(), special(info.Mode()), info.Size(), info.ModTime().UnixNano(), sum), err
}

// special are the bits of a mode that no file of ours has.
func special(m fs.FileMode) string {
	if m&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
		return "s"
	}
	return ""
}

func sumOf(root *os.Root, name string, info fs.FileInfo, sums map[uint64]string) (string, error) {
	st, _ := info.Sys().(*syscall.Stat_t)
	if st != nil && sums[st.Ino] != "" {
		return sums[st.Ino], nil
	}
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	sum := fmt.Sprintf("%x", h.Sum(nil))
	if st != nil && st.Nlink > 1 {
		sums[st.Ino] = sum
	}
	return sum, nil
}

// List writes one line for each name in dir and counts them.
func List(dir string, w io.Writer) (Tally, error) {
	var t Tally
	out := bufio.NewWriter(w)
	seen := make(map[uint64]bool)
	err := Walk(dir, func(i Item, info fs.FileInfo) error {
		if i.Err != nil {
			return i.Err
		}
		t.Entries++
		st, _ := info.Sys().(*syscall.Stat_t)
		if st == nil || st.Nlink < 2 || info.IsDir() || !seen[st.Ino] {
			t.Bytes += onDisk(info.Size())
		}
		if st != nil && st.Nlink > 1 {
			seen[st.Ino] = true
		}
		_, err := fmt.Fprintf(out, "%q %s\n", i.Path, i.What)
		return err
	})
	if err != nil {
		return t, err
	}
	return t, out.Flush()
}

// ParseItem reads a line of List.
func ParseItem(line string) (Item, bool) {
	quoted, err := strconv.QuotedPrefix(line)
	if err != nil {
		return Item{}, false
	}
	name, err := strconv.Unquote(quoted)
	what, ok := strings.CutPrefix(line[len(quoted):], " ")
	return Item{Path: name, What: what}, err == nil && ok
}
