package catalog

import (
	"strings"
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
		if why := p.Closed(name, false); (why == "") != open {
			t.Errorf("closed(%s) = %q, want open: %t", name, why, open)
		}
	}
	for name, open := range map[string]bool{
		"/opt": false, "/opt/x": false, "/srv/libs": false, "/srv/libs/v1": false, "/opt/x/lib": false, "/opt/x/lib/gcc/t/12/include": true,
		"/opt/x/src": true, "/opt/y": true, "/home": false, "/home/u/w": true,
	} {
		if why := p.Closed(name, true); (why == "") != open {
			t.Errorf("closed(link %s) = %q, want open: %t", name, why, open)
		}
	}
}

// FuzzPrivate: no file of a tree may lie where the toolchain's programs are,
// whatever its name is made of.
func FuzzPrivate(f *testing.F) {
	for _, name := range []string{"/opt/gcc/bin/as", "/opt/gcc/lib/gcc/x/12/cc1", "/opt/gcc/libexec/x", "/opt/gcc/lib/gcc/x/12/include/a.h", "/opt/gcc/share/x", "/opt/gcc/src/a.c", "/w/a.c", "/opt"} {
		f.Add(name, true)
		f.Add(name, false)
	}
	tc := toolchains.Toolchain{Programs: []string{"/opt/gcc/bin/gcc", "/opt/gcc/lib/gcc/x/12/cc1"}}
	p := privateOf(tc, []sandbox.Bind{{Dest: "/opt/gcc/lib64/libz.so.1", Source: "/x"}, {Dest: "/opt"}})
	f.Fuzz(func(t *testing.T, name string, link bool) {
		if !strings.HasPrefix(name, "/") || broker.CleanRelative(name[1:]) == false {
			return
		}
		why := p.Closed(name, link)
		for _, dir := range []string{"/opt/gcc/bin/", "/opt/gcc/lib/gcc/x/12/", "/opt/gcc/lib64/"} {
			rest, inside := strings.CutPrefix(name, dir)
			part, _, deeper := strings.Cut(rest, "/")
			if inside && why == "" && (!deeper && !(link && broker.IsInclude(part)) || deeper && !strings.Contains("/"+rest, "/include") && !strings.Contains("/"+rest, "/sys-include")) {
				t.Errorf("%s is open", name)
			}
		}
	})
}
