package helper

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/crosscc/crosscc/broker"
)

// TestToolchainElsewhere: a tree beside a toolchain that is not the system's.
func TestToolchainElsewhere(t *testing.T) {
	dir := enterableDir(t)
	driver := filepath.Join(dir, "bin/gcc-12")
	copyFile(t, "/usr/bin/gcc-12", driver)
	copyFile(t, "/usr/lib/gcc/x86_64-linux-gnu/12/cc1", filepath.Join(dir, "lib/gcc/x86_64-linux-gnu/12/cc1"))
	h := newWalled(t, driver)
	tc := nativeOf(t, h)
	for name, open := range map[string]bool{
		"/lib/gcc/x86_64-linux-gnu/12/include/h.h": true, "/x86_64-linux-gnu/include/h.h": true, "/src/h.h": true,
		"/lib/gcc/x86_64-linux-gnu/12/h.h": false, "/lib/gcc/h.h": false, "/bin/h.h": false, "/share/locale/h.h": false, "/lib/gcc/x86_64-linux-gnu/12/specs": false,
	} {
		j := &broker.Job{
			Name: "gcc-12", Identity: tc.Identity, Fingerprint: tc.Fingerprint, Dir: "/w", Form: broker.Tree,
			Args: []string{"-I.", "-c", "a.c", "-o", "out.o"}, Outputs: []string{"out.o"},
			Root: treeOf("/w/a.c", "#include \""+dir+name+"\"\n", dir+name, "int h;\n"),
		}
		res, err := h.Run(t.Context(), j)
		if open && (err != nil || res.ExitCode != 0) {
			t.Errorf("%s: %+v %v", name, res, err)
		}
		if r, ok := errors.AsType[*broker.Refusal](err); !open && (!ok || r.Reason != ReasonTreeClosed) {
			t.Errorf("%s: got %v, want a refusal because of %s", name, err, ReasonTreeClosed)
		}
	}
}
