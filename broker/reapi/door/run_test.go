package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/cas"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// runOn calls Run by hand.
func (b *bench) runOn(r *helperpb.RunRequest) error {
	stream, err := helperpb.NewHelperClient(b.raw()).Run(context.Background(), r)
	for err == nil {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// runRequest is what a client sends for a job.
func runRequest(t testing.TB, j *broker.Job) (*helperpb.RunRequest, *helperpb.Inputs) {
	t.Helper()
	a, err := wire.NewWriter().ActionOf(j)
	if err != nil {
		t.Fatal(err)
	}
	in := &helperpb.Inputs{Command: a.Command}
	for list, blobs := range map[*[][]byte][]broker.Blob{&in.Directories: a.Directories, &in.Files: a.Files} {
		for _, b := range blobs {
			content, err := b.Bytes(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			*list = append(*list, content)
		}
	}
	data, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return &helperpb.RunRequest{Action: a.Message, Inputs: data}, in
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestHostileRuns(t *testing.T) {
	var z cas.Zstd
	inputs := func(f func(*helperpb.Inputs)) func(*testing.T, *helperpb.RunRequest, *helperpb.Inputs) {
		return func(t *testing.T, r *helperpb.RunRequest, in *helperpb.Inputs) {
			f(in)
			r.Inputs = marshal(t, in)
		}
	}
	packed := func(size func(n int) int64, change func([]byte) []byte) func(*testing.T, *helperpb.RunRequest, *helperpb.Inputs) {
		return func(t *testing.T, r *helperpb.RunRequest, in *helperpb.Inputs) {
			data, ok := z.Pack(r.Inputs)
			if !ok {
				t.Fatal("nothing to compress")
			}
			r.InputsSize, r.Inputs = size(len(r.Inputs)), change(data)
		}
	}
	right := func(n int) int64 { return int64(n) }
	same := func(b []byte) []byte { return b }
	bomb, _ := z.Pack(make([]byte, 64<<20))
	climbing := marshal(t, &repb.Directory{Files: []*repb.FileNode{{Name: "../x", Digest: wire.DigestToProto(broker.DigestOf([]byte("x")))}}})
	tests := map[string]struct {
		change func(t *testing.T, r *helperpb.RunRequest, in *helperpb.Inputs)
		want   codes.Code
	}{
		"as it should be": {func(*testing.T, *helperpb.RunRequest, *helperpb.Inputs) {}, codes.OK},
		"packed":          {packed(right, same), codes.OK},
		"nothing":         {func(_ *testing.T, r *helperpb.RunRequest, _ *helperpb.Inputs) { r.Action, r.Inputs = nil, nil }, codes.InvalidArgument},
		"garbage action":  {func(_ *testing.T, r *helperpb.RunRequest, _ *helperpb.Inputs) { r.Action = []byte("\xff\xff") }, codes.InvalidArgument},
		"huge action":     {func(_ *testing.T, r *helperpb.RunRequest, _ *helperpb.Inputs) { r.Action = make([]byte, 1<<20) }, codes.InvalidArgument},
		"garbage inputs":  {func(_ *testing.T, r *helperpb.RunRequest, _ *helperpb.Inputs) { r.Inputs = []byte("\xff\xff") }, codes.InvalidArgument},
		"many inputs": {func(_ *testing.T, r *helperpb.RunRequest, _ *helperpb.Inputs) {
			r.Inputs = bytes.Repeat([]byte{0x1a, 0}, 100_000)
		}, codes.InvalidArgument},
		"no command":          {inputs(func(in *helperpb.Inputs) { in.Command = nil }), codes.InvalidArgument},
		"another command":     {inputs(func(in *helperpb.Inputs) { in.Command = bytes.Replace(in.Command, []byte("-O2"), []byte("-O3"), 1) }), codes.InvalidArgument},
		"huge command":        {inputs(func(in *helperpb.Inputs) { in.Command = make([]byte, 4<<20+1) }), codes.InvalidArgument},
		"a file is lacking":   {inputs(func(in *helperpb.Inputs) { in.Files = nil }), codes.FailedPrecondition},
		"no directories":      {inputs(func(in *helperpb.Inputs) { in.Directories = nil }), codes.FailedPrecondition},
		"a wrong directory":   {inputs(func(in *helperpb.Inputs) { in.Directories[0] = []byte("\xff") }), codes.InvalidArgument},
		"climbing names":      {inputs(func(in *helperpb.Inputs) { in.Directories = append(in.Directories, climbing) }), codes.OK}, // nobody looks at it
		"more than is needed": {inputs(func(in *helperpb.Inputs) { in.Files = append(in.Files, []byte("more"), nil) }), codes.OK},
		"packed, negative":    {packed(func(int) int64 { return -1 }, same), codes.InvalidArgument},
		"packed, huge":        {packed(func(int) int64 { return 1 << 40 }, same), codes.InvalidArgument},
		"packed, longer":      {packed(func(n int) int64 { return int64(n) + 1 }, same), codes.InvalidArgument},
		"packed, shorter":     {packed(func(n int) int64 { return int64(n) - 1 }, same), codes.InvalidArgument},
		"packed, truncated":   {packed(right, func(b []byte) []byte { return b[:len(b)-9] }), codes.InvalidArgument},
		"packed, trailing":    {packed(right, func(b []byte) []byte { return append(b, "more"...) }), codes.InvalidArgument},
		"packed, a bomb":      {packed(func(int) int64 { return wire.MaxMessage }, func([]byte) []byte { return bomb }), codes.InvalidArgument},
		"packed, not at all":  {packed(right, func([]byte) []byte { return []byte("plain") }), codes.InvalidArgument},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r, in := runRequest(t, reapitest.TreeJob(20, "int a;"))
			tt.change(t, r, in)
			if err := b.runOn(r); status.Code(err) != tt.want || name == "many inputs" && !strings.Contains(err.Error(), "100000 inputs") {
				t.Errorf("Run = %v, want %v", err, tt.want)
			}
			if ran := b.Runs.Load() == 1; ran != (tt.want == codes.OK) {
				t.Errorf("ran: %t", ran)
			}
			b.mustRun(reapitest.Job("and it still serves"))
		})
	}
}

// A tree of names that may not be is refused when it is the job's.
func TestRunOfHostileTree(t *testing.T) {
	b := newBench(t)
	root := marshal(t, &repb.Directory{Files: []*repb.FileNode{{Name: "../x", Digest: wire.DigestToProto(broker.DigestOf([]byte("x")))}}})
	r, in := runRequest(t, reapitest.Job("x"))
	var a repb.Action
	if err := proto.Unmarshal(r.Action, &a); err != nil {
		t.Fatal(err)
	}
	a.InputRootDigest = wire.DigestToProto(broker.DigestOf(root))
	in.Directories, in.Files = append(in.Directories, root), append(in.Files, []byte("x"))
	r.Action, r.Inputs = marshal(t, &a), marshal(t, in)
	for range 2 { // the second time it is decoded already
		if err := b.runOn(r); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "not a file name") {
			t.Errorf("Run = %v", err)
		}
	}
}

// FuzzInputs hands a helper arbitrary inputs of an action, plain and compressed.
// What is wrong with them is their own fault.
func FuzzInputs(f *testing.F) {
	r, _ := runRequest(f, reapitest.TreeJob(3, "int a;"))
	f.Add(r.Inputs, int64(0))
	var s Server
	if packed, ok := s.zstd.Pack(r.Inputs); ok {
		f.Add(packed, int64(len(r.Inputs)))
	}
	f.Fuzz(func(t *testing.T, inputs []byte, size int64) {
		in, err := s.inputsOf(&helperpb.RunRequest{Inputs: inputs, InputsSize: size})
		if err != nil {
			if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != wire.Rejected {
				t.Errorf("error is no refusal: %v", err)
			}
			return
		}
		n := len(in.Command)
		for _, b := range append(in.Directories, in.Files...) {
			n += len(b)
		}
		if most := max(int64(len(inputs)), size); int64(n) > most {
			t.Errorf("%d bytes became %d", most, n)
		}
	})
}
