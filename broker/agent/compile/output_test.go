package compile

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/toolchains"
)

// What a helper returns is what the job makes, each file once, and the object is one of
// the target's.
func TestCheckOutputs(t *testing.T) {
	c := &Compile{
		Cmd:       argv.Parse(strings.Fields("-MD -c a.c -o dir/a.o"), argv.Env{Family: argv.GCC}),
		Toolchain: toolchains.Toolchain{Identity: toolchains.Identity{Family: argv.GCC, Target: "x86_64-linux-gnu"}},
	}
	j := &broker.Job{Outputs: []string{"deps.d", "out.o"}}
	files := map[string][]byte{
		"out.o":  append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x3e\x00\x01\x00\x00\x00"), make([]byte, 64)...),
		"deps.d": []byte("a.o: a.c\n"), "more": nil,
	}
	for _, tt := range []struct {
		outputs string
		exit    int
		want    string // of the refusal; "" for none
	}{
		{"deps.d out.o", 0, ""},
		{"out.o deps.d", 0, ""},
		{"deps.d", 1, ""},
		{"", 1, ""},
		{"out.o", 0, "1 outputs instead of 2"},
		{"out.o out.o", 0, "out.o twice"},
		{"deps.d out.o", 1, "out.o, which was not asked for"},
		{"deps.d more", 0, "more, which was not asked for"},
	} {
		res := broker.Result{ExitCode: tt.exit}
		for name := range strings.FieldsSeq(tt.outputs) {
			res.Outputs = append(res.Outputs, broker.Output{Path: name, Blob: broker.BytesBlob(files[name])})
		}
		err := c.CheckOutputs(j, res)
		r, refused := errors.AsType[*broker.Refusal](err)
		if refused != (tt.want != "") || refused && (r.Reason != reason.BadOutput || !strings.Contains(r.Text, tt.want)) {
			t.Errorf("%s, exit status %d: %v, want %q", tt.outputs, tt.exit, err, tt.want)
		}
	}
	other := slices.Clone(files["out.o"])
	other[18] = 0xb7 // EM_AARCH64
	res := broker.Result{Outputs: []broker.Output{{Path: "deps.d"}, {Path: "out.o", Blob: broker.BytesBlob(other)}}}
	if err := c.CheckOutputs(j, res); err == nil || !strings.Contains(err.Error(), "wrong object") {
		t.Errorf("an object of another machine: %v", err)
	}
	if o, ok := (Answer{Result: res}).Find("out.o"); !ok || o.Path != "out.o" {
		t.Errorf("found %q", o.Path)
	}
	if _, ok := (Answer{Result: res}).Find("out.s"); ok {
		t.Error("found what is not there")
	}
}
