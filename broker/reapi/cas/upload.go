package cas

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// A Claim is blobs that one job brings to the server, while other jobs that need
// the same ones wait for it. Whoever has a Claim ends it, with Bring or Drop.
type Claim struct {
	c      *Client
	mine   []broker.Blob // on flight
	flight *flight       // nil: nothing, or ended
	others []*flight
	lacks  []broker.Blob // those of mine that the server lacks
}

// Claim takes those of blobs that no other job brings. When these are no more than
// small bytes they are taken by nobody: Bring then waits for what others bring.
func (c *Client) Claim(blobs []broker.Blob, small int64) *Claim {
	cl := &Claim{c: c}
	cl.mine, cl.flight, cl.others = c.known.board(blobs, small)
	cl.lacks = cl.mine
	return cl
}

// Ask asks which of the claimed blobs the server lacks: no others are uploaded.
func (cl *Claim) Ask(ctx context.Context) (err error) {
	cl.lacks, err = cl.c.Missing(ctx, cl.mine)
	return err
}

// Bring uploads what was claimed and waits for what others do: the server then
// has all of it, but what others failed to bring. Contents that are no longer what
// their digest says are a *broker.ChangedError.
func (cl *Claim) Bring(ctx context.Context) error {
	defer cl.Drop()
	if err := cl.c.Upload(ctx, cl.lacks); err != nil {
		return err
	}
	cl.Drop()
	for _, f := range cl.others {
		if err := f.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Drop ends the claim.
func (cl *Claim) Drop() {
	if cl.flight != nil {
		cl.c.known.land(cl.flight, cl.mine)
		cl.flight = nil
	}
}

// Upload sends blobs: the small ones in batches as the server takes them, the
// others one by one.
func (c *Client) Upload(ctx context.Context, blobs []broker.Blob) error {
	most := c.abilities.Load().Batch
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
	leave, err := c.Enter(ctx, Size(blobs))
	if err != nil {
		return err
	}
	defer leave()
	r := &repb.BatchUpdateBlobsRequest{DigestFunction: repb.DigestFunction_SHA256}
	for _, b := range blobs {
		one, err := c.updateOf(b)
		if err != nil {
			return fmt.Errorf("input: %w", err)
		}
		r.Requests = append(r.Requests, one)
	}
	ctx, _, stop := wire.Watched(ctx, c.idle)
	defer stop()
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

func (c *Client) updateOf(b broker.Blob) (*repb.BatchUpdateBlobsRequest_Request, error) {
	data, err := b.Bytes(MaxBatch)
	if err != nil {
		return nil, err
	}
	r := &repb.BatchUpdateBlobsRequest_Request{Digest: wire.DigestToProto(b.Digest), Data: data}
	if c.abilities.Load().PackedBatch {
		if packed, ok := c.zstd.Pack(data); ok {
			r.Data, r.Compressor = packed, repb.Compressor_ZSTD
		}
	}
	return r, nil
}

// Enter waits until size bytes of contents may be in memory on their way to the
// server. leave gives the room back when they are sent; it may be called again.
func (c *Client) Enter(ctx context.Context, size int64) (leave func(), err error) {
	size = min(size, maxLeaving)
	if err := c.room.Acquire(ctx, size); err != nil {
		return nil, context.Cause(ctx)
	}
	return sync.OnceFunc(func() { c.room.Release(size) }), nil
}

// streamRoom is what one stream holds in memory: messages that wait for the
// connection, and the compressor's window and tables.
const streamRoom = 1 << 20

// write sends one large blob as a stream.
func (c *Client) write(ctx context.Context, b broker.Blob) error {
	leave, err := c.Enter(ctx, streamRoom)
	if err != nil {
		return err
	}
	defer leave()
	ctx, touch, stop := wire.Watched(ctx, c.idle)
	defer stop() // ends the stream: what was not finished is not kept
	content, err := openInput(b)
	if err != nil {
		return fmt.Errorf("input: %w", err)
	}
	defer content.Close()
	stream, err := c.stream.Write(ctx)
	if err != nil {
		return wire.Failed(ctx, err)
	}
	packed := c.abilities.Load().PackedStream
	name := writeResource(b.Digest, packed)
	var w chunks
	w.send = func(data []byte, finish bool) error {
		err := stream.Send(&bytestream.WriteRequest{ResourceName: name, WriteOffset: w.sent, Data: data, FinishWrite: finish})
		touch()
		return err
	}
	if err := sendAll(&w, content, packed); err != nil && !errors.Is(err, io.EOF) {
		return wire.Failed(ctx, err)
	}
	// After io.EOF the server has answered early: it failed, or has the blob.
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return wire.Failed(ctx, err)
	}
	if n := answer.CommittedSize; n != b.Digest.Size && !(packed && (n == w.sent || n == alreadyThere)) {
		return fmt.Errorf("server took %d bytes of %d", n, b.Digest.Size)
	}
	return nil
}

// sendAll sends the whole of r. The message that finishes the blob goes out only
// when r came to its end without an error.
func sendAll(w *chunks, r io.Reader, packed bool) error {
	copied := io.Copy
	if packed {
		copied = packInto
	}
	if _, err := copied(w, r); err != nil {
		return err
	}
	return w.flush(true)
}

// An input is the content of a blob, checked against its digest while it is read:
// its end comes only when all was right.
type input struct {
	io.ReadCloser
	want broker.Digest
	hash hash.Hash
	left int64
}

// openInput opens b to be sent.
func openInput(b broker.Blob) (*input, error) {
	r, err := b.Open()
	if err != nil {
		return nil, &broker.ChangedError{Digest: b.Digest, Err: err}
	}
	return &input{ReadCloser: r, want: b.Digest, hash: sha256.New(), left: b.Digest.Size}, nil
}

func (in *input) Read(p []byte) (int, error) {
	if in.left == 0 {
		if got := hex.EncodeToString(in.hash.Sum(nil)); got != in.want.Hash {
			return 0, in.changed(fmt.Errorf("its hash is %s", got))
		}
		return 0, io.EOF
	}
	n, err := in.ReadCloser.Read(p[:min(int64(len(p)), in.left)])
	in.hash.Write(p[:n])
	in.left -= int64(n)
	switch {
	case err == nil || in.left == 0:
		return n, nil // the next Read says whether it was right
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("it is %d bytes shorter", in.left)
	}
	return n, in.changed(err)
}

func (in *input) changed(err error) error { return &broker.ChangedError{Digest: in.want, Err: err} }

// chunks cuts what is written to it into messages.
type chunks struct {
	send func(data []byte, finish bool) error
	data []byte // not yet sent, up to chunk bytes
	sent int64
}

func (c *chunks) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(c.data) == chunk {
			if err := c.flush(false); err != nil {
				return 0, err
			}
		}
		if c.data == nil {
			c.data = make([]byte, 0, chunk)
		}
		part := p[:min(len(p), chunk-len(c.data))]
		c.data = append(c.data, part...)
		p = p[len(part):]
	}
	return n, nil
}

// flush sends what is left; finish says that nothing more comes.
func (c *chunks) flush(finish bool) error {
	err := c.send(c.data, finish)
	c.sent += int64(len(c.data))
	c.data = nil // a new buffer each time: grpc keeps what it was given
	return err
}
