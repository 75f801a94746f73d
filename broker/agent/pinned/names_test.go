package pinned

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/local"
)

// windows is the beginning of a program for Windows with so many bytes of exports.
func windows(magic uint16, exports uint32) string {
	b := make([]byte, 1024)
	copy(b, "MZ")
	b[0x3c] = 0x80
	copy(b[0x80:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x80+24:], magic)
	at := 0x80 + 24 + 96
	if magic == 0x20b {
		at += 16
	}
	binary.LittleEndian.PutUint32(b[at+4:], exports)
	return string(b)
}

// What an output says of its own name is what it is called here, or it is refused. The S-records are objcopy's of binutils
// 2.40, where it makes x.srec and y.sym.
func TestOwnNames(t *testing.T) {
	const one = "S01300002F2E63726F737363632F302E7372656365\r\nS10E0000554889E5B8010000005DC30D\r\n"
	for _, tt := range []struct {
		what, tool, words, text, want string
	}{
		{"S-records", "objcopy", "-O srec a.o x.srec", one, "S0090000782E73726563A3\r\nS10E0000554889E5B8010000005DC30D\r\n"},
		{"a long name", "objcopy", "-O srec a.o " + strings.Repeat("y", 50), one, "S02B0000" + strings.Repeat("79", 40) + "EC\r\nS10E0000554889E5B8010000005DC30D\r\n"},
		{"with symbols", "objcopy", "-O symbolsrec a.o y.sym", "$$ /.crosscc/0.sym\r\n  f $0\r\n$$ \r\nS01200002F2E63726F737363632F302E73796D36\r\n", "$$ y.sym\r\n  f $0\r\n$$ \r\nS0080000792E73796DF7\r\n"},
		{"records of another name", "objcopy", "a.srec b.srec", "S0090000782E73726563A3\r\nS9\r\n", "S0090000782E73726563A3\r\nS9\r\n"},
		{"an object", "objcopy", "a.o b.o", "\x7fELF", "\x7fELF"},
		{"a stripped library for Windows", "strip", "-o b.dll a.dll", windows(0x20b, 70), windows(0x20b, 70)},
		{"a program for Windows", "ld", "a.o -o a.exe", windows(0x20b, 0), windows(0x20b, 0)},
		{"a library for Windows", "ld", "a.o -o a.dll", windows(0x20b, 70), ""},
		{"one of 32 bits", "ld", "a.o -o a.dll", windows(0x10b, 70), ""},
		{"one with its head elsewhere", "ld", "a.o -o a.dll", "MZ" + strings.Repeat("\xff", 1000), ""},
	} {
		tool, _ := task.ParseTool(tt.tool)
		read, err := task.ReadTool(tool, strings.Fields(tt.words), argv.Env{})
		if err != nil {
			t.Fatal(err)
		}
		p := &Command{task: read, tool: &tool, s: &session.Session{Client: &local.Client{}}}
		res := broker.Result{Outputs: []broker.Output{{Path: read.Outputs[0].Job, Blob: broker.BytesBlob([]byte(tt.text))}}}
		err = p.ownNames(&res)
		if _, refused := errors.AsType[*reason.Failure](err); refused != (tt.want == "") {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		if got, err := res.Outputs[0].Blob.Bytes(4096); tt.want != "" && (err != nil || string(got) != tt.want) {
			t.Errorf("%s: %q, %v; want %q", tt.what, got, err, tt.want)
		}
	}
}
