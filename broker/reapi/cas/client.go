package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

const (
	// blobOverhead is what a digest and its frame add to a blob in a batch.
	blobOverhead = 128
	// digestsAtOnce bounds one FindMissingBlobs call: 2 MiB.
	digestsAtOnce = 20_000
)

// A Client moves blobs to a server's storage and from it.
type Client struct {
	storage repb.ContentAddressableStorageClient
	stream  bytestream.ByteStreamClient
	idle    time.Duration
	dir     string
	known   known
}

// NewClient makes a client of the server behind conn. No call is silent for
// longer than idle; blobs over 4 MiB are received into files without a name in
// dir ("" is os.TempDir), which go with their Blob.
func NewClient(conn grpc.ClientConnInterface, idle time.Duration, dir string) *Client {
	return &Client{
		storage: repb.NewContentAddressableStorageClient(conn), stream: bytestream.NewByteStreamClient(conn),
		idle: idle, dir: dir, known: known{now: time.Now},
	}
}

// Unknown returns those of blobs that the server is not known to have: it
// remembers for some minutes what it was told.
func (c *Client) Unknown(blobs []broker.Blob) []broker.Blob { return c.known.unknown(blobs) }

// Known remembers that the server has blobs: it was heard to.
func (c *Client) Known(blobs []broker.Blob) { c.known.add(blobs) }

// Forget drops what is known of blobs: the server says that it lost some.
func (c *Client) Forget(blobs []broker.Blob) { c.known.forget(blobs) }

// Missing asks which of blobs the server lacks, and remembers the others.
func (c *Client) Missing(ctx context.Context, blobs []broker.Blob) ([]broker.Blob, error) {
	var missing, there []broker.Blob
	for part := range slices.Chunk(blobs, digestsAtOnce) {
		lacking, err := c.findMissing(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("find missing blobs: %w", err)
		}
		for _, b := range part {
			if lacking[b.Digest] {
				missing = append(missing, b)
			} else {
				there = append(there, b)
			}
		}
	}
	c.Known(there)
	return missing, nil
}

func (c *Client) findMissing(ctx context.Context, blobs []broker.Blob) (map[broker.Digest]bool, error) {
	ctx, _, stop := wire.Watched(ctx, c.idle)
	defer stop()
	r := &repb.FindMissingBlobsRequest{DigestFunction: repb.DigestFunction_SHA256}
	for _, b := range blobs {
		r.BlobDigests = append(r.BlobDigests, wire.DigestToProto(b.Digest))
	}
	answer, err := c.storage.FindMissingBlobs(ctx, r)
	if err != nil {
		return nil, wire.Failed(ctx, err)
	}
	lacking := make(map[broker.Digest]bool, len(answer.MissingBlobDigests))
	for _, p := range answer.MissingBlobDigests {
		lacking[broker.Digest{Hash: p.GetHash(), Size: p.GetSizeBytes()}] = true
	}
	return lacking, nil
}

// Upload sends blobs: the small ones in batches of at most most bytes, or of
// MaxBatch, the others one by one.
func (c *Client) Upload(ctx context.Context, blobs []broker.Blob, most int64) error {
	most = min(most, MaxBatch)
	var batch []broker.Blob
	room := most
	for _, b := range blobs {
		size := b.Digest.Size + blobOverhead
		if size > most {
			if err := c.write(ctx, b); err != nil {
				return fmt.Errorf("upload %s: %w", b.Digest, err)
			}
			continue
		}
		if size > room {
			if err := c.updateBatch(ctx, batch); err != nil {
				return err
			}
			batch, room = nil, most
		}
		batch, room = append(batch, b), room-size
	}
	if err := c.updateBatch(ctx, batch); err != nil {
		return err
	}
	c.Known(blobs)
	return nil
}

func (c *Client) updateBatch(ctx context.Context, blobs []broker.Blob) error {
	if len(blobs) == 0 {
		return nil
	}
	ctx, _, stop := wire.Watched(ctx, c.idle)
	defer stop()
	r := &repb.BatchUpdateBlobsRequest{DigestFunction: repb.DigestFunction_SHA256}
	for _, b := range blobs {
		data, err := b.Bytes(MaxBatch)
		if err != nil {
			return fmt.Errorf("input: %w", err)
		}
		r.Requests = append(r.Requests, &repb.BatchUpdateBlobsRequest_Request{Digest: wire.DigestToProto(b.Digest), Data: data})
	}
	answer, err := c.storage.BatchUpdateBlobs(ctx, r)
	if err != nil {
		return fmt.Errorf("upload: %w", wire.Failed(ctx, err))
	}
	if len(answer.Responses) != len(blobs) {
		return fmt.Errorf("upload: server answered for %d blobs of %d", len(answer.Responses), len(blobs))
	}
	for _, one := range answer.Responses {
		if s := status.FromProto(one.Status); s.Code() != codes.OK {
			return fmt.Errorf("upload %s: %w", one.Digest.GetHash(), wire.CallError(s))
		}
	}
	return nil
}

// write sends one large blob as a stream.
func (c *Client) write(ctx context.Context, b broker.Blob) error {
	ctx, touch, stop := wire.Watched(ctx, c.idle)
	defer stop()
	r, err := b.Open()
	if err != nil {
		return fmt.Errorf("input: %w", err)
	}
	defer r.Close()
	stream, err := c.stream.Write(ctx)
	if err != nil {
		return wire.Failed(ctx, err)
	}
	if err := send(stream, b.Digest, r, touch); err != nil && !errors.Is(err, io.EOF) {
		return wire.Failed(ctx, err)
	}
	// After io.EOF the server has answered early: it failed, or has the blob.
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return wire.Failed(ctx, err)
	}
	if answer.CommittedSize != b.Digest.Size {
		return fmt.Errorf("server took %d bytes of %d", answer.CommittedSize, b.Digest.Size)
	}
	return nil
}

// send writes d.Size bytes of r in messages.
func send(stream bytestream.ByteStream_WriteClient, d broker.Digest, r io.Reader, touch func()) error {
	name := writeResource(d)
	for offset := int64(0); offset < d.Size; {
		data := make([]byte, min(d.Size-offset, chunk))
		if _, err := io.ReadFull(r, data); err != nil {
			return fmt.Errorf("input is shorter than its digest says: %w", io.ErrUnexpectedEOF)
		}
		m := &bytestream.WriteRequest{ResourceName: name, WriteOffset: offset, Data: data}
		offset += int64(len(data))
		m.FinishWrite = offset == d.Size
		if err := stream.Send(m); err != nil {
			return err
		}
		touch()
	}
	return nil
}

// Read fetches a blob and verifies it. What the server lacks is a
// *wire.MissingError.
func (c *Client) Read(ctx context.Context, d broker.Digest) (broker.Blob, error) {
	ctx, touch, stop := wire.Watched(ctx, c.idle)
	defer stop()
	stream, err := c.stream.Read(ctx, &bytestream.ReadRequest{ResourceName: readResource(d)})
	if err != nil {
		return broker.Blob{}, readFailed(ctx, d, err)
	}
	s, err := newSink(d, c.dir)
	if err != nil {
		return broker.Blob{}, err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return s.blob()
		}
		if err == nil {
			touch()
			err = s.write(m.Data)
		}
		if err != nil {
			s.drop()
			return broker.Blob{}, readFailed(ctx, d, err)
		}
	}
}

func readFailed(ctx context.Context, d broker.Digest, err error) error {
	if status.Code(err) == codes.NotFound {
		return &wire.MissingError{Digests: []broker.Digest{d}}
	}
	return wire.Failed(ctx, err)
}
