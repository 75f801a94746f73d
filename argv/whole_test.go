package argv

import (
	"slices"
	"testing"
)

func TestWhole(t *testing.T) {
	for _, tc := range []struct {
		driver     Driver
		args, want string
	}{
		{Driver{Family: GCC}, "-O2 -Iinc -DX=1 -g -c src/a.c", "-O2 -Iinc -DX=1 -g EXTRA -c src/a.c -o out.o"},
		{Driver{Family: GCC}, "-c /w/a.c -o b/a.o -S -include x.h", "-include x.h EXTRA -S /w/a.c -o out.o"},
		// The driver's own target is the build's object, whatever the helper's is called.
		{Driver{Family: GCC}, "-MD -c a.c -o b/a.o", "EXTRA -Wp,-MD,out.d -MQ b/a.o -c a.c -o out.o"},
		{Driver{Family: GCC}, "-MMD -MP -MF x/y.d -c a.c", "EXTRA -Wp,-MMD,out.d -MQ a.o -MP -c a.c -o out.o"},
		{Driver{Family: GCC}, "-MD -MT t$ -MQ u -c a.c -o b.o", "EXTRA -Wp,-MD,out.d -MT t$ -MQ u -c a.c -o out.o"},
		{Driver{Family: GCC}, "-Wp,-MD,.a.d -Wp,-MT,a.lo,-DY -c a.c -o b.o",
			"EXTRA -Xpreprocessor -MT -Xpreprocessor a.lo -Xpreprocessor -DY -Wp,-MD,out.d -c a.c -o out.o"},
		{Driver{Family: GCC}, "-Wp,-MD,.a.d -c a.c -o b.o", "EXTRA -Wp,-MD,out.d -MQ a.o -c a.c -o out.o"},
		{Driver{Family: GCC}, "-x c++ -lfoo -L. -c a.x -o a.o", "-lfoo -L. EXTRA -x c++ -c a.x -o out.o"},
		{Driver{Family: GCC}, "-march=native -march=x86-64 -c a.c", "-march=x86-64 EXTRA -c a.c -o out.o"},
		{Driver{Family: Clang}, "-Wp,-MD,.a.d -lfoo -c a.c -o b.o", "-lfoo EXTRA -MD -MF out.d -MQ b.o -c a.c -o out.o"},
		{Driver{Family: Clang}, "-Wp,-DX -MD -MMD -c a.c", "EXTRA -Xpreprocessor -DX -MD -MMD -MF out.d -MQ a.o -c a.c -o out.o"},
		{Driver{Family: Clang, CXX: true}, "-stdlib=libc++ -nobuiltininc -ibuiltininc -c a.cc", "EXTRA -c a.cc -o out.o"},
	} {
		env := Env{Driver: tc.driver}
		c := Parse(cmd(tc.args), env)
		if v := c.Verdict(); !v.Remote {
			t.Errorf("%s: %+v", tc.args, v)
			continue
		}
		if got := c.Whole("out.o", "out.d", "EXTRA"); !slices.Equal(got, cmd(tc.want)) {
			t.Errorf("%s:\n got %q\nwant %q", tc.args, got, cmd(tc.want))
		}
		sent := c.Whole("out.o", "out.d")
		env.Job = true
		again := Parse(sent, env)
		if got := again.Whole("out.o", "out.d"); !slices.Equal(got, sent) || again.Output() != "out.o" {
			t.Errorf("%s: what is sent, %q, becomes %q", tc.args, sent, got)
		}
		if err := AdmitWhole(again); err != nil {
			t.Errorf("%s: %v", tc.args, err)
		}
	}
}

func TestUntellable(t *testing.T) {
	for _, tc := range []struct {
		driver Driver
		args   string
		want   bool
	}{
		{Driver{Family: GCC}, "-x c -c a.c", false},
		{Driver{Family: GCC}, "-c a.c -x c++", true},
		{Driver{Family: GCC}, "-nostdinc -nostdinc++ -c a.c", false},
		{Driver{Family: Clang}, "-c a.c -x c++", false},
		{Driver{Family: Clang}, "-nostdinc -c a.c", false},
		{Driver{Family: Clang}, "-stdlib=libc++ -c a.c", true},
		{Driver{Family: Clang}, "-nostdinc++ -c a.c", true},
		{Driver{Family: Clang}, "-nostdinc++ -Qunused-arguments -c a.c", false},
		{Driver{Family: Clang}, "-nostdlibinc -c a.c", true},
		{Driver{Family: Clang, CXX: true}, "-stdlib=libc++ -c a.cc", false},
		{Driver{Family: Clang, CXX: true}, "-nostdinc++ -c a.cc", false},
		{Driver{Family: Clang, CXX: true}, "-nostdinc++ -stdlib=libc++ -c a.cc", true},
		{Driver{Family: Clang, CXX: true}, "-nobuiltininc -ibuiltininc -c a.cc", true},
	} {
		if got := Parse(cmd(tc.args), Env{Driver: tc.driver}).Untellable(); (got != "") != tc.want {
			t.Errorf("%s %s: %q, want one: %t", tc.driver.Family, tc.args, got, tc.want)
		}
	}
}

