// Package cas is the content-addressed storage of the Remote Execution API from
// both ends: Service offers a store to clients (ContentAddressableStorage and
// ByteStream), Client moves blobs to such a service and from it. Start with
// Client.Missing and Upload, and with byteStream.Write on the other side.
package cas

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"golang.org/x/sync/semaphore"
	"google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/broker/store"
)

const (
	// MaxBatch is the sum of blob sizes in one batch call, and the size above
	// which a blob goes through ByteStream. It leaves room for the digests
	// beside the blobs within the 4 MiB that gRPC peers take by default.
	MaxBatch = 3 << 20
	// chunk is how much of a blob goes in one ByteStream message: small
	// enough that a slow link shows progress, large enough to be cheap.
	chunk = 128 << 10
	// maxUnpacked bounds the sum of what the compressed blobs of one batch
	// become: four times what the batch could hold plain.
	maxUnpacked = 4 * MaxBatch
	// maxCodecs bounds the streams that are compressed or decompressed at once;
	// each has a window of up to 8 MiB. Others wait, as long as an upload may be
	// silent.
	maxCodecs = 32
	// alreadyThere is what REAPI has a server say of an upload that nobody
	// needed, when it is compressed.
	alreadyThere = -1
)

// A Service is the server's side: ContentAddressableStorage and ByteStream over
// a store.
type Service struct {
	store   *store.Store
	idle    time.Duration
	uploads sync.WaitGroup // stores that outlive their silent call
	codecs  *semaphore.Weighted
}

// Register adds the two services to r. An upload that brings nothing for the
// time idle is ended.
func Register(r *grpc.Server, st *store.Store, idle time.Duration) *Service {
	s := &Service{store: st, idle: idle, codecs: semaphore.NewWeighted(maxCodecs)}
	repb.RegisterContentAddressableStorageServer(r, &storage{store: st})
	bytestream.RegisterByteStreamServer(r, &byteStream{s: s})
	return s
}

// Wait returns when nothing writes to the store any more. No call may run.
func (s *Service) Wait() { s.uploads.Wait() }

// Keep stores a blob that a client sent, under the digest of what it is. The
// store's own errors come as statuses.
func (s *Service) Keep(ctx context.Context, data []byte) error {
	d := broker.DigestOf(data)
	if wire.Empty(d) || len(s.store.Missing([]broker.Digest{d})) == 0 {
		return nil
	}
	return storeStatus(s.store.PutFrom(clientOf(ctx), d, bytes.NewReader(data))).Err()
}

// codec waits for a place among the streams that are compressed.
func (s *Service) codec(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.idle)
	defer cancel()
	if err := s.codecs.Acquire(ctx, 1); err != nil {
		return nil, status.Errorf(codes.ResourceExhausted, "%d compressed blobs are on their way already", maxCodecs)
	}
	return func() { s.codecs.Release(1) }, nil
}

// storage is the ContentAddressableStorage service over the store.
type storage struct {
	repb.UnimplementedContentAddressableStorageServer
	store *store.Store
	zstd  Zstd
}

// SourceOf reads from a store; what it lost is a *MissingError.
func SourceOf(st *store.Store) wire.Source {
	return wire.Source{
		Missing: st.Missing,
		Open: func(d broker.Digest) (io.ReadCloser, error) {
			f, err := st.Open(d)
			if _, ok := errors.AsType[*store.Miss](err); ok {
				return nil, &wire.MissingError{Digests: []broker.Digest{d}}
			}
			if err != nil {
				return nil, err
			}
			return f, nil
		},
	}
}

// FindMissingBlobs says which blobs a client has to upload.
func (c *storage) FindMissingBlobs(_ context.Context, r *repb.FindMissingBlobsRequest) (*repb.FindMissingBlobsResponse, error) {
	if err := wire.CheckFunction(r.DigestFunction); err != nil {
		return nil, wire.StatusOf(err).Err()
	}
	digests, err := wire.DigestsFromProto(r.BlobDigests)
	if err != nil {
		return nil, wire.StatusOf(err).Err()
	}
	missing := c.store.Missing(slices.DeleteFunc(digests, wire.Empty))
	return &repb.FindMissingBlobsResponse{MissingBlobDigests: wire.DigestsToProto(missing)}, nil
}

// BatchUpdateBlobs takes small blobs; each has a status of its own.
func (c *storage) BatchUpdateBlobs(ctx context.Context, r *repb.BatchUpdateBlobsRequest) (*repb.BatchUpdateBlobsResponse, error) {
	if err := wire.CheckFunction(r.DigestFunction); err != nil {
		return nil, wire.StatusOf(err).Err()
	}
	room := int64(maxUnpacked)
	for _, blob := range r.Requests {
		if blob.Compressor == repb.Compressor_IDENTITY {
			continue // their sum is bounded by the message's size
		}
		if blob.Digest.GetSizeBytes() > room {
			return nil, status.Errorf(codes.InvalidArgument, "batch would become more than %d bytes", maxUnpacked)
		}
		room -= max(blob.Digest.GetSizeBytes(), 0)
	}
	client, answer := clientOf(ctx), &repb.BatchUpdateBlobsResponse{}
	for _, blob := range r.Requests {
		answer.Responses = append(answer.Responses, &repb.BatchUpdateBlobsResponse_Response{
			Digest: blob.Digest, Status: c.update(client, blob).Proto(),
		})
	}
	return answer, nil
}

