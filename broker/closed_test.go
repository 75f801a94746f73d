package broker

import "testing"

func TestClosed(t *testing.T) {
	for name, open := range map[string]bool{
		// Where headers and sources lie.
		"/usr/include/stdio.h": true, "/usr/include/c++/12/bits/c++config.h": true, "/usr/include/c++/12/vector": true,
		"/usr/lib/gcc/x86_64-linux-gnu/12/include/stddef.h": true, "/usr/lib/gcc/x86_64-linux-gnu/12/include-fixed/limits.h": true,
		"/usr/lib/llvm-14/lib/clang/14.0.6/include/stddef.h": true, "/usr/aarch64-linux-gnu/include/stdio.h": true,
		"/usr/lib/x86_64-linux-gnu/glib-2.0/include/glibconfig.h": true, "/usr/local/include/x.h": true,
		"/usr/aarch64-unknown-linux-gnu/sys-include/x.h": true, "/usr/lib64/dbus-1.0/include/d.h": true, "/lib/include/x.h": true,
		"/usr/src/linux/init/main.c": true, "/usr/obj/a.c": true, "/usr/local/src/p/a.c": true,
		"/usr/share/cmake-3.25/Modules/CMakeCCompilerABI.c": true, "/usr/local/share/cmake/Modules/x/a.h": true, "/usr/share/cmake-3.25/Modules": false,
		"/usr/share/cmake-3.25/Modules/specs": false, "/usr/share/cmake/libx.so": false, "/usr/share/cmake-3.25/a.c": false, "/usr/share/cmakes/Modules/a.c": false,
		"/home/u/p/a.c": true, "/root/a.c": true, "/tmp/b/a.c": true, "/var/tmp/portage/x/work/a.c": true, "/opt/q/include/x.h": true,
		"/work/a.c": true, "/a.c": true, "/build/lib/a.c": true, "/nix/store/h-glibc-dev/include/stdio.h": true, "/home/u/specs/a.c": true,
		// The system's places.
		"/etc/ld.so.preload": false, "/etc/passwd": false, "/etc/include/a.h": false, "/proc/self/maps": false, "/dev/null": false,
		"/sys/x": false, "/run/x": false, "/.crosscc/0.o": false, "/.crosscc-argv0/cc": false, "/bin/as": false, "/sbin/x": false,
		"/lib": false, "/lib/x": false, "/lib64/x": false, "/libexec/x": false, "/usr": false, "/usr/x": false, "/usr/bin/as": false,
		"/usr/include": false, "/usr/src": false, "/usr/srcs/a.c": false, "/usr/lib/gcc/x86_64-linux-gnu/12/cc1": false, "/usr/lib/gcc/x86_64-linux-gnu/12/a.h": false,
		"/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v2/x": false, "/usr/share/locale/C/x": false, "/usr/local/bin/as": false,
		"/usr/lib/llvm-14/bin/x": false, "/usr/x86_64-linux-gnu/bin/as": false, "/usr/share/x.h": false, "/usr/libinclude/x.h": false,
		// Names that are looked for.
		"/usr/lib/gcc/x86_64-linux-gnu/12/include/specs": false, "/opt/x/lib/gcc/t/12/specs": false, "/home/u/libz.so": false,
		"/home/u/libz.so.1": false, "/w/x.h.gch": false, "/w/x.h.gch/c": false, "/w/x.pch": false, "/w/clang.cfg": false,
		"/opt/x/share/locale/C.UTF-8/LC_MESSAGES/gcc.mo": false, "/w/gconv-modules": false, "/opt/x/lib/libgomp.spec": false,
		"/opt/x/share/locale/locale.alias": false, "/w/nano.specs": false,
	} {
		if why := Closed(name); (why == "") != open {
			t.Errorf("Closed(%s) = %q, want open: %t", name, why, open)
		}
	}
}

func TestClosedLink(t *testing.T) {
	for _, tt := range []struct {
		name, target string
		open         bool
	}{
		{"/lib", "usr/lib", true}, {"/bin", "usr/bin", true}, {"/lib64", "usr/lib64", true}, {"/sbin", "usr/bin", true}, {"/usr/lib64", "lib", true},
		{"/lib", "/usr/lib", false}, {"/lib", "home/evil", false}, {"/lib", "usr/lib/../../w", false}, {"/usr", "w", false}, {"/etc", "w", false},
		{"/usr/lib", "w", false}, {"/usr/lib/gcc", "/w", false}, {"/usr/lib/gcc/t/12/specs", "/w/x", false}, {"/.crosscc", "/w", false},
		{"/usr/lib/clang/14/include", "../../llvm-14/lib/clang/14.0.6/include", true}, {"/usr/include", "/w/include", true},
		{"/usr/lib/clang/14/lib", "../../llvm-14/lib/clang/14.0.6/lib", false},
		{"/usr/include/asm", "x86_64-linux-gnu/asm", true}, {"/usr/include/cblas.h", "/etc/alternatives/cblas.h", false},
		{"/home/u/w", "/work/w", true}, {"/home/u/inc", "/usr/include", true}, {"/home/u/linux", "/usr/src/linux", true}, {"/home/u/src", "/usr/src", true},
		{"/home/u/lib", "/usr/lib", false}, {"/home/u/lib", "../../usr/lib/gcc", false}, {"/home/u/etc", "/etc", false}, {"/home/u/self", "/proc/self", false},
		{"/home/u/up", "../../../../..", true}, {"/home/u/loop", "loop", true}, {"/home/u/x.so", "x.h", false}, {"/home/u/x.h.gch", "y", false},
		{"/home/u/x", "/.crosscc/0.o", false},
	} {
		if why := ClosedLink(tt.name, tt.target); (why == "") != tt.open {
			t.Errorf("ClosedLink(%s, %s) = %q, want open: %t", tt.name, tt.target, why, tt.open)
		}
	}
}

func TestClosedTree(t *testing.T) {
	for name, d := range map[string]*Dir{
		"":                 {Dirs: []Subdir{{"usr", &Dir{Dirs: []Subdir{{"lib", new(Dir)}}}}}},
		"/usr/lib/x":       {Dirs: []Subdir{{"usr", &Dir{Dirs: []Subdir{{"lib", &Dir{Files: []File{{Name: "x"}}}}}}}}},
		"/etc":             {Dirs: []Subdir{{"etc", new(Dir)}}},
		"/.crosscc-argv0":  {Dirs: []Subdir{{".crosscc-argv0", new(Dir)}}},
		"/home/u/proc":     {Dirs: []Subdir{{"home", &Dir{Dirs: []Subdir{{"u", &Dir{Links: []Link{{"proc", "/proc"}}}}}}}}},
		"/w/libevil.so.99": {Dirs: []Subdir{{"w", &Dir{Files: []File{{Name: "a.c"}, {Name: "libevil.so.99"}}}}}},
	} {
		if got, why := d.Closed(); got != name || (why == "") != (name == "") {
			t.Errorf("Closed = %q, %q, want %q", got, why, name)
		}
	}
}
