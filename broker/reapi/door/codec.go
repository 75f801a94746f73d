package door

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// smallMessage is a request that can do no harm however it is made.
const smallMessage = 32 << 10

// A boundedCodec counts a request's fields before it is decoded: two bytes on
// the wire can become a hundred in memory, and no handler sees a message before
// gRPC has decoded it.
type boundedCodec struct{ encoding.CodecV2 }

func (c boundedCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if data.Len() > smallMessage {
		if n := wire.Fields(data.Materialize()); n > maxRequestFields {
			return status.Errorf(codes.InvalidArgument, "message has %d fields, at most %d are served", n, maxRequestFields)
		}
	}
	return c.CodecV2.Unmarshal(data, v)
}
