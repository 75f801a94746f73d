package cas

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// byteStream is the ByteStream service: blobs of any size.
type byteStream struct {
	bytestream.UnimplementedByteStreamServer
	s *Service
}

// Read sends a blob, or a part of it. Offset and limit are of the content; a limit
// has no meaning for what travels compressed.
func (b *byteStream) Read(r *bytestream.ReadRequest, stream bytestream.ByteStream_ReadServer) error {
	d, err := parseRead(r.ResourceName)
	if err != nil {
		return wire.StatusOf(err).Err()
	}
	if d.packed && r.ReadLimit != 0 {
		return status.Error(codes.InvalidArgument, "a compressed blob can't be read with a limit")
	}
	if r.ReadOffset < 0 || r.ReadOffset > d.Size || r.ReadLimit < 0 {
		return status.Errorf(codes.OutOfRange, "offset %d, limit %d in a blob of %d bytes", r.ReadOffset, r.ReadLimit, d.Size)
	}
	part := io.NewSectionReader(bytes.NewReader(nil), 0, 0)
	if !wire.Empty(d.Digest) {
		f, err := b.s.store.Open(d.Digest)
		if err != nil {
			return storeStatus(err).Err()
		}
		defer f.Close()
		left := d.Size - r.ReadOffset
		if r.ReadLimit > 0 {
			left = min(left, r.ReadLimit)
		}
		part = io.NewSectionReader(f, r.ReadOffset, left)
	}
	if d.packed {
		return b.sendPacked(part, stream)
	}
	return sendPart(part, stream)
}

func sendPart(part *io.SectionReader, stream bytestream.ByteStream_ReadServer) error {
	for left := part.Size(); left > 0; {
		// A new buffer each time: grpc keeps what it was given.
		data := make([]byte, min(left, chunk))
		if _, err := io.ReadFull(part, data); err != nil {
			return status.Errorf(codes.DataLoss, "read blob: %v", err)
		}
		if err := stream.Send(&bytestream.ReadResponse{Data: data}); err != nil {
			return err
		}
		left -= int64(len(data))
	}
	return nil
}

// sendPacked sends a part compressed.
func (b *byteStream) sendPacked(part io.Reader, stream bytestream.ByteStream_ReadServer) error {
	release, err := b.s.codec(stream.Context())
	if err != nil {
		return err
	}
	defer release()
	w := &chunks{send: func(data []byte, _ bool) error { return stream.Send(&bytestream.ReadResponse{Data: data}) }}
	if _, err := packInto(w, part); err != nil {
		if _, ok := status.FromError(err); ok {
			return err
		}
		return status.Errorf(codes.DataLoss, "read blob: %v", err)
	}
	return w.flush(true)
}

// QueryWriteStatus knows whole blobs only: an upload that broke starts again.
func (b *byteStream) QueryWriteStatus(_ context.Context, r *bytestream.QueryWriteStatusRequest) (*bytestream.QueryWriteStatusResponse, error) {
	d, err := parseWrite(r.ResourceName)
	if err != nil {
		return nil, wire.StatusOf(err).Err()
	}
	if !b.has(d.Digest) {
		return &bytestream.QueryWriteStatusResponse{}, nil
	}
	return &bytestream.QueryWriteStatusResponse{CommittedSize: d.Size, Complete: true}, nil
}

func (b *byteStream) has(d broker.Digest) bool {
	return wire.Empty(d) || len(b.s.store.Missing([]broker.Digest{d})) == 0
}

// Write takes one blob. The store pulls it through an upload, which checks
// each message; an upload without progress is ended.
func (b *byteStream) Write(stream bytestream.ByteStream_WriteServer) error {
	u := &upload{stream: stream, progress: make(chan struct{}, 1)}
	result := make(chan error, 1)
	var committed int64
	b.s.uploads.Go(func() {
		err := u.open()
		if err == nil {
			committed, err = b.put(u)
		}
		result <- err
	})
	if err := b.wait(result, u.progress); err != nil {
		return err
	}
	return stream.SendAndClose(&bytestream.WriteResponse{CommittedSize: committed})
}

