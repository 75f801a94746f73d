package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
)

// attempts is the attack corpus (issue 5): reading, executing, connecting, filling
// up, never ending, and names that lead elsewhere.
func attempts(s *stronghold) []attempt {
	return slices.Concat(reading(s), executing(s), connecting(s), filling(s), names(s), malformed(s))
}

func reading(s *stronghold) (list []attempt) {
	const no = `compiler's no: .*(No such file|no such file|not found|Could not find)`
	gone := func(name string, j *broker.Job) { list = append(list, attempt{name: name, want: no, job: j}) }
	refused := func(name string, j *broker.Job) { list = append(list, attempt{name: name, want: `refused: `, job: j}) }
	for _, at := range [][2]string{
		{"/etc/passwd", "/etc/passwd"}, {"a secret of the helper", s.state + "/secret"}, {"its environment", "/proc/self/environ"},
	} {
		what, file := at[0], at[1]
		for _, driver := range []string{"gcc-12", "clang-14"} {
			gone(driver+" #include "+what, s.tree(driver, "#include \""+file+"\"\n", nil))
			gone(driver+" .incbin "+what, s.tree(driver, "__asm__(\".incbin \\\""+file+"\\\"\");\n", nil))
			gone(driver+" .incbin in pieces, "+what, s.text(driver, "__asm__(\".inc\" \"bin \\\""+file+"\\\"\");\n"))
			gone(driver+" -include "+what, s.tree(driver, "int x;\n", []string{"-include", file}))
			gone(driver+" -imacros "+what, s.tree(driver, "int x;\n", []string{"-imacros", file}))
		}
		refused("preprocessed .incbin "+what, s.text("gcc-12", "__asm__(\".incbin \\\""+file+"\\\"\");\n"))
		asm := s.tree("gcc-12", "", nil, "/w/b.S", "#include \""+file+"\"\n")
		asm.Args = []string{"-nostdinc", "-c", "b.S", "-o", "a.o"}
		gone("assembler's #include "+what, asm)
		linked := refused
		if what == "a secret of the helper" { // to the client that is a place like any other, and it is not there
			linked = gone
		}
		linked("a link to "+what, s.tree("gcc-12", "#include \"x.h\"\n", nil, "/w/x.h", "->"+file))
	}
	list = append(list,
		attempt{name: "gcc -fprofile-use=/etc", want: `compiled: `, job: s.tree("gcc-12", "int f(int a) { return a; }\n", []string{"-fprofile-use=/etc/passwd"})},
		attempt{name: "clang -fprofile-use=/etc/passwd", want: no, job: s.tree("clang-14", "int x;\n", []string{"-fprofile-use=/etc/passwd"})},
		attempt{name: "clang -fsanitize-ignorelist=/etc/passwd", want: no, job: s.tree("clang-14", "int x;\n", []string{"-fsanitize=address", "-fsanitize-ignorelist=/etc/passwd"})},
		attempt{name: "a list of sanitizers in the secret", want: no, job: s.tree("clang-14", "int x;\n", []string{"-fsanitize=address", "-fsanitize-ignorelist=" + s.state + "/secret"})},
		attempt{name: "__has_include of all of it", want: `compiled: `, job: s.tree("gcc-12", hasInclude(s.state, s.state+"/secret", s.state+"/store", s.state+"/views",
			"/etc/passwd", "/etc/hostname", "/proc/self/stat", "/sys/kernel", "/home", "/root", "/run", "/var", "/dev/mem", "/usr/include/stdio.h", os.Args[0]), nil)},
		attempt{name: "@/etc/passwd", want: `refused: `, job: s.tree("gcc-12", "int x;\n", []string{"@/etc/passwd"})},
		attempt{name: "-I@/etc/passwd", want: `refused: `, job: s.tree("gcc-12", "int x;\n", []string{"-I@/etc/passwd"})},
	)
	refused("a link to a directory of the system", s.tree("gcc-12", "#include \"d/passwd\"\n", nil, "/w/d", "->/etc"))
	gone("a link to the helper's state", s.tree("gcc-12", "#include \"d/secret\"\n", nil, "/w/d", "->"+s.state))
	gone("up by a link", s.tree("gcc-12", "#include \"up"+s.state+"/secret\"\n", nil, "/w/up", "->../../../../../../.."))
	return list
}

