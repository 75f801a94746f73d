package wire

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/toolchains"
)

// A memory is a source of blobs for tests.
type memory map[broker.Digest][]byte

func (m memory) source() Source {
	return Source{
		Open: func(d broker.Digest) (io.ReadCloser, error) {
			if b, ok := m[d]; ok {
				return io.NopCloser(bytes.NewReader(b)), nil
			}
			return nil, &MissingError{Digests: []broker.Digest{d}}
		},
		Missing: func(ds []broker.Digest) []broker.Digest {
			return slices.DeleteFunc(slices.Clone(ds), func(d broker.Digest) bool { _, ok := m[d]; return ok })
		},
	}
}

func (m memory) put(b []byte) *repb.Digest {
	d := broker.DigestOf(b)
	m[d] = b
	return DigestToProto(d)
}

func (m memory) message(p proto.Message) *repb.Digest {
	b, err := proto.Marshal(p)
	if err != nil {
		panic(err)
	}
	return m.put(b)
}

// store puts an action's blobs in.
func (m memory) store(t testing.TB, a *Action) {
	t.Helper()
	for _, b := range a.Blobs() {
		data, err := b.Bytes(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		m[b.Digest] = data
	}
}

// tree is a tree of files, path and text by turns.
func tree(files ...string) *broker.Dir {
	d := new(broker.Dir)
	for pair := range slices.Chunk(files, 2) {
		d.Put(pair[0], broker.File{Blob: broker.BytesBlob([]byte(pair[1]))})
	}
	return d
}

func testJob() *broker.Job {
	return &broker.Job{
		Name: "aarch64-linux-gnu-gcc",
		Identity: toolchains.Identity{
			Family: argv.GCC, Target: "aarch64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14",
			Assembler: "GNU assembler (GNU Binutils for Debian) 2.40", Defaults: strings.Repeat("ab", 32),
		},
		Fingerprint: toolchains.Fingerprint{"driver": strings.Repeat("1", 64), "driver++": strings.Repeat("2", 64)},
		Args:        []string{"-O2", "-g", "-x", "cpp-output", "-c", ".crosscc-source.i", "-o", "obj/a.o"},
		Dir:         "/w/lua",
		Env:         []string{"LANG=C", "LC_ALL=C.UTF-8"},
		Root:        tree("/w/lua.h", "", "/w/lua/.crosscc-source.i", "int main;\n", "/w/lua/a.c", "int main;\n"),
		Outputs:     []string{"obj/a.o"},
		Form:        broker.Preprocessed,
		Debug:       true,
	}
}

var sameBlob = cmp.Comparer(func(a, b broker.Blob) bool { return a.Digest == b.Digest })

func TestRoundTrip(t *testing.T) {
	tests := map[string]func(j *broker.Job){
		"plain":    func(*broker.Job) {},
		"root dir": func(j *broker.Job) { j.Dir, j.Debug, j.Args[1] = "/", false, "-fPIC" },
		"no files": func(j *broker.Job) { j.Root = new(broker.Dir) },
		"clang":    func(j *broker.Job) { j.Name, j.Identity.Family, j.Identity.Libm = "clang-14", argv.Clang, "ff" },
		"native": func(j *broker.Job) {
			j.Args = append([]string{"-march=native"}, j.Args...)
			j.Native = []string{"-march=skylake", "--param", "l1-cache-size=32"}
		},
		"tree": func(j *broker.Job) { j.Form, j.Fingerprint = broker.Tree, nil },
		// As words "A1=" is before "A="; by name it is after.
		"variables":    func(j *broker.Job) { j.Env = []string{"LC_A1=x", "LC_A=y"} },
		"empty words":  func(j *broker.Job) { j.Args = append(j.Args, "-D", "") },
		"sorted names": func(j *broker.Job) { j.Root = tree("/a.c", "1", "/a/b", "2", "/a0", "3") },
		"links": func(j *broker.Job) {
			j.Root.Links = []broker.Link{{Name: "lib", Target: "usr/lib"}, {Name: "x", Target: "/w"}}
		},
		"empty directories": func(j *broker.Job) {
			j.Root.Mkdir("/w/empty/below")
			j.Root.Mkdir("/w/lua/empty")
		},
		"times and hard links": func(j *broker.Job) {
			j.Root.Put("/w/b.h", broker.File{Blob: broker.BytesBlob(nil), Modified: 1_000_000_001, Class: 2})
			j.Root.Put("/w/c.h", broker.File{Blob: broker.BytesBlob(nil), Class: 2})
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			want := testJob()
			change(want)
			a, err := NewWriter().ActionOf(want)
			if err != nil {
				t.Fatal(err)
			}
			again, err := NewWriter().ActionOf(want)
			if err != nil || a.Digest != again.Digest {
				t.Fatalf("second ActionOf = %v, %v, want the same digest %v", again.Digest, err, a.Digest)
			}
			m := memory{}
			m.store(t, a)
			r, err := JobOf(a.Digest, m.source())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, r.Job, sameBlob); diff != "" {
				t.Errorf("job came back changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestActionOfRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(j *broker.Job)
		reason broker.Reason
	}{
		"word":  {func(j *broker.Job) { j.Args[0] = "-DX=\xff" }, NotUTF8},
		"path":  {func(j *broker.Job) { j.Root.Put("/w/\xff", broker.File{Blob: broker.BytesBlob(nil)}) }, NotUTF8},
		"order": {func(j *broker.Job) { slices.Reverse(j.Root.Dirs[0].Dir.Dirs[0].Dir.Files) }, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			j := testJob()
			tt.change(j)
			_, err := NewWriter().ActionOf(j)
			r, _ := errors.AsType[*broker.Refusal](err)
			if err == nil || tt.reason != "" && (r == nil || r.Reason != tt.reason) {
				t.Errorf("ActionOf = %v, want reason %q", err, tt.reason)
			}
		})
	}
}

// An action of a foreign client, made by hand.
type foreign struct {
	memory
	command *repb.Command
	action  *repb.Action
	root    *repb.Directory
}

func newForeign() *foreign {
	m := memory{}
	f := &foreign{
		memory: m,
		command: &repb.Command{
			Arguments:        []string{"/usr/bin/gcc", "-c", "a.c", "-o", "a.o"},
			WorkingDirectory: "src",
			EnvironmentVariables: []*repb.Command_EnvironmentVariable{
				{Name: "LANG", Value: "C"}, {Name: "PATH", Value: "/usr/bin"},
			},
		},
		action: &repb.Action{},
		root: &repb.Directory{Directories: []*repb.DirectoryNode{{Name: "src", Digest: m.message(&repb.Directory{
			Files: []*repb.FileNode{{Name: "a.c", Digest: m.put([]byte("int a;"))}},
		})}}},
	}
	platform := &repb.Platform{Properties: []*repb.Platform_Property{{Name: "ISA", Value: "x86-64"}, {Name: "OSFamily", Value: "Linux"}}}
	f.old([]string{"a.o"}, nil, platform)
	return f
}

// old fills the places of before 2.1.
func (f *foreign) old(files, directories []string, platform *repb.Platform) {
	//nolint:staticcheck // older clients write these
	f.command.OutputFiles, f.command.OutputDirectories, f.command.Platform = files, directories, platform
}

func (f *foreign) read() (*Request, error) {
	f.action.CommandDigest = f.message(f.command)
	if f.action.InputRootDigest == nil {
		f.action.InputRootDigest = f.message(f.root)
	}
	a := f.message(f.action)
	return JobOf(broker.Digest{Hash: a.Hash, Size: a.SizeBytes}, f.source())
}

func TestForeignAction(t *testing.T) {
	f := newForeign()
	f.action.Timeout, f.action.DoNotCache = durationpb.New(5e9), true
	r, err := f.read()
	if err != nil {
		t.Fatal(err)
	}
	want := &broker.Job{
		Name: "gcc", Args: f.command.Arguments[1:], Dir: "/src", Env: []string{"LANG=C"},
		Root: tree("/src/a.c", "int a;"), Outputs: []string{"a.o"}, Form: broker.Tree,
	}
	if diff := cmp.Diff(want, r.Job, sameBlob); diff != "" || r.Timeout != 5e9 || !r.DoNotCache {
		t.Errorf("request %+v, job (-want +got):\n%s", r, diff)
	}
}

func TestBadActions(t *testing.T) {
	property := func(name, value string) func(*foreign) {
		return func(f *foreign) {
			f.action.Platform = &repb.Platform{Properties: []*repb.Platform_Property{{Name: name, Value: value}}}
		}
	}
	variable := func(name, value string) func(*foreign) {
		return func(f *foreign) {
			f.command.EnvironmentVariables = []*repb.Command_EnvironmentVariable{{Name: name, Value: value}}
		}
	}
	outputs := func(names ...string) func(*foreign) {
		return func(f *foreign) { f.command.OutputPaths = names }
	}
	words := func(w ...string) func(*foreign) { return func(f *foreign) { f.command.Arguments = w } }
	tests := map[string]struct {
		change func(f *foreign)
		want   string
	}{
		"no words":            {words(), "no words"},
		"not a compiler":      {words("/bin/sh", "-c", "a.c"), "not the name of a compiler"},
		"a link":              {words("gcc", "a.c"), "not one plain compile"},
		"response file":       {words("gcc", "@x", "-c", "a.c"), "not one plain compile"},
		"NUL":                 {words("gcc", "-c", "a\x00.c"), "NUL"},
		"absolute dir":        {func(f *foreign) { f.command.WorkingDirectory = "/src" }, "working directory"},
		"climbing dir":        {func(f *foreign) { f.command.WorkingDirectory = "../src" }, "working directory"},
		"dotted dir":          {func(f *foreign) { f.command.WorkingDirectory = "src/." }, "working directory"},
		"no output":           {func(f *foreign) { f.old(nil, nil, nil) }, "names no output"},
		"climbing output":     {outputs("../a.o"), "clean relative"},
		"absolute output":     {outputs("/a.o"), "clean relative"},
		"output twice":        {outputs("a.o", "a.o"), "twice"},
		"output directory":    {func(f *foreign) { f.old(nil, []string{"d"}, nil) }, "output directory"},
		"preload":             {variable("LD_PRELOAD", "x"), "may not be set"},
		"compiler path":       {variable("COMPILER_PATH", "x"), "may not be set"},
		"odd variable":        {variable("A=B", "x"), "malformed"},
		"nameless variable":   {variable("", "x"), "malformed"},
		"image":               {property("container-image", "docker://x"), "not served"},
		"unknown of ours":     {property("crosscc-future", "x"), "not served"},
		"unknown form":        {property("crosscc-form", "x"), "not served"},
		"native, not said":    {words("gcc", "-march=native", "-c", "a.c"), "not one plain compile"},
		"native as anything":  {property("crosscc-native", "-march=skylake -fplugin=x"), "no word that native may mean"},
		"native as nothing":   {property("crosscc-native", " "), "crosscc-native"},
		"unknown family":      {property("crosscc-family", "icc"), "not served"},
		"another system":      {property("OSFamily", "windows"), "not served"},
		"no root":             {func(f *foreign) { f.action.InputRootDigest = &repb.Digest{} }, "digest"},
		"digest with a slash": {func(f *foreign) { f.action.InputRootDigest = &repb.Digest{Hash: "../../etc/passwd", SizeBytes: 4} }, "digest"},
		"huge root": {func(f *foreign) {
			f.action.InputRootDigest = &repb.Digest{Hash: strings.Repeat("a", 64), SizeBytes: 1 << 40}
		}, "over the limit"},
		"garbage root": {func(f *foreign) { f.action.InputRootDigest = f.put([]byte("\xff\xff\xff")) }, "malformed"},
		"many fields":  {func(f *foreign) { f.action.InputRootDigest = f.put(bytes.Repeat([]byte{0x0a, 0}, maxFields+1)) }, "fields"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newForeign()
			tt.change(f)
			_, err := f.read()
			wantRejected(t, err, tt.want)
		})
	}
}

func wantRejected(t *testing.T, err error, text string) {
	t.Helper()
	r, ok := errors.AsType[*broker.Refusal](err)
	if !ok || r.Reason != Rejected || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want a refusal with %q", err, text)
	}
}

func TestMissing(t *testing.T) {
	a, err := NewWriter().ActionOf(testJob())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range a.Blobs() {
		m := memory{}
		m.store(t, a)
		delete(m, b.Digest)
		_, err := JobOf(a.Digest, m.source())
		missing, ok := errors.AsType[*MissingError](err)
		if !ok || !slices.Equal(missing.Digests, []broker.Digest{b.Digest}) {
			t.Errorf("without %v: %v, want it missing", b.Digest, err)
		}
	}
}

// Two shorter reads than declared must not pass for the content.
func TestShortBlob(t *testing.T) {
	m := memory{}
	d := broker.Digest{Hash: strings.Repeat("a", 64), Size: 10}
	m[d] = []byte("short")
	if _, err := m.source().Read(d, 100); err == nil {
		t.Error("a short blob was read")
	}
}
