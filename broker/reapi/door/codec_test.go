package door

import (
	"bytes"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker/reapi/reapitest"
)

// A request of many empty fields is refused before it fills memory; an honest
// one of the same size is not.
func TestBoundedCodec(t *testing.T) {
	c := boundedCodec{encoding.GetCodecV2("proto")}
	flood := bytes.Repeat([]byte{0x12, 0}, maxRequestFields+1) // blob_digests, empty
	var r repb.FindMissingBlobsRequest
	err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(flood)}, &r)
	if status.Code(err) != codes.InvalidArgument || len(r.BlobDigests) > 0 {
		t.Errorf("flood: %v, %d digests", err, len(r.BlobDigests))
	}
	honest, err := c.Marshal(&repb.BatchUpdateBlobsRequest{Requests: []*repb.BatchUpdateBlobsRequest_Request{{Data: make([]byte, len(flood))}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Unmarshal(honest, &repb.BatchUpdateBlobsRequest{}); err != nil {
		t.Errorf("honest: %v", err)
	}
}

// However many clients there are, only so many actions wait here; the next is
// told to go elsewhere, before its tree is read.
func TestAdmitted(t *testing.T) {
	b := newBench(t)
	for range cap(b.server.admitted) {
		b.server.admitted <- struct{}{}
	}
	if _, err := b.client.Run(t.Context(), reapitest.Job("waits")); err == nil || b.Runs.Load() > 0 {
		t.Errorf("one more was run: %v", err)
	}
	<-b.server.admitted
	if _, err := b.client.Run(t.Context(), reapitest.Job("waits")); err != nil {
		t.Errorf("with a place free: %v", err)
	}
}
