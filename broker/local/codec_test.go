package local

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func everyMessage() []Message {
	return []Message{
		Request{},
		Request{Build: "b", Verb: VerbCompile, Program: "/usr/bin/gcc", Args: []string{"gcc", "", "-DX=\xff\n"}, Env: []string{"PATH=/bin", "E="},
			Dir: "/w/\xfe", Umask: 0o22, Terminal: true, Columns: 132, Nested: true},
		Ran{Status: 0x8b}, Ran{Err: "no such file"},
		Wrote{}, Wrote{Err: "read-only"},
		Replace{},
		Run{Path: "/bin/true", Args: []string{"true"}, Env: []string{"LC_ALL=C", "MAKEFLAGS"}, Stdin: true},
		Exec{}, Exec{Path: "/usr/bin/gcc", Args: []string{"gcc", "-v"}, Reason: "prints", Slot: true},
		Finish{}, Finish{
			Outputs: []Output{{Path: "a.o", File: -1, Data: []byte{0, 1}}, {Path: "a", Executable: true, Mode: 0o640, Keep: true, File: 3}},
			Remove:  []string{"b.o"}, Stdout: []byte("o"), Stderr: []byte("e"), Status: 0x100,
		},
		Fail{Message: "m", Hint: "h", Status: 103},
		Answer{Data: []byte(`{"a":1}`)}, Note{Text: "n"}, Alive{},
	}
}

func TestCodecRoundTrip(t *testing.T) {
	for _, m := range everyMessage() {
		got, err := decode(m.kind(), m.append(nil))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("decode(%#v) = %#v, %v", m, got, err)
		}
	}
}

func TestDecodeRefusesCutAndLongBodies(t *testing.T) {
	for _, m := range everyMessage() {
		body := m.append(nil)
		for n := range body {
			if got, err := decode(m.kind(), body[:n]); err == nil {
				t.Errorf("%d of %d bytes of %#v decode to %#v", n, len(body), m, got)
			}
		}
		if _, err := decode(m.kind(), append(body, 0)); err == nil {
			t.Errorf("%#v with one byte more decodes", m)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	tests := []struct {
		name string
		kind kind
		body string
		want string
	}{
		{"unknown kind", 99, "", "unknown message 99"},
		{"length of 4 GiB", kindNote, "\xff\xff\xff\xff\x0f", "length 4294967295 beyond the end"},
		{"count beyond the body", kindRun, "\x00\x7f\x00", "length 127 beyond the end"},
		{"number of more than 32 bits", kindRan, "\xff\xff\xff\xff\xff\x01\x00", "bad number"},
		{"endless number", kindRan, strings.Repeat("\xff", 20), "bad number"},
		{"boolean 2", kindRun, "\x00\x00\x00\x02", "bad boolean"},
	}
	for _, tc := range tests {
		if _, err := decode(tc.kind, []byte(tc.body)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range everyMessage() {
		f.Add(byte(m.kind()), m.append(nil))
	}
	f.Fuzz(func(t *testing.T, k byte, body []byte) {
		m, err := decode(kind(k), body)
		if err != nil {
			return
		}
		again := m.append(nil)
		second, err := decode(kind(k), again)
		if err != nil || !bytes.Equal(second.append(nil), again) {
			t.Errorf("%#v became %#v, %v", m, second, err)
		}
	})
}