// put stores what comes, unless it is there. It returns the size that REAPI has a
// server answer.
func (b *byteStream) put(u *upload) (committed int64, err error) {
	switch there := b.has(u.blob.Digest); {
	case there && u.blob.packed:
		return alreadyThere, nil
	case there:
		return u.blob.Size, nil
	case !u.blob.packed:
		return u.blob.Size, u.result(b.s.store.PutFrom(clientOf(u.stream.Context()), u.blob.Digest, u))
	}
	release, err := b.s.codec(u.stream.Context())
	if err != nil {
		return 0, err
	}
	defer release()
	content, err := unpacked(u)
	if err != nil {
		return 0, u.result(wire.Rejectf("%v", err))
	}
	defer content.Close()
	err = b.s.store.PutFrom(clientOf(u.stream.Context()), u.blob.Digest, &honest{r: content})
	return u.received, u.result(err)
}

// An honest reader words what is wrong with a peer's compressed data as the peer's
// fault.
type honest struct{ r io.Reader }

func (h *honest) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = wire.Rejectf("compressed data: %v", err)
	}
	return n, err
}

// wait returns what comes from result, unless the upload goes silent first:
// the end of the call then ends the upload's goroutine.
func (b *byteStream) wait(result <-chan error, progress <-chan struct{}) error {
	idle := time.NewTimer(b.s.idle)
	defer idle.Stop()
	for {
		select {
		case err := <-result:
			return err
		case <-progress:
			idle.Reset(b.s.idle)
		case <-idle.C:
			return status.Errorf(codes.DeadlineExceeded, "upload brought nothing for %v", b.s.idle)
		}
	}
}

// An upload is what a Write call brings as a reader: exactly as many bytes as the
// digest declares, unless they are compressed.
type upload struct {
	stream   bytestream.ByteStream_WriteServer
	progress chan struct{} // a token for each message
	name     string
	blob     resource
	data     []byte // received and not yet read
	received int64
	finished bool  // finish_write was seen
	err      error // what is wrong with the messages; it explains the store's error
}

// open reads the first message, which names the blob.
func (u *upload) open() error {
	m, err := u.stream.Recv()
	if errors.Is(err, io.EOF) {
		return status.Error(codes.InvalidArgument, "upload without a message")
	}
	if err != nil {
		return err
	}
	if u.blob, err = parseWrite(m.ResourceName); err != nil {
		return wire.StatusOf(err).Err()
	}
	u.name = m.ResourceName
	return u.take(m)
}

// take checks one message and keeps its data.
func (u *upload) take(m *bytestream.WriteRequest) error {
	select {
	case u.progress <- struct{}{}:
	default:
	}
	size := int64(len(m.Data))
	switch {
	case m.ResourceName != "" && m.ResourceName != u.name:
		return status.Error(codes.InvalidArgument, "resource name changed in the middle")
	case m.WriteOffset != u.received:
		return status.Errorf(codes.InvalidArgument, "write at %d, %d bytes came so far", m.WriteOffset, u.received)
	case !u.blob.packed && size > u.blob.Size-u.received:
		return status.Errorf(codes.InvalidArgument, "more than the %d bytes that the name declares", u.blob.Size)
	case !u.blob.packed && m.FinishWrite && u.received+size != u.blob.Size:
		return status.Errorf(codes.InvalidArgument, "%d bytes of the %d that the name declares", u.received+size, u.blob.Size)
	}
	u.data, u.received, u.finished = m.Data, u.received+size, m.FinishWrite
	return nil
}

func (u *upload) Read(p []byte) (int, error) {
	for len(u.data) == 0 {
		if u.finished {
			return 0, io.EOF
		}
		m, err := u.stream.Recv()
		if errors.Is(err, io.EOF) {
			err = status.Errorf(codes.InvalidArgument, "upload ended without finish_write after %d bytes of %d", u.received, u.blob.Size)
		}
		if err == nil {
			err = u.take(m)
		}
		if err != nil {
			u.err = err
			return 0, err
		}
	}
	n := copy(p, u.data)
	u.data = u.data[n:]
	return n, nil
}

// result is the call's status for the store's verdict: when the messages were
// wrong, that is what the client must hear.
func (u *upload) result(err error) error {
	if u.err != nil {
		return u.err
	}
	return storeStatus(err).Err()
}
