package local

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Strings and byte strings go as an uvarint length and raw bytes (file names
// need not be UTF-8), lists as an uvarint count, numbers as uvarints, booleans
// as one byte. A nil list and an empty one are the same.

func appendNumber(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

func appendBytes[T string | []byte](b []byte, s T) []byte {
	return append(appendNumber(b, len(s)), s...)
}

func appendStrings(b []byte, list []string) []byte {
	b = appendNumber(b, len(list))
	for _, s := range list {
		b = appendBytes(b, s)
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func (m Request) append(b []byte) []byte {
	b = appendBytes(b, m.Build)
	b = appendBytes(b, m.Verb)
	b = appendBytes(b, m.Program)
	b = appendStrings(b, m.Args)
	b = appendStrings(b, m.Env)
	b = appendBytes(b, m.Dir)
	b = appendNumber(b, m.Umask)
	b = appendBool(b, m.Terminal)
	b = appendNumber(b, m.Columns)
	return appendBool(b, m.Nested)
}

func (m Ran) append(b []byte) []byte   { return appendBytes(appendNumber(b, m.Status), m.Err) }
func (m Wrote) append(b []byte) []byte { return appendBytes(b, m.Err) }
func (Replace) append(b []byte) []byte { return b }

func (m Run) append(b []byte) []byte {
	b = appendBytes(b, m.Path)
	b = appendStrings(b, m.Args)
	b = appendStrings(b, m.Env)
	return appendBool(b, m.Stdin)
}

func (m Exec) append(b []byte) []byte {
	b = appendBytes(b, m.Path)
	b = appendStrings(b, m.Args)
	b = appendBytes(b, m.Reason)
	return appendBool(b, m.Slot)
}

func (m Finish) append(b []byte) []byte {
	b = appendNumber(b, len(m.Outputs))
	for _, o := range m.Outputs {
		b = appendBytes(b, o.Path)
		b = appendBool(b, o.Executable)
		b = appendNumber(b, int(o.Mode))
		b = appendBool(b, o.Keep)
		b = appendNumber(b, o.File+1)
		b = appendBytes(b, o.Data)
	}
	b = appendStrings(b, m.Remove)
	b = appendBytes(b, m.Stdout)
	b = appendBytes(b, m.Stderr)
	return appendNumber(b, m.Status)
}

func (m Fail) append(b []byte) []byte {
	return appendNumber(appendBytes(appendBytes(b, m.Message), m.Hint), m.Status)
}

func (m Answer) append(b []byte) []byte { return appendBytes(b, m.Data) }
func (m Note) append(b []byte) []byte   { return appendBytes(b, m.Text) }
func (Alive) append(b []byte) []byte    { return b }

// decode reads the body of one frame. The message may keep parts of body.
func decode(k kind, body []byte) (Message, error) {
	d := &decoder{rest: body}
	m := d.message(k)
	if m == nil {
		return nil, fmt.Errorf("protocol error: unknown message %d", k)
	}
	if d.err == nil && len(d.rest) > 0 {
		d.err = fmt.Errorf("%d bytes too many", len(d.rest))
	}
	if d.err != nil {
		return nil, fmt.Errorf("protocol error: %T: %w", m, d.err)
	}
	return m, nil
}

// decoder takes fields off the front of rest; after the first error all are zero.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) message(k kind) Message {
	switch k {
	case kindRequest:
		return Request{Build: d.string(), Verb: d.string(), Program: d.string(), Args: d.strings(), Env: d.strings(),
			Dir: d.string(), Umask: d.number(), Terminal: d.bool(), Columns: d.number(), Nested: d.bool()}
	case kindRan:
		return Ran{Status: d.number(), Err: d.string()}
	case kindWrote:
		return Wrote{Err: d.string()}
	case kindReplace:
		return Replace{}
	case kindRun:
		return Run{Path: d.string(), Args: d.strings(), Env: d.strings(), Stdin: d.bool()}
	case kindExec:
		return Exec{Path: d.string(), Args: d.strings(), Reason: d.string(), Slot: d.bool()}
	case kindFinish:
		return Finish{Outputs: d.outputs(), Remove: d.strings(), Stdout: d.bytes(), Stderr: d.bytes(), Status: d.number()}
	case kindFail:
		return Fail{Message: d.string(), Hint: d.string(), Status: d.number()}
	case kindAnswer:
		return Answer{Data: d.bytes()}
	case kindNote:
		return Note{Text: d.string()}
	case kindAlive:
		return Alive{}
	}
	return nil
}

// maxNumber bounds every number that is no length: wait statuses are the widest.
const maxNumber = 1<<32 - 1

func (d *decoder) number() int {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > maxNumber {
		d.fail(errors.New("bad number"))
		return 0
	}
	d.rest = d.rest[n:]
	return int(v)
}

// length is a number that the rest of the frame must be able to hold, one byte
// for each; it is the peer's choice, so nothing is allocated by it before.
func (d *decoder) length() int {
	n := d.number()
	if n > len(d.rest) {
		d.fail(fmt.Errorf("length %d beyond the end", n))
		return 0
	}
	return n
}

func (d *decoder) take() []byte {
	n := d.length()
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) string() string { return string(d.take()) }

func (d *decoder) bytes() []byte {
	b := d.take()
	if len(b) == 0 {
		return nil
	}
	return b[:len(b):len(b)]
}

func (d *decoder) strings() []string {
	var list []string
	for n := d.length(); n > 0 && d.err == nil; n-- {
		list = append(list, d.string())
	}
	return list
}

func (d *decoder) outputs() []Output {
	var list []Output
	for n := d.length(); n > 0 && d.err == nil; n-- {
		o := Output{Path: d.string(), Executable: d.bool(), Mode: uint32(d.number()) & 0o777, Keep: d.bool()}
		o.File, o.Data = d.number()-1, d.bytes()
		list = append(list, o)
	}
	return list
}

func (d *decoder) bool() bool {
	if len(d.rest) == 0 || d.rest[0] > 1 {
		d.fail(errors.New("bad boolean"))
		return false
	}
	v := d.rest[0] == 1
	d.rest = d.rest[1:]
	return v
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.rest = nil
}
