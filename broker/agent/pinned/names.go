package pinned

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
)

// This file is about outputs that say what they are called, which at a helper is a name of the
// helper's: S-records in their first line, and Windows' programs that export symbols.

const (
	// outputPlace is where outputs are at a helper.
	outputPlace = "/.crosscc/"
	// headSize is how much of an output is looked at.
	headSize = 4096
	// maxRecords bounds S-records, which are read whole.
	maxRecords = 256 << 20
	// srecName is how much of a name an S-record says (srec_write_header in BFD's srec.c).
	srecName = 40
)

// ownNames gives outputs the names that the command has for them, or refuses them.
func (p *Command) ownNames(res *broker.Result) error {
	if k := p.task.Kind; k != task.Link && k != task.ToolRun || res.ExitCode != 0 {
		return nil
	}
	for i, o := range res.Outputs {
		at := slices.IndexFunc(p.task.Outputs, func(out argv.Output) bool { return out.Job == o.Path })
		if at < 0 || o.Path == task.MapOutput {
			continue
		}
		name := p.task.Outputs[at].Name
		head, err := beginning(o.Blob)
		switch {
		case err != nil:
			return p.lost(err, "")
		case p.links() && saysName(head):
			return p.cannot("%s exports symbols: such a program for Windows says its own name, which would be the helper's for it", name)
		case bytes.HasPrefix(head, []byte("S0")) || bytes.HasPrefix(head, []byte("$$ "+outputPlace)):
			text, err := o.Blob.Bytes(maxRecords)
			if err != nil {
				return p.lost(err, "")
			}
			res.Outputs[i].Blob = broker.BytesBlob(renamedRecords(text, name))
		}
	}
	return nil
}

func beginning(b broker.Blob) ([]byte, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, headSize))
}

// saysName reports whether a program is one for Windows with a table of exports (Microsoft's PE Format, Optional Header Data
// Directories), in which linkers put its name. One whose head is not found in the beginning counts.
func saysName(head []byte) bool {
	if !bytes.HasPrefix(head, []byte("MZ")) || len(head) < 0x40 {
		return false
	}
	at := int64(binary.LittleEndian.Uint32(head[0x3c:]))
	if at+256 > int64(len(head)) {
		return true
	}
	if !bytes.HasPrefix(head[at:], []byte("PE\x00\x00")) {
		return false
	}
	optional := head[at+24:]
	exports := optional[96:]
	if binary.LittleEndian.Uint16(optional) == 0x20b {
		exports = optional[112:]
	}
	return binary.LittleEndian.Uint32(exports[4:]) != 0
}

// renamedRecords are S-records, with or without symbols in front, that say another name where they say a helper's.
func renamedRecords(text []byte, name string) []byte {
	if rest, ok := bytes.CutPrefix(text, []byte("$$ "+outputPlace)); ok {
		if _, after, ok := bytes.Cut(rest, []byte("\r\n")); ok {
			text = slices.Concat([]byte("$$ "+name+"\r\n"), after)
		}
	}
	at := 0
	if !bytes.HasPrefix(text, []byte("S0")) {
		if at = bytes.Index(text, []byte("\nS0")) + 1; at == 0 {
			return text
		}
	}
	line, after, ok := bytes.Cut(text[at:], []byte("\r\n"))
	if !ok || len(line) < 10 {
		return text
	}
	said, err := hex.DecodeString(string(line[8 : len(line)-2]))
	if err != nil || !strings.HasPrefix(string(said), outputPlace) {
		return text
	}
	return slices.Concat(text[:at], headerRecord(name), []byte("\r\n"), after)
}

// headerRecord is the S-record of a name: its length, address 0, the name and the sum of these.
func headerRecord(name string) []byte {
	name = name[:min(len(name), srecName)]
	b := append([]byte{byte(len(name) + 3), 0, 0}, name...)
	var sum byte
	for _, c := range b {
		sum += c
	}
	return fmt.Appendf(nil, "S0%X", append(b, ^sum))
}
