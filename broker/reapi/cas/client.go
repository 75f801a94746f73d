package cas

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"golang.org/x/sync/semaphore"
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
	// maxLeaving bounds the bytes of contents that all uploads of a client hold
	// in memory at once, however many jobs begin together.
	maxLeaving = 16 << 20
)

// Abilities are what a server can do, as far as moving blobs goes.
type Abilities struct {
	// Batch is the most bytes that it takes in one batch.
	Batch int64
	// PackedBatch and PackedStream have blobs compressed with zstd in batches
	// and in streams of both directions.
	PackedBatch, PackedStream bool
}

// A Client moves blobs to a server's storage and from it. Its methods may be
// called at once.
type Client struct {
	storage   repb.ContentAddressableStorageClient
	stream    bytestream.ByteStreamClient
	idle      time.Duration
	dir       string
	known     known
	zstd      Zstd
	room      *semaphore.Weighted // bytes of contents in memory on their way out
	abilities atomic.Pointer[Abilities]
}

// NewClient makes a client of the server behind conn. No call is silent for
// longer than idle; blobs over 4 MiB are received into files without a name in
// dir ("" is os.TempDir), which go with their Blob.
func NewClient(conn grpc.ClientConnInterface, idle time.Duration, dir string) *Client {
	c := &Client{
		storage: repb.NewContentAddressableStorageClient(conn), stream: bytestream.NewByteStreamClient(conn),
		idle: idle, dir: dir, room: semaphore.NewWeighted(maxLeaving),
	}
	c.Learn(Abilities{Batch: MaxBatch})
	return c
}

// Learn tells what the server can do; until then it is the least.
func (c *Client) Learn(a Abilities) {
	a.Batch = min(a.Batch, MaxBatch)
	c.abilities.Store(&a)
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

// Read fetches a blob and verifies it. What the server lacks is a
// *wire.MissingError.
func (c *Client) Read(ctx context.Context, d broker.Digest) (broker.Blob, error) {
	ctx, touch, stop := wire.Watched(ctx, c.idle)
	defer stop()
	packed := c.abilities.Load().PackedStream && d.Size >= minPacked
	stream, err := c.stream.Read(ctx, &bytestream.ReadRequest{ResourceName: readResource(d, packed)})
	if err != nil {
		return broker.Blob{}, readFailed(ctx, d, err)
	}
	s, err := newSink(d, c.dir)
	if err != nil {
		return broker.Blob{}, err
	}
	if err := s.fill(&download{stream: stream, touch: touch}, packed); err != nil {
		s.drop()
		return broker.Blob{}, readFailed(ctx, d, err)
	}
	return s.blob()
}

// A download is the messages of a Read call as a reader.
type download struct {
	stream bytestream.ByteStream_ReadClient
	touch  func()
	data   []byte // received and not yet read
}

func (r *download) Read(p []byte) (int, error) {
	for len(r.data) == 0 {
		m, err := r.stream.Recv()
		if err != nil {
			return 0, err
		}
		r.touch()
		r.data = m.Data
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

func readFailed(ctx context.Context, d broker.Digest, err error) error {
	if status.Code(err) == codes.NotFound {
		return &wire.MissingError{Digests: []broker.Digest{d}}
	}
	return wire.Failed(ctx, err)
}
