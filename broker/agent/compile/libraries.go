package compile

import (
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// otherLibrary names a library that LD_LIBRARY_PATH puts in the place of one
// that the compiler was found to have; or a directory of it that only the loader
// knows. Empty and relative directories are those below the working directory, and
// semicolons part them as well (ld.so(8)).
func (c *Compile) otherLibrary() string {
	value := c.Session.Getenv("LD_LIBRARY_PATH")
	if value == "" {
		return ""
	}
	libs := c.libraries()
	for dir := range strings.SplitSeq(strings.ReplaceAll(value, ";", ":"), ":") {
		if strings.Contains(dir, "$") { // $LIB and its kin
			return dir
		}
		if lib := c.libraryIn(c.Session.Abs(dir), libs, maxLegacy); lib != "" {
			return lib
		}
	}
	return ""
}

// maxLegacy is how deep a loader of glibc before 2.37 goes: tls, a platform, a set of
// features.
const maxLegacy = 3

// legacy are the directories that such a loader looks into on the machines that have
// any, each also within the others.
var legacy = [...]string{"tls", "x86_64", "haswell", "xeon_phi", "avx512_1", "i586", "i686", "aarch64", "atomics", "power8", "power9", "power10", "z13", "z14", "z15", "z16"}

// maxHwcaps bounds the sets of features in a directory.
const maxHwcaps = 100

// libraryIn names one of libs that the loader would find by a directory.
func (c *Compile) libraryIn(dir string, libs []string, deep int) string {
	files := c.Session.Files
	if st, err := files.Stat(dir); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return ""
	}
	for _, lib := range libs {
		if _, err := files.Stat(dir + "/" + lib); err == nil {
			return path.Join(dir, lib)
		}
	}
	if deep == 0 {
		return ""
	}
	sets, err := files.ReadDir(dir+"/glibc-hwcaps", maxHwcaps)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return path.Join(dir, "glibc-hwcaps")
	}
	for _, set := range sets {
		if lib := c.libraryIn(dir+"/glibc-hwcaps/"+set, libs, 0); lib != "" {
			return lib
		}
	}
	for _, sub := range legacy {
		if lib := c.libraryIn(dir+"/"+sub, libs, deep-1); lib != "" {
			return lib
		}
	}
	return ""
}

// libraries are those that move what a compiler computes: the fingerprinted
// ones and the C and C++ libraries' own.
func (c *Compile) libraries() []string {
	list := []string{"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1"}
	for role := range c.Toolchain.Fingerprint {
		if lib, ok := strings.CutPrefix(role, "lib:"); ok {
			list = append(list, lib)
		}
	}
	return list
}
