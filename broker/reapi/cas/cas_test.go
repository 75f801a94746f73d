package cas

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/broker/store"
)

// A bench is a real service over a real store, and a connection to it.
type bench struct {
	store   *store.Store
	service *Service
	conn    *grpc.ClientConn
	storage repb.ContentAddressableStorageClient
	stream  bytestream.ByteStreamClient
}

// newBench is a server that is patient with a machine that has much else to do.
func newBench(t *testing.T) *bench { t.Helper(); return newBenchIdle(t, 30*time.Second) }

// newBenchIdle is a server that ends an upload after so much silence.
func newBenchIdle(t *testing.T, idle time.Duration) *bench {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{MaxBytes: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.WaitForHandlers(true), grpc.MaxRecvMsgSize(5<<20))
	b := &bench{store: st, service: Register(server, st, idle)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	b.conn, err = grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.conn.Close()
		server.Stop()
		b.service.Wait()
		st.Close()
	})
	b.storage, b.stream = repb.NewContentAddressableStorageClient(b.conn), bytestream.NewByteStreamClient(b.conn)
	return b
}

func (b *bench) client(t *testing.T) *Client { return NewClient(b.conn, 30*time.Second, t.TempDir()) }

func (b *bench) put(t *testing.T, data []byte) *repb.Digest {
	t.Helper()
	d, err := b.store.PutBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	return wire.DigestToProto(d)
}

func (b *bench) has(d broker.Digest) bool { return len(b.store.Missing([]broker.Digest{d})) == 0 }

func TestUploadAndRead(t *testing.T) {
	b := newBench(t)
	c := b.client(t)
	var blobs []broker.Blob
	for _, size := range []int{1, 100, MaxBatch - blobOverhead, MaxBatch - blobOverhead + 1, maxMemory, maxMemory + 1} {
		blobs = append(blobs, broker.BytesBlob(bytes.Repeat([]byte{byte(size), 'x'}, size/2+1)[:size]))
	}
	missing, err := c.Missing(context.Background(), blobs)
	if err != nil || len(missing) != len(blobs) || len(c.Unknown(blobs)) != len(blobs) {
		t.Fatalf("%d missing, %v, want all", len(missing), err)
	}
	if err := c.Upload(context.Background(), missing); err != nil {
		t.Fatal(err)
	}
	if missing, err := b.client(t).Missing(context.Background(), blobs); err != nil || len(missing) != 0 || len(c.Unknown(blobs)) != 0 {
		t.Errorf("%d missing, %v, want none", len(missing), err)
	}
	c.Forget(blobs[:2])
	if n := len(c.Unknown(blobs)); n != 2 {
		t.Errorf("%d unknown after 2 were forgotten", n)
	}
	for _, want := range blobs {
		got, err := c.Read(context.Background(), want.Digest)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // it opens more than once
			if data, err := got.Bytes(1 << 30); err != nil || broker.DigestOf(data) != want.Digest {
				t.Errorf("%v: %v", want.Digest, err)
			}
		}
	}
	if _, err := c.Read(context.Background(), broker.DigestOf([]byte("none"))); !wire.IsMissing(err) {
		t.Errorf("a blob that is not there: %v", err)
	}
	if names, err := os.ReadDir(c.dir); err != nil || len(names) != 0 {
		t.Errorf("files that stay behind: %v, %v", names, err)
	}
}

func TestKnownIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k known
		blobs := []broker.Blob{broker.BytesBlob([]byte("a"))}
		k.add(blobs)
		time.Sleep(wire.KnownFor - time.Second)
		if n := len(k.unknown(blobs)); n != 0 {
			t.Errorf("%d unknown within the time", n)
		}
		time.Sleep(time.Second)
		if n := len(k.unknown(blobs)); n != 1 {
			t.Errorf("%d unknown after the time", n)
		}
		many := make([]broker.Blob, maxKnown)
		for i := range many {
			many[i].Digest = broker.Digest{Hash: "x", Size: int64(i)}
		}
		k.add(many)
		if len(k.at) > maxKnown {
			t.Errorf("%d are remembered", len(k.at))
		}
	})
}

// A source that is not what its digest says: the server refuses it.
func TestUploadOfWrongContent(t *testing.T) {
	b := newBench(t)
	for _, size := range []int{100, MaxBatch + 1} {
		lie := broker.FileBlob(broker.DigestOf(make([]byte, size)), func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(bytes.Repeat([]byte("x"), size))), nil
		})
		if err := b.client(t).Upload(context.Background(), []broker.Blob{lie}); err == nil || b.has(lie.Digest) {
			t.Errorf("%d bytes: %v, stored: %v", size, err, b.has(lie.Digest))
		}
		short := broker.FileBlob(lie.Digest, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil })
		if err := b.client(t).Upload(context.Background(), []broker.Blob{short}); err == nil {
			t.Error("a short source was uploaded")
		}
	}
}

