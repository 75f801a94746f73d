package session

import (
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/local"
)

// Small outputs go within the message, as many as it holds beside what was printed, and the
// others as files.
func TestCarry(t *testing.T) {
	one := broker.BytesBlob(make([]byte, maxInline))
	var outputs []broker.Output
	for range maxInlineSum/maxInline + 3 {
		outputs = append(outputs, broker.Output{Blob: one})
	}
	outputs = append(outputs, broker.Output{Blob: broker.BytesBlob(make([]byte, maxInline+1))})
	fin := local.Finish{Stdout: make([]byte, maxInline), Stderr: make([]byte, maxInline)}
	files, err := Carry(&fin, outputs, make([]local.Output, len(outputs)))
	defer CloseAll(files)
	sum := 0
	for _, o := range fin.Outputs {
		sum += len(o.Data)
	}
	if err != nil || sum != maxInlineSum-2*maxInline || len(files) != 6 {
		t.Errorf("%d bytes within, %d files, %v", sum, len(files), err)
	}
}

// Of an archive of 600 members of 100 KiB, which ar x takes out, no more go as files than one
// message has.
func TestCarryMany(t *testing.T) {
	one := broker.BytesBlob(make([]byte, 100<<10))
	outputs := make([]broker.Output, 600)
	for i := range outputs {
		outputs[i].Blob = one
	}
	files, err := Carry(new(local.Finish), outputs, make([]local.Output, len(outputs)))
	defer CloseAll(files)
	if err != nil || len(files) > local.MaxFiles {
		t.Errorf("%d files, %v", len(files), err)
	}
}
