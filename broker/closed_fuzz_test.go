package broker

import (
	"path"
	"strings"
	"testing"
)

// FuzzClosed: what is open is none of the system's places, has no name that is
// looked for, and stays so with a suffix that a source has; and a link is open only
// where a file of its name would be, or an include directory, and where it leads.
func FuzzClosed(f *testing.F) {
	for _, s := range [][2]string{
		{"/w/a.c", "/usr/include"}, {"/usr/lib/gcc/x/12/include/a.h", "../x"}, {"/etc/passwd", "/proc"}, {"/lib", "usr/lib"}, {"/home/u/l", "../../etc/../w"},
		{"/w/a.gch/x", "."}, {"/.crosscc-native", "/w"}, {"/usr/src/a", "/usr/src"}, {"/w/libx.so.1", "//etc//"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, name, target string) {
		if !strings.HasPrefix(name, "/") || name == "/" || path.Clean(name) != name || target == "" {
			return
		}
		if Closed(name) == "" {
			checkOpen(t, name)
		}
		if ClosedLink(name, target) != "" || mergedUsr[name] != nil {
			return
		}
		to := target
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(name), to)
		}
		for _, top := range closedTops {
			if to = path.Clean(to); to == "/"+top || strings.HasPrefix(to, "/"+top+"/") || strings.HasPrefix(name, "/"+top+"/") || name == "/"+top {
				t.Errorf("link %q to %q is open", name, target)
			}
		}
		if closedName(name) != "" {
			t.Errorf("link %q is open", name)
		}
	})
}

func checkOpen(t *testing.T, name string) {
	parts := strings.Split(name[1:], "/")
	for _, top := range []string{"proc", "dev", "sys", "etc", "run", "bin", "sbin"} {
		if parts[0] == top && (top != "bin" && top != "sbin" || !strings.Contains(name, "/include") && !strings.Contains(name, "/sys-include")) {
			t.Errorf("%q is open", name)
		}
	}
	if strings.HasPrefix(parts[0], ".crosscc") {
		t.Errorf("%q is open", name)
	}
	for i, part := range parts {
		last := i == len(parts)-1
		if last && (part == "specs" || strings.HasSuffix(part, ".so") || strings.Contains(part, ".so.") || strings.HasSuffix(part, ".cfg") || strings.HasSuffix(part, ".mo")) || strings.HasSuffix(part, ".gch") || strings.HasSuffix(part, ".pch") {
			t.Errorf("%q is open", name)
		}
	}
}