// hasInclude is a source that can't be compiled where one of the files is seen.
func hasInclude(files ...string) string {
	var b strings.Builder
	for _, f := range files {
		fmt.Fprintf(&b, "#if __has_include(\"%s\")\n#error \"%s is seen\"\n#endif\n", f, f)
	}
	return b.String() + "int x;\n"
}

// plugin is a library that says so when it is loaded.
func plugin() string {
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("gcc-12", "-shared", "-fPIC", "-w", "-o", filepath.Join(dir, "p"), "-x", "c", "-")
	cmd.Stdin = strings.NewReader("int plugin_is_GPL_compatible;\n__attribute__((constructor)) static void evil(void) { __builtin_puts(\"crosscc-evil\"); __builtin_trap(); }\nint plugin_init(void *a, void *b) { return 0; }\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return string(out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "p"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func executing(s *stronghold) (list []attempt) {
	evil := plugin()
	script := "#!/bin/sh\necho crosscc-evil\n"
	// The tree of these is open: it is the word that is refused.
	const word = `refused: (not one plain compile|option .* is not one that a helper runs|output file|the word .* would be read)`
	for _, words := range []string{
		"-wrapper sh,-c,id", "-B/w/bin", "-B /w/bin", "--prefix=/w/bin", "-fplugin=/w/evil", "-fplugin=evil -iplugindir=/w", "-specs=/w/evil.txt", "-specs /w/evil.txt", "--specs=/w/evil.txt",
		"-Xclang -load -Xclang /w/evil", "-fpass-plugin=/w/evil", "-Xclang -fpass-plugin=/w/evil", "-Xclang -plugin -Xclang evil", "-mllvm -load=/w/evil", "-Xclang -mllvm -Xclang -load=/w/evil",
		"@/w/words", "-I@/w/words", "-I @/w/words", "-D@/w/words", "--sysroot=@/w/words", "-Wp,-I,@/w/words", "-MD -MF d -MT@/w/words", "-Wa,@/w/words", "-Xassembler @/w/words", "-Wp,-fplugin=/w/evil",
		"-Xpreprocessor -fplugin=/w/evil", "-fuse-ld=/w/bin/ld -fplugin=/w/evil", "-no-integrated-as -B/w/bin", "-fno-integrated-as", "-no-integrated-cpp", "-fmodule-mapper=|/w/bin/as", "-fmodules-ts -fmodule-mapper=|sh",
		"--config /w/evil.txt", "-resource-dir=/w", "-ccc-gcc-name /w/bin/as", "-ccc-install-dir /w/bin", "-fintegrated-cc1 -Xclang -ast-dump", "-include-pch /w/evil", "-fopenmp-targets=x", "-x ir", "-x ada", "-iapinotes-modules /w",
		"-dumpdir @/w/words -dumpbase a.c -dumpbase-ext .c", "-fself-test=/w", "-freport-bug", "-fcompare-debug=-fplugin=/w/evil", "--driver-mode=cl", "-fmax-errors=/etc/passwd", "-fself-check=/etc/passwd", "-mnew=/etc/passwd", "--param new=/etc/passwd", "-std=/etc/passwd", "-Xarch_host -fplugin=/w/evil", "-foffload=-fplugin=/w/evil",
	} {
		for _, driver := range []string{"gcc-12", "clang-14"} {
			j := s.tree(driver, "int x;\n", strings.Fields(words), "/w/evil", evil, "/w/words", "x -fplugin=/w/evil\n", "/w/evil.txt", "*cc1:\n+ -fplugin=/w/evil\n\n", "/w/bin/as", script, "/w/bin/cc1", script, "/w/bin/ld", script)
			if strings.HasPrefix(words, "-MD") {
				j.Outputs = []string{"a.o", "d"}
			}
			list = append(list, attempt{name: driver + " " + words, want: word, job: j})
		}
	}
	// Another linker is nothing to a compile.
	list = append(list, attempt{name: "another linker", want: `compiled: `, job: s.tree("clang-14", "int x;\n", []string{"-fuse-ld=/w/bin/ld"}, "/w/bin/ld", script)})
	clang := s.tree("clang-14", "", nil, "/w/@words.c", "int x;\n", "/w/words.c", "-load /w/evil", "/w/evil", evil)
	clang.Args = []string{"-nostdinc", "-c", "./@words.c", "-o", "a.o"}
	list = append(list, attempt{name: "a source that is a file of words", want: `refused: `, job: clang})
	for _, kv := range []string{
		"COMPILER_PATH=/w/bin", "GCC_EXEC_PREFIX=/w/bin/", "LD_PRELOAD=/w/evil", "LD_LIBRARY_PATH=/w", "LD_AUDIT=/w/evil", "GCONV_PATH=/w", "LOCPATH=/w", "CCC_OVERRIDE_OPTIONS=+-fplugin=/w/evil",
		"GCC_COMPARE_DEBUG=-fplugin=/w/evil", "COLLECT_GCC=/w/bin/as", "CPATH=/etc", "LIBRARY_PATH=/w", "GLIBC_TUNABLES=glibc.rtld.x=1", "DEPENDENCIES_OUTPUT=/w/d", "LC_ALL=../../w", "LANGUAGE=../../w", "SOURCE_DATE_EPOCH=1;id",
	} {
		j := s.tree("gcc-12", "int x;\n", nil, "/w/evil", evil, "/w/bin/as", script)
		j.Env = []string{kv}
		list = append(list, attempt{name: "environment " + kv, want: `refused: `, job: j})
	}
	// PATH is the helper's own: the client's goes nowhere.
	j := s.tree("gcc-12", "int x;\n", nil, "/w/bin/as", script, "/w/bin/cc1", script)
	j.Env = []string{"PATH=/w/bin"}
	list = append(list, attempt{name: "environment PATH=/w/bin", want: `compiled: `, job: j})
	for _, name := range []string{"/bin/sh", "sh", "../../w/bin/as", "gcc-12/../sh", "ld", "as", "cc1", "gcc-ar", "clang-cl", "c89", "make", "", ".", ".."} {
		j := s.tree("gcc-12", "int x;\n", nil)
		j.Name = name
		list = append(list, attempt{name: fmt.Sprintf("compiler %q", name), want: `refused: `, job: j})
	}
	for _, file := range []string{
		"/usr/lib/gcc/x86_64-linux-gnu/12/specs", "/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "/usr/bin/as", "/lib/x86_64-linux-gnu/libc.so.6", "/etc/ld.so.preload", "/w/evil.so", "/w/h.gch",
		"/usr/lib/x86_64-linux-gnu/gconv/gconv-modules", "/.crosscc/0.o", "/.crosscc-native",
	} {
		list = append(list, attempt{name: "a file in the tree at " + file, want: `refused: `, job: s.tree("gcc-12", "int x;\n", nil, file, evil)})
	}
	return list
}

func connecting(s *stronghold) (list []attempt) {
	at := s.out.Addr().String()
	host, port, _ := strings.Cut(at, ":")
	for _, words := range []string{"-fmodule-mapper=" + at, "-fmodules-ts -fmodule-mapper=" + at, "-fmodules-ts -fmodule-mapper=" + host + ":" + port, "-Wp,-fmodule-mapper=" + at} {
		list = append(list, attempt{name: "connect by " + strings.Replace(words, at, "ADDRESS", 1), want: `refused: `, job: s.tree("g++-12", "int x;\n", strings.Fields(words))})
	}
	j := s.tree("gcc-12", "int x;\n", nil)
	j.Env = []string{"EXPERIMENTAL_SARIF_SOCKET=" + at}
	return append(list, attempt{name: "connect by EXPERIMENTAL_SARIF_SOCKET", want: `refused: `, job: j})
}

// nested is 10^n times what word is, by macros.
func nested(n int, word string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#define E0 %s\n", word)
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "#define E%d %s\n", i, strings.Repeat(fmt.Sprintf("E%d ", i-1), 10))
	}
	return b.String()
}

