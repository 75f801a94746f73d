package session

import (
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/local"
)

// Small outputs go within the message, as many as it holds, and the others as files.
func TestCarry(t *testing.T) {
	one := broker.BytesBlob(make([]byte, maxInline))
	var outputs []broker.Output
	for range maxInlineSum/maxInline + 3 {
		outputs = append(outputs, broker.Output{Blob: one})
	}
	outputs = append(outputs, broker.Output{Blob: broker.BytesBlob(make([]byte, maxInline+1))})
	var fin local.Finish
	files, err := Carry(&fin, outputs, make([]local.Output, len(outputs)))
	defer CloseAll(files)
	sum := 0
	for _, o := range fin.Outputs {
		sum += len(o.Data)
	}
	if err != nil || sum != maxInlineSum || len(files) != 4 {
		t.Errorf("%d bytes within, %d files, %v", sum, len(files), err)
	}
}