func (c *storage) update(client string, r *repb.BatchUpdateBlobsRequest_Request) *status.Status {
	digest, err := wire.DigestFromProto(r.Digest)
	if err != nil {
		return wire.StatusOf(err)
	}
	data := r.Data
	switch r.Compressor {
	case repb.Compressor_IDENTITY:
	case repb.Compressor_ZSTD:
		if data, err = c.zstd.Unpack(data, digest.Size); err != nil {
			return status.New(codes.InvalidArgument, err.Error())
		}
	default:
		return status.Newf(codes.InvalidArgument, "compressor %v is not served", r.Compressor)
	}
	return storeStatus(c.store.PutFrom(client, digest, bytes.NewReader(data)))
}

// BatchReadBlobs hands out small blobs; each has a status of its own.
func (c *storage) BatchReadBlobs(_ context.Context, r *repb.BatchReadBlobsRequest) (*repb.BatchReadBlobsResponse, error) {
	if err := wire.CheckFunction(r.DigestFunction); err != nil {
		return nil, wire.StatusOf(err).Err()
	}
	digests, err := wire.DigestsFromProto(r.Digests)
	if err != nil {
		return nil, wire.StatusOf(err).Err()
	}
	// The declared sizes are the real ones, or the blob is not found.
	room := int64(MaxBatch)
	for _, d := range digests {
		if d.Size > room {
			return nil, status.Errorf(codes.InvalidArgument, "batch is over %d bytes", MaxBatch)
		}
		room -= d.Size
	}
	answer := &repb.BatchReadBlobsResponse{}
	for _, d := range digests {
		data, err := SourceOf(c.store).Read(d, MaxBatch)
		answer.Responses = append(answer.Responses, &repb.BatchReadBlobsResponse_Response{
			Digest: wire.DigestToProto(d), Data: data, Status: storeStatus(err).Proto(),
		})
	}
	return answer, nil
}

// GetTree streams each Directory below a root once. A directory that is not
// there is left out, as REAPI has it; only the root must be.
func (c *storage) GetTree(r *repb.GetTreeRequest, stream grpc.ServerStreamingServer[repb.GetTreeResponse]) error {
	if err := wire.CheckFunction(r.DigestFunction); err != nil {
		return wire.StatusOf(err).Err()
	}
	if r.PageToken != "" {
		return status.Error(codes.InvalidArgument, "page token is none of this server's: a tree is sent as one stream")
	}
	root, err := wire.DigestFromProto(r.RootDigest)
	if err != nil {
		return wire.StatusOf(err).Err()
	}
	page := &pager{stream: stream, most: int(r.PageSize)}
	err = wire.Directories(root, SourceOf(c.store), page.add)
	switch {
	case wire.IsMissing(err):
		return status.Errorf(codes.NotFound, "tree %s is not here", root)
	case err != nil:
		return wire.StatusOf(err).Err()
	}
	return page.flush()
}

// A pager collects directories into messages.
type pager struct {
	stream grpc.ServerStreamingServer[repb.GetTreeResponse]
	most   int // directories in a message; 0: as many as fit
	page   []*repb.Directory
	size   int
}

func (p *pager) add(d *repb.Directory) error {
	size := proto.Size(d)
	if p.size+size > MaxBatch || p.most > 0 && len(p.page) >= p.most {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.page, p.size = append(p.page, d), p.size+size
	return nil
}

func (p *pager) flush() error {
	if len(p.page) == 0 {
		return nil
	}
	err := p.stream.Send(&repb.GetTreeResponse{Directories: p.page})
	p.page, p.size = nil, 0
	return err
}

// storeStatus words a store's error.
func storeStatus(err error) *status.Status {
	_, missed := errors.AsType[*store.Miss](err)
	switch {
	case missed || wire.IsMissing(err):
		return status.New(codes.NotFound, err.Error())
	case errors.Is(err, store.ErrMismatch):
		return status.New(codes.InvalidArgument, err.Error())
	case errors.Is(err, store.ErrTooLarge), errors.Is(err, store.ErrBusy):
		return status.New(codes.ResourceExhausted, err.Error())
	}
	return wire.StatusOf(err)
}

// clientOf names who uploads, for the share of the store that one may hold.
func clientOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	if addr, err := netip.ParseAddrPort(p.Addr.String()); err == nil {
		return addr.Addr().Unmap().String()
	}
	return p.Addr.Network()
}
