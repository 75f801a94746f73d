package helper

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/toolchains"
)

func TestPrivate(t *testing.T) {
	p := privateOf(toolchains.Toolchain{Programs: []string{"/opt/x/bin/t-gcc", "/opt/x/libexec/gcc/t/12/cc1", "/home/u/bin/gcc"}}, []sandbox.Bind{
		{Dest: "/opt/x"}, {Dest: "/opt/x/bin/t-gcc", Link: "t-gcc-12"}, {Dest: "/opt/x/bin/t-gcc-12", Source: "/opt/x/bin/t-gcc-12"},
		{Dest: "/srv/libs/v1/libz.so.1", Source: "/srv/libs/v1/libz.so.1"}, {Dest: "/lib", Link: "usr/lib"},
	})
	for name, open := range map[string]bool{
		"/opt/x/bin/a.h": false, "/opt/x/bin/deep/a.h": false, "/opt/x/libexec/gcc/t/12/a.h": false, "/opt/x/lib/gcc/t/12/a.h": false,
		"/opt/x/lib64/a": false, "/opt/x/share/locale/a": false, "/opt/x/etc/a": false, "/srv/libs/v1/a": false, "/srv/libs/v1/hwcaps/a": false,
		"/opt/x/lib/gcc/t/12/include/a.h": true, "/opt/x/t/include/a.h": true, "/opt/x/include/c++/12/vector": true, "/opt/x/src/a.c": true, "/opt/y/lib/a.c": true,
		"/opt/x/lib/include": false, "/opt/x/libexec/gcc/t/12/include-fixed/a.h": true, "/srv/libs/v2/a": true, "/srv/lib/a": true, "/opt": false, "/opt/x/libexec": false,
		"/home/u/p/lib/a.c": true, "/home/u/lib/a.c": false, "/home/u/bin/a": false, "/home/u/p/a.c": true, "/home/bin/a.c": true, "/w/a.c": true,
		"/lib/a": true, // broker.Closed has the system's
	} {
		if why := p.closed(name, false); (why == "") != open {
			t.Errorf("closed(%s) = %q, want open: %t", name, why, open)
		}
	}
	for name, open := range map[string]bool{
		"/opt": false, "/opt/x": false, "/srv/libs": false, "/srv/libs/v1": false, "/opt/x/lib": false, "/opt/x/lib/gcc/t/12/include": true,
		"/opt/x/src": true, "/opt/y": true, "/home": false, "/home/u/w": true,
	} {
		if why := p.closed(name, true); (why == "") != open {
			t.Errorf("closed(link %s) = %q, want open: %t", name, why, open)
		}
	}
}

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