// Messages of Write by hand: what a client may send wrong.
func TestHostileWrites(t *testing.T) {
	data := []byte("0123456789")
	name := writeResource(broker.DigestOf(data), false)
	m := func(offset int64, data string, finish bool) *bytestream.WriteRequest {
		return &bytestream.WriteRequest{ResourceName: name, WriteOffset: offset, Data: []byte(data), FinishWrite: finish}
	}
	renamed := m(5, "56789", true)
	renamed.ResourceName = writeResource(broker.DigestOf([]byte("another")), false)
	unnamed := m(5, "56789", true)
	unnamed.ResourceName = ""
	named := func(name string) *bytestream.WriteRequest {
		return &bytestream.WriteRequest{ResourceName: name, Data: data, FinishWrite: true}
	}
	tests := map[string]struct {
		messages []*bytestream.WriteRequest
		want     codes.Code
	}{
		"whole":            {[]*bytestream.WriteRequest{m(0, "0123456789", true)}, codes.OK},
		"parts":            {[]*bytestream.WriteRequest{m(0, "01234", false), unnamed}, codes.OK},
		"finish apart":     {[]*bytestream.WriteRequest{m(0, "0123456789", false), m(10, "", true)}, codes.OK},
		"wrong digest":     {[]*bytestream.WriteRequest{m(0, "9876543210", true)}, codes.InvalidArgument},
		"gap":              {[]*bytestream.WriteRequest{m(0, "01234", false), m(6, "6789", true)}, codes.InvalidArgument},
		"again":            {[]*bytestream.WriteRequest{m(0, "01234", false), m(0, "01234", false)}, codes.InvalidArgument},
		"starts later":     {[]*bytestream.WriteRequest{m(5, "56789", true)}, codes.InvalidArgument},
		"too long":         {[]*bytestream.WriteRequest{m(0, "0123456789X", true)}, codes.InvalidArgument},
		"too long in two":  {[]*bytestream.WriteRequest{m(0, "0123456789", false), m(10, "X", true)}, codes.InvalidArgument},
		"too short":        {[]*bytestream.WriteRequest{m(0, "01234", true)}, codes.InvalidArgument},
		"not finished":     {[]*bytestream.WriteRequest{m(0, "01234", false)}, codes.InvalidArgument},
		"renamed":          {[]*bytestream.WriteRequest{m(0, "01234", false), renamed}, codes.InvalidArgument},
		"no message":       {nil, codes.InvalidArgument},
		"odd name":         {[]*bytestream.WriteRequest{named("blobs/" + strings.Repeat("a", 64) + "/10")}, codes.InvalidArgument},
		"climbing name":    {[]*bytestream.WriteRequest{named("uploads/u/blobs/../../etc/10")}, codes.InvalidArgument},
		"larger than room": {[]*bytestream.WriteRequest{named("uploads/u/blobs/" + strings.Repeat("a", 64) + "/1000000000000")}, codes.InvalidArgument},
		"no room":          {[]*bytestream.WriteRequest{{ResourceName: "uploads/u/blobs/" + strings.Repeat("a", 64) + "/1000000000000", Data: data}}, codes.ResourceExhausted},
	}
	for test, tt := range tests {
		t.Run(test, func(t *testing.T) {
			b := newBench(t)
			committed, err := b.write(tt.messages)
			if status.Code(err) != tt.want {
				t.Errorf("Write = %v, want %v", err, tt.want)
			}
			if stored := b.has(broker.DigestOf(data)); stored != (tt.want == codes.OK) || stored && committed != 10 {
				t.Errorf("stored: %v, committed %d", stored, committed)
			}
			if s := b.store.Stats(); err != nil && s.Reserved != 0 {
				t.Errorf("%d bytes stay reserved", s.Reserved)
			}
		})
	}
}

func (b *bench) write(messages []*bytestream.WriteRequest) (int64, error) {
	stream, err := b.stream.Write(context.Background())
	if err != nil {
		return 0, err
	}
	for _, m := range messages {
		if err := stream.Send(m); err != nil {
			break // the answer says why
		}
	}
	answer, err := stream.CloseAndRecv()
	return answer.GetCommittedSize(), err
}

