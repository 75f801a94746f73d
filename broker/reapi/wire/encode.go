package wire

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/crosscc/crosscc/broker"
)

// linkProperty is the node property in which File.Class travels. REAPI leaves
// names of properties to clients and servers.
const linkProperty = "crosscc-hard-link"

// NodeProperties are the properties of files that a server of ours reads.
func NodeProperties() []string { return []string{"mtime", linkProperty} }

// Fields of REAPI's messages, by their numbers.
const (
	directoryFiles, directoryDirs, directoryLinks    = 1, 2, 3
	nodeName, nodeDigest, linkTarget, fileProperties = 1, 2, 2, 6
	digestHash, digestSize                           = 1, 2
	propertiesList, propertiesMtime, mtimeSeconds    = 1, 2, 1
	propertyName, propertyValue                      = 1, 2
)

// appendDirectory appends the encoding of d to b, byte for byte what proto.Marshal
// makes of it: a tree has hundreds of nodes, and to make a message for each took
// ten times as long as to write them down. subs are d.Dirs, worded.
func appendDirectory(b []byte, d *broker.Dir, subs []*directory) ([]byte, error) {
	n := names{}
	for i := range d.Files {
		f := &d.Files[i]
		n.next(f.Name)
		properties := propertiesSize(f)
		size := textSize(f.Name) + messageSize(digestSizeOf(f.Blob.Digest))
		if properties > 0 {
			size += messageSize(properties)
		}
		b = appendMessage(b, directoryFiles, size)
		b = appendText(b, nodeName, f.Name)
		b = appendDigest(b, f.Blob.Digest)
		if properties > 0 {
			b = appendProperties(b, f, properties)
		}
	}
	n.last = ""
	for i, s := range d.Dirs {
		n.next(s.Name)
		b = appendMessage(b, directoryDirs, textSize(s.Name)+messageSize(digestSizeOf(subs[i].digest)))
		b = appendText(b, nodeName, s.Name)
		b = appendDigest(b, subs[i].digest)
	}
	n.last = ""
	for _, l := range d.Links {
		n.next(l.Name)
		n.text(l.Target)
		b = appendMessage(b, directoryLinks, textSize(l.Name)+textSize(l.Target))
		b = appendText(b, nodeName, l.Name)
		b = appendText(b, linkTarget, l.Target)
	}
	return b, n.err
}

// names looks at the names of one list: they must be text, and in their order, or
// equal trees would give unequal messages.
type names struct {
	last string
	err  error
}

func (n *names) next(name string) {
	if name <= n.last {
		n.err = errors.Join(n.err, fmt.Errorf("job: names of its tree are not sorted: %q after %q", name, n.last))
	}
	n.last = name
	n.text(name)
}

func (n *names) text(s string) {
	if !utf8.ValidString(s) {
		n.err = notUTF8()
	}
}

func appendDigest(b []byte, d broker.Digest) []byte {
	b = appendMessage(b, nodeDigest, digestSizeOf(d))
	b = appendText(b, digestHash, d.Hash)
	return appendNumber(b, digestSize, d.Size)
}

func digestSizeOf(d broker.Digest) int { return textSize(d.Hash) + numberSize(d.Size) }

// appendProperties writes a file's NodeProperties, of size bytes.
func appendProperties(b []byte, f *broker.File, size int) []byte {
	b = appendMessage(b, fileProperties, size)
	if f.Class != 0 {
		value := strconv.Itoa(f.Class)
		b = appendMessage(b, propertiesList, textSize(linkProperty)+textSize(value))
		b = appendText(b, propertyName, linkProperty)
		b = appendText(b, propertyValue, value)
	}
	if f.Modified != 0 {
		b = appendMessage(b, propertiesMtime, numberSize(f.Modified))
		b = appendNumber(b, mtimeSeconds, f.Modified)
	}
	return b
}

// propertiesSize is 0 when f has none.
func propertiesSize(f *broker.File) int {
	size := 0
	if f.Class != 0 {
		size += messageSize(textSize(linkProperty) + textSize(strconv.Itoa(f.Class)))
	}
	if f.Modified != 0 {
		size += messageSize(numberSize(f.Modified))
	}
	return size
}

// All fields here have numbers below 16: a tag is one byte. Texts and numbers that
// are empty are left out, as proto3 has it.

func appendMessage(b []byte, field protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(size))
}

func messageSize(size int) int { return 1 + protowire.SizeBytes(size) }

func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func textSize(s string) int {
	if s == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(s))
}

func appendNumber(b []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
}

func numberSize(n int64) int {
	if n == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(uint64(n))
}