// tooLong is what a helper says of a job that its clock, or the processor's, has ended.
const tooLong = "refused: lets no job take longer: "

func filling(s *stronghold) (list []attempt) {
	const (
		// On a machine that is busy all may end by the clock.
		memory = `(ended: .*sandbox: memory: |` + tooLong + `)`
		disk   = `(ended: .*sandbox: disk: |` + tooLong + `)`
		time   = `(ended: .*sandbox: (memory|killed): |` + tooLong + `)` // clang's own stack ends before
		any    = `(ended: .*sandbox: (memory|killed|disk): |` + tooLong + `)`
	)
	add := func(name, want string, j *broker.Job) { list = append(list, attempt{name: name, want: want, job: j}) }
	giant := "char x[10ULL << 30] = {1};\n"
	add("gcc: an object of 10 GiB", disk, s.tree("gcc-12", giant, nil))
	add("clang: an object of 10 GiB", any, s.tree("clang-14", giant, nil))
	for _, words := range []string{".fill 10737418240, 1, 7", ".skip 10737418240, 7", ".data; .org 10737418240, 7", ".rept 100000000; .quad 7; .endr"} {
		j := s.tree("gcc-12", "", nil, "/w/b.s", words+"\n")
		j.Args = []string{"-nostdinc", "-c", "b.s", "-o", "a.o"}
		add("assembler: "+words, any, j)
	}
	add("10 GiB that take no room", `(compiled|ended|compiler's no): `, s.tree("gcc-12", "char x[10ULL << 30];\n", []string{"-mcmodel=large"}))
	add("a dependency file with a target of 64 KiB", `compiled: `, deps(s.tree("gcc-12", "int x;\n", []string{"-MD", "-MF", "a.d", "-MT", strings.Repeat("x", 1<<16)})))
	for _, driver := range []string{"gcc-12", "clang-14"} {
		add(driver+": a macro bomb that is kept", memory, s.tree(driver, nested(9, "+1")+"#define F(x) x\nint x = F(E9);\n", nil))
		add(driver+": a macro bomb that is dropped", time, s.tree(driver, nested(12, "")+"E12\nint x;\n", nil))
		add(driver+": a flood of messages", `(ended: .*sandbox: too-much: |`+tooLong+`)`, s.tree(driver, nested(6, "int x = 1")+strings.Repeat("#warning xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", 20000), nil))
		add(driver+": brackets as deep as a stack", any+`|compiler's no: `, s.tree(driver, "int x = "+strings.Repeat("(", 1<<20)+"1;\n", []string{"-fbracket-depth=100000000"}[:b2i(driver == "clang-14")]))
		add(driver+": it includes itself", `compiler's no: .*a\.c:1`, s.tree(driver, "#include \"a.c\"\n", nil))
		add(driver+": an endless line", `compiler's no: |compiled: |ended: `, s.tree(driver, "int x; //"+strings.Repeat("x", 8<<20), nil))
	}
	templates := "template<int D, unsigned long long X> struct F { static const int v = F<D - 1, 2 * X>::v + F<D - 1, 2 * X + 1>::v; };\n" +
		"template<unsigned long long X> struct F<0, X> { static const int v = 1; };\nint x = F<60, 0>::v;\n"
	loop := "constexpr int f() { int n = 0; while (true) ++n %= 7; return n; }\nconstexpr int x = f();\n"
	add("g++: templates without end", any, s.tree("g++-12", templates, nil))
	add("g++: a recursion of templates", any+`|compiler's no: `, s.tree("g++-12", "template<int N> struct S { static const int v = S<N + 1>::v; };\nint x = S<0>::v;\n", []string{"-ftemplate-depth=1000000000"}))
	add("g++: a constexpr loop", time, s.tree("g++-12", loop, []string{"-fconstexpr-loop-limit=2147483647", "-fconstexpr-ops-limit=9223372036854775807"}))
	add("clang: a constexpr loop", time, s.tree("clang-14", loop, []string{"-x", "c++", "-std=c++17", "-fconstexpr-steps=4294967295"}))
	add("-pipe, and a fork bomb in its place", `refused: `, s.tree("gcc-12", "int x;\n", []string{"-pipe", "-wrapper", "/w/bomb"}, "/w/bomb", "#!/bin/sh\n:(){ :|:& };:\n"))
	add("-pipe", `compiled: `, s.tree("gcc-12", "int x;\n", []string{"-pipe"}))
	return list
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// deps is a job that makes a dependency file too.
func deps(j *broker.Job) *broker.Job {
	j.Outputs = []string{"a.d", "a.o"}
	return j
}

func names(s *stronghold) (list []attempt) {
	for _, out := range []string{"/etc/cron.d/x", "../x.o", "../../../../../../etc/x", "x/../../x.o", "/w/a.o", ".", "..", "-o", "a.o/", "./a.o", "@x", "a.c"} {
		j := s.tree("gcc-12", "int x;\n", nil)
		j.Args = []string{"-nostdinc", "-c", "a.c", "-o", out}
		j.Outputs = []string{out}
		list = append(list, attempt{name: fmt.Sprintf("output %q", out), want: `refused: `, job: j})
	}
	for _, words := range []string{"-MD -MF /etc/x", "-MD -MF ../x", "-Wp,-MD,/etc/x", "-aux-info ../x", "-fopt-info=/etc/x", "-fdump-tree-all=/etc/x", "-ftime-trace=/etc/x", "-foptimization-record-file=/etc/x",
		"--serialize-diagnostics /etc/x", "-MJ /etc/x", "-fcrash-diagnostics-dir=/etc", "-fprofile-dir=/etc", "-dependency-file /etc/x", "-fsave-optimization-record=/x"} {
		driver := "gcc-12"
		if strings.Contains(words, "serialize") || strings.Contains(words, "MJ") {
			driver = "clang-14"
		}
		list = append(list, attempt{name: "output by " + words, want: `refused: `, job: s.tree(driver, "int x;\n", strings.Fields(words))})
	}
	// What stands where the output will be is not written through.
	list = append(list, attempt{name: "a link where the output will be", want: `compiled: `, job: s.tree("gcc-12", "int x;\n", nil, "/w/a.o", "->"+s.state+"/secret")})
	j := deps(s.tree("gcc-12", "int x;\n", []string{"-MD", "-MF", "a.d"}, "/w/a.d", "->"+s.state+"/secret"))
	list = append(list, attempt{name: "a link where the dependencies will be", want: `compiled: `, job: j})
	j = s.tree("gcc-12", "int f(void) { return 1; }\n", []string{"-fstack-usage", "-fprofile-arcs", "-frandom-seed=1", "-dumpdir", "/w/", "-dumpbase", "a.c", "-dumpbase-ext", ".c"}, "/w/a.su", "->"+s.state+"/secret")
	j.Outputs = []string{"a.o", "a.su"}
	list = append(list, attempt{name: "a link where a further output will be", want: `refused: `, job: j})
	for _, l := range [][2]string{{"/usr", "w"}, {"/lib", "/w"}, {"/w/l", "/proc/self/root"}, {"/etc", "/w"}, {"/w/x.so", "a.c"}, {"/.crosscc", "/w"}, {"/w/d", "/.crosscc"}, {"/tmp", "/w"}} {
		list = append(list, attempt{name: "a link " + l[0] + " to " + l[1], want: `refused: `, job: s.tree("gcc-12", "int x;\n", nil, l[0], "->"+l[1])})
	}
	list = append(list, attempt{name: "a link to itself", want: `compiler's no: `, job: s.tree("gcc-12", "#include \"l\"\n", nil, "/w/l", "->l")})
	return list
}

// malformed are messages that no client of ours can say.
func malformed(s *stronghold) (list []attempt) {
	blob := []byte("int x;\n")
	file := func(name string) *repb.FileNode { return &repb.FileNode{Name: name, Digest: digestOf(blob)} }
	dir := func(d *repb.Directory) [][]byte { return [][]byte{blob, marshal(d)} }
	trees := map[string][][]byte{}
	for _, name := range []string{"..", ".", "", "../x", "/etc/x", "a/b", "a\x00b", strings.Repeat("n", 300)} {
		trees[fmt.Sprintf("a file named %.20q", name)] = dir(&repb.Directory{Files: []*repb.FileNode{file(name), file("zz")}})
		trees[fmt.Sprintf("a link named %.20q", name)] = dir(&repb.Directory{Symlinks: []*repb.SymlinkNode{{Name: name, Target: "x"}}})
	}
	trees["a name that is a link and a directory"] = append(dir(&repb.Directory{
		Symlinks:    []*repb.SymlinkNode{{Name: "w", Target: "/etc"}},
		Directories: []*repb.DirectoryNode{{Name: "w", Digest: digestOf(nil)}},
	}), nil)
	trees["a link to no place"] = dir(&repb.Directory{Symlinks: []*repb.SymlinkNode{{Name: "w", Target: ""}}})
	// Thirty directories that hold the next one twice are 2^30 paths.
	bomb := [][]byte{blob, marshal(&repb.Directory{Files: []*repb.FileNode{file("f")}})}
	for range 30 {
		d := digestOf(bomb[len(bomb)-1])
		bomb = append(bomb, marshal(&repb.Directory{Directories: []*repb.DirectoryNode{{Name: "a", Digest: d}, {Name: "b", Digest: d}}}))
	}
	trees["2^30 paths"] = bomb
	deep := [][]byte{blob, marshal(&repb.Directory{Files: []*repb.FileNode{file("f")}})}
	for range 5000 {
		deep = append(deep, marshal(&repb.Directory{Directories: []*repb.DirectoryNode{{Name: "a", Digest: digestOf(deep[len(deep)-1])}}}))
	}
	trees["5000 directories deep"] = deep
	var many repb.Directory
	for i := range 30000 {
		many.Files = append(many.Files, file(fmt.Sprintf("f%06d", i)))
	}
	wide := [][]byte{blob, marshal(&many)}
	var top repb.Directory
	for i := range 10 {
		top.Directories = append(top.Directories, &repb.DirectoryNode{Name: fmt.Sprintf("d%d", i), Digest: digestOf(wide[1])})
	}
	trees["300,000 files"] = append(wide, marshal(&top))
	trees["a file of 2^62 bytes"] = dir(&repb.Directory{Files: []*repb.FileNode{{Name: "a.c", Digest: &repb.Digest{Hash: digestOf(blob).Hash, SizeBytes: 1 << 62}}}})
	for name, blobs := range trees {
		list = append(list, attempt{name: name, want: `refused: `, call: func(ctx context.Context) error { return s.execute(ctx, blobs) }})
	}
	slices.SortFunc(list, func(a, b attempt) int { return strings.Compare(a.name, b.name) })
	return list
}

func marshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		return nil
	}
	return b
}