// An upload that stops in the middle is ended, and its room given back.
func TestSilentUpload(t *testing.T) {
	b := newBenchIdle(t, 4*time.Second)
	data := make([]byte, 10<<20)
	stream, err := b.stream.Write(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	name := writeResource(broker.DigestOf(data), false)
	for i := range int64(4) { // slow, but not silent
		if err := stream.Send(&bytestream.WriteRequest{ResourceName: name, WriteOffset: i * 1000, Data: data[:1000]}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
	}
	began := time.Now()
	err = stream.RecvMsg(new(bytestream.WriteResponse))
	if status.Code(err) != codes.DeadlineExceeded || time.Since(began) > 20*time.Second {
		t.Errorf("Write = %v after %v", err, time.Since(began))
	}
	b.service.Wait()
	if s := b.store.Stats(); s.Reserved != 0 {
		t.Errorf("%d bytes stay reserved", s.Reserved)
	}
}

func TestWriteOfWhatIsThere(t *testing.T) {
	b := newBench(t)
	data := make([]byte, 8<<20)
	b.put(t, data)
	// Only a part was sent: the server has it all.
	n, err := b.write([]*bytestream.WriteRequest{{ResourceName: writeResource(broker.DigestOf(data), false), Data: data[:100]}})
	if err != nil || n != int64(len(data)) {
		t.Errorf("Write = %d, %v", n, err)
	}
	// And so for the empty blob.
	if n, err := b.write([]*bytestream.WriteRequest{{ResourceName: writeResource(broker.DigestOf(nil), false), FinishWrite: true}}); err != nil || n != 0 {
		t.Errorf("Write of nothing = %d, %v", n, err)
	}
}

func TestQueryWriteStatus(t *testing.T) {
	b := newBench(t)
	b.put(t, []byte("there"))
	for content, want := range map[string]*bytestream.QueryWriteStatusResponse{
		"there":     {CommittedSize: 5, Complete: true},
		"not there": {},
		"":          {Complete: true},
	} {
		got, err := b.stream.QueryWriteStatus(context.Background(), &bytestream.QueryWriteStatusRequest{
			ResourceName: writeResource(broker.DigestOf([]byte(content)), false),
		})
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", content, got, err, want)
		}
	}
}

func TestReads(t *testing.T) {
	b := newBench(t)
	there := readResource(broker.DigestOf([]byte("0123456789")), false)
	b.put(t, []byte("0123456789"))
	tests := map[string]struct {
		name          string
		offset, limit int64
		want          string
		code          codes.Code
	}{
		"whole":          {there, 0, 0, "0123456789", codes.OK},
		"instance":       {"a/b/" + there, 0, 0, "0123456789", codes.OK},
		"offset":         {there, 4, 0, "456789", codes.OK},
		"limit":          {there, 0, 3, "012", codes.OK},
		"both":           {there, 4, 3, "456", codes.OK},
		"long limit":     {there, 4, 300, "456789", codes.OK},
		"end":            {there, 10, 0, "", codes.OK},
		"empty":          {readResource(broker.DigestOf(nil), false), 0, 0, "", codes.OK},
		"beyond":         {there, 11, 0, "", codes.OutOfRange},
		"before":         {there, -1, 0, "", codes.OutOfRange},
		"negative limit": {there, 0, -1, "", codes.OutOfRange},
		"absent":         {readResource(broker.DigestOf([]byte("?")), false), 0, 0, "", codes.NotFound},
		"another size":   {strings.TrimSuffix(there, "10") + "9", 0, 0, "", codes.NotFound},
		"compressed":     {"compressed-" + there, 0, 0, "", codes.InvalidArgument},
		"a path":         {"blobs/../../../etc/passwd/1", 0, 0, "", codes.InvalidArgument},
		"an upload":      {writeResource(broker.DigestOf([]byte("0123456789")), false), 0, 0, "", codes.InvalidArgument},
		"negative size":  {strings.TrimSuffix(there, "10") + "-1", 0, 0, "", codes.InvalidArgument},
		"no name":        {"", 0, 0, "", codes.InvalidArgument},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			stream, err := b.stream.Read(context.Background(), &bytestream.ReadRequest{ResourceName: tt.name, ReadOffset: tt.offset, ReadLimit: tt.limit})
			var got []byte
			for err == nil {
				var m *bytestream.ReadResponse
				if m, err = stream.Recv(); err == nil {
					got = append(got, m.Data...)
				}
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			if string(got) != tt.want || status.Code(err) != tt.code {
				t.Errorf("Read = %q, %v, want %q, %v", got, err, tt.want, tt.code)
			}
		})
	}
}

