package helper

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/pack"
	"github.com/crosscc/crosscc/images"
)

// A client's own compilers, packed, make on a helper that has none the objects that
// they make at home; from the pack to the object everything is real.
func TestPackServes(t *testing.T) {
	made, err := pack.Make(t.Context(), []string{"/usr/bin/gcc-12", "/usr/bin/clang-14"}, "/usr/bin:/bin")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pack.oci")
	sum, size, err := made.WriteFile(file)
	if err != nil || size == 0 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	if again, _, err := made.WriteFile(file + "2"); err != nil || again != sum {
		t.Errorf("made again it is %s, not %s, %v", again, sum, err)
	}
	dir := enterableDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	st, err := images.OpenStore(filepath.Join(dir, "images"), images.Options{Logf: logrus.New().Debugf})
	if err != nil {
		t.Fatal(err)
	}
	h := newImaged(t, NewImages(st, images.SourceOptions{Engine: "off"}))
	src, err := images.Open(t.Context(), file, images.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if _, err := st.Add(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
	s := await(t, h, "the pack", serves(2))
	c := project(t)
	for _, driver := range []string{"/usr/bin/gcc-12", "/usr/bin/clang-14"} {
		home := native(t, newHelperWith(t, driver, nil))
		for _, tc := range s.Toolchains {
			if tc.Family != home.Family {
				continue
			}
			if tc.Digest() != home.Digest() {
				t.Errorf("%s in the pack is\n%s %v\nat home\n%s %v", driver, tc.Identity.Text(), tc.Fingerprint, home.Identity.Text(), home.Fingerprint)
			}
			c.sameAs(h, tc, driver, "-O2", "-g", "-Iinc", "-Ilinked", "-c", "src/a.c")
			c.sameAs(h, tc, driver, "-Iinc", "-c", "src/bad.c")
		}
	}
	for _, tc := range s.Toolchains {
		if tc.Family == argv.GCC {
			c.sameAs(h, tc, "/usr/bin/g++-12", "-O2", "-Iinc", "-c", "src/a.cc")
		}
	}
}