func digestOf(b []byte) *repb.Digest {
	d := broker.DigestOf(b)
	return &repb.Digest{Hash: d.Hash, SizeBytes: d.Size}
}

// execute uploads blobs and has a compile run, the last of them being its root.
func (s *stronghold) execute(ctx context.Context, blobs [][]byte) error {
	conn, err := grpc.NewClient("passthrough:///"+s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	command := marshal(&repb.Command{Arguments: []string{"gcc-12", "-nostdinc", "-c", "a.c", "-o", "a.o"}, OutputPaths: []string{"a.o"}, WorkingDirectory: "w"})
	action := marshal(&repb.Action{CommandDigest: digestOf(command), InputRootDigest: digestOf(blobs[len(blobs)-1])})
	for some := range slices.Chunk(append(slices.Clone(blobs), command, action), 100) {
		var req repb.BatchUpdateBlobsRequest
		for _, b := range some {
			req.Requests = append(req.Requests, &repb.BatchUpdateBlobsRequest_Request{Digest: digestOf(b), Data: b})
		}
		if _, err := repb.NewContentAddressableStorageClient(conn).BatchUpdateBlobs(ctx, &req); err != nil {
			return fmt.Errorf("upload: %w", err)
		}
	}
	stream, err := repb.NewExecutionClient(conn).Execute(ctx, &repb.ExecuteRequest{ActionDigest: digestOf(action), SkipCacheLookup: true})
	if err != nil {
		return err
	}
	for {
		op, err := stream.Recv()
		if err != nil {
			return err
		}
		if !op.Done {
			continue
		}
		var res repb.ExecuteResponse
		if err := op.GetResponse().UnmarshalTo(&res); err != nil {
			return err
		}
		if c := res.Status.GetCode(); c != 0 {
			return fmt.Errorf("%d: %s", c, res.Status.GetMessage())
		}
		return nil
	}
}