func TestAdmitWholeBad(t *testing.T) {
	for _, f := range []Family{GCC, Clang} {
		for _, s := range []string{
			"-c a.c -o /a.o", "-c a.c -o ../a.o", "-c a.c", "-MD -MF /x -c a.c -o a.o", "-MD -MF ../x -c a.c -o a.o", "-Wp,-MD,/x -c a.c -o a.o",
			"-I @x -c a.c -o a.o", "-I@x -c a.c -o a.o", "-D@x -c a.c -o a.o", "-isysroot@x -c a.c -o a.o", "--sysroot=@x -c a.c -o a.o", "--include=@x -c a.c -o a.o",
			"-MD -MF d -MT@x -c a.c -o a.o", "-Wp,-I,@x -c a.c -o a.o", "-Wp,-D@x -c a.c -o a.o", "-Xpreprocessor -I -Xpreprocessor @x -c a.c -o a.o",
			"-dumpdir @x -dumpbase a.c -dumpbase-ext .c -c a.c -o a.o", "-dumpdir x -dumpbase @a.c -dumpbase-ext .c -c a.c -o a.o", "-c ./@a.c -o a.o", "-c x/@a.c -o a.o",
			"-include @x -c a.c -o a.o", "-MD -MT @x -MF d -c a.c -o a.o", "-Xlinker @x -c a.c -o a.o", "-fplugin=x -c a.c -o a.o",
			"-specs=x -c a.c -o a.o", "-B. -c a.c -o a.o", "-wrapper x -c a.c -o a.o", "-Xclang -load -Xclang x -c a.c -o a.o", "-c a.c b.c -o a.o",
			"a.c -o a.o", "-c a.c -o a.o -fdump-tree-all=x", "-march=native -c a.c -o a.o", "-Wp,-o,x -c a.c -o a.o", "-Xpreprocessor -fplugin=x -c a.c -o a.o",
			"-Xclang -internal-isystem -c a.c -o a.o", "-fopt-info-vec=/x -c a.c -o a.o", "-aux-info ../x -c a.c -o a.o", "-aux-info @x -c a.c -o a.o",
			"--serialize-diagnostics /x -c a.c -o a.o", "-fsanitize-system-ignorelist=/x -c a.c -o a.o", "-fsanitize=@x -c a.c -o a.o", "-fprofile-use=@x -c a.c -o a.o", "-fprofile-dir=/x -c a.c -o a.o",
			"-dumpbase x/a.c -dumpbase-ext .c -dumpdir y -c a.c -o a.o", "-dumpdir x -c a.c -o a.o", "-Xclang -coverage-data-file -Xclang -load -c a.c -o a.o",
			"-fprofile-note=/x --coverage -frandom-seed=1 -c a.c -o a.o", "-flto=/x -frandom-seed=1 -c a.c -o a.o", "-fuse-ld=x -fplugin=y -c a.c -o a.o", "-idirafter x -fdump-passes -c a.c -o a.o",
		} {
			if err := AdmitWhole(Parse(cmd(s), Env{Family: f, Job: true})); err == nil {
				t.Errorf("%s: %s is admitted", f, s)
			}
		}
	}
}

// The scanner does not follow a directory that a user hands to -cc1 as the driver would.
func TestCC1DirectoriesAreSeen(t *testing.T) {
	c := Parse(cmd("-Xclang -internal-isystem -Xclang /x -c a.c"), Env{Driver: Driver{Family: Clang}})
	if !slices.Contains(c.Preprocessor(), Option{"-Xclang", "-internal-isystem"}) {
		t.Errorf("preprocessor words %q", c.Preprocessor())
	}
}