func TestBatches(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	good, wrong := wire.DigestToProto(broker.DigestOf([]byte("good"))), wire.DigestToProto(broker.DigestOf([]byte("wrong")))
	update, err := b.storage.BatchUpdateBlobs(ctx, &repb.BatchUpdateBlobsRequest{Requests: []*repb.BatchUpdateBlobsRequest_Request{
		{Digest: good, Data: []byte("good")},
		{Digest: wrong, Data: []byte("other")},
		{Digest: wrong, Data: []byte("wrong"), Compressor: repb.Compressor_ZSTD},
		{Data: []byte("no digest")},
		{Digest: wire.DigestToProto(broker.DigestOf(nil))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []codes.Code
	for _, r := range update.Responses {
		got = append(got, codes.Code(r.Status.GetCode()))
	}
	bad := codes.InvalidArgument
	if want := []codes.Code{codes.OK, bad, bad, bad, codes.OK}; !slices.Equal(got, want) {
		t.Errorf("update: %v, want %v", got, want)
	}
	read, err := b.storage.BatchReadBlobs(ctx, &repb.BatchReadBlobsRequest{Digests: []*repb.Digest{good, wrong, wire.DigestToProto(broker.DigestOf(nil))}})
	if err != nil || string(read.Responses[0].Data) != "good" || codes.Code(read.Responses[1].Status.GetCode()) != codes.NotFound || read.Responses[2].Status.GetCode() != 0 {
		t.Errorf("read: %v, %v", read, err)
	}
	// Sizes that are only claimed reserve nothing.
	_, err = b.storage.BatchReadBlobs(ctx, &repb.BatchReadBlobsRequest{Digests: []*repb.Digest{{Hash: good.Hash, SizeBytes: 1 << 40}}})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("read of a huge batch: %v", err)
	}
	find, err := b.storage.FindMissingBlobs(ctx, &repb.FindMissingBlobsRequest{BlobDigests: []*repb.Digest{good, wrong, wire.DigestToProto(broker.DigestOf(nil))}})
	if err != nil || len(find.MissingBlobDigests) != 1 || !proto.Equal(find.MissingBlobDigests[0], wrong) {
		t.Errorf("missing: %v, %v", find, err)
	}
	if _, err := b.storage.FindMissingBlobs(ctx, &repb.FindMissingBlobsRequest{DigestFunction: repb.DigestFunction_MD5}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("MD5: %v", err)
	}
}

func TestGetTree(t *testing.T) {
	b := newBench(t)
	leaf := &repb.Directory{Files: []*repb.FileNode{{Name: "f", Digest: b.put(t, []byte("x"))}}}
	absent := wire.DigestToProto(broker.DigestOf([]byte("absent")))
	root := &repb.Directory{Directories: []*repb.DirectoryNode{
		{Name: "a", Digest: b.message(t, leaf)}, {Name: "b", Digest: b.message(t, leaf)}, {Name: "c", Digest: absent},
	}}
	for _, size := range []int32{0, 1} {
		got, pages, err := b.tree(&repb.GetTreeRequest{RootDigest: b.message(t, root), PageSize: size})
		if err != nil || len(got) != 2 || !proto.Equal(got[0], root) || !proto.Equal(got[1], leaf) {
			t.Errorf("tree %v, %v", got, err)
		}
		if want := 1 + int(size); pages != want {
			t.Errorf("%d pages of at most %d, want %d", pages, size, want)
		}
	}
	if _, _, err := b.tree(&repb.GetTreeRequest{RootDigest: absent}); status.Code(err) != codes.NotFound {
		t.Errorf("an absent root: %v", err)
	}
	if _, _, err := b.tree(&repb.GetTreeRequest{RootDigest: absent, PageToken: "x"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a page token: %v", err)
	}
	climbing := b.message(t, &repb.Directory{Directories: []*repb.DirectoryNode{{Name: "..", Digest: absent}}})
	if _, _, err := b.tree(&repb.GetTreeRequest{RootDigest: climbing}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a climbing name: %v", err)
	}
}

func (b *bench) message(t *testing.T, m proto.Message) *repb.Digest {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b.put(t, data)
}

func (b *bench) tree(r *repb.GetTreeRequest) (got []*repb.Directory, pages int, err error) {
	stream, err := b.storage.GetTree(context.Background(), r)
	if err != nil {
		return nil, 0, err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return got, pages, nil
		}
		if err != nil {
			return nil, 0, err
		}
		got, pages = append(got, m.Directories...), pages+1
	}
}
