package cas

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/broker/store"
)

// header is text that compresses as headers do.
func header(size int) []byte {
	return []byte(strings.Repeat("static inline int thing(const struct thing *p) { return p->field; }\n", size/60+1)[:size])
}

func noise(size int) []byte {
	data := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// frame compresses data as any zstd does, and not as this package does.
func frame(t testing.TB, data []byte, o ...zstd.EOption) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil, o...)
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(data, nil)
}

func TestPack(t *testing.T) {
	var z Zstd
	for name, tt := range map[string]struct {
		data  []byte
		gains bool
	}{
		"nothing": {nil, false},
		"tiny":    {header(minPacked - 1), false},
		"small":   {header(minPacked), true},
		"text":    {header(1 << 20), true},
		"noise":   {noise(1 << 20), false},
		"half":    {append(noise(1<<19), header(1<<19)...), true},
	} {
		packed, ok := z.Pack(tt.data)
		if ok != tt.gains {
			t.Errorf("%s: %t with %d bytes of %d", name, ok, len(packed), len(tt.data))
			continue
		}
		if !ok {
			continue
		}
		if got, err := z.Unpack(packed, int64(len(tt.data))); err != nil || !bytes.Equal(got, tt.data) {
			t.Errorf("%s: came back as %d bytes, %v", name, len(got), err)
		}
	}
}

// liars are compressed data that are not what is declared of them: ten thousand
// bytes of text.
func liars(t testing.TB) map[string][]byte {
	text := header(10_000)
	good := frame(t, text)
	skippable := binary.LittleEndian.AppendUint32([]byte{0x50, 0x2a, 0x4d, 0x18}, 1<<30)
	return map[string][]byte{
		"nothing":         {},
		"no frame":        text,
		"bomb":            frame(t, make([]byte, 64<<20)),
		"bomb unsaid":     stream(t, make([]byte, 64<<20)),
		"two frames":      append(bytes.Clone(good), good...),
		"trailing":        append(bytes.Clone(good), "more"...),
		"truncated":       good[:len(good)-5],
		"head alone":      good[:6],
		"shorter":         frame(t, text[:9_999]),
		"longer":          frame(t, append(bytes.Clone(text), 'x')),
		"skips for ever":  append(bytes.Clone(good), skippable...),
		"a dictionary":    {0x28, 0xb5, 0x2f, 0xfd, 0x23, 1, 2, 3, 4, 0x10},
		"a window of 2TB": {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 1, 0, 0},
		// The right content as one plain block, but 256 MiB are to be kept of it.
		"a large window": append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 18 << 3, 10_000<<3&0xff | 1, 10_000 << 3 >> 8 & 0xff, 10_000 << 3 >> 16}, text...),
		"other content":  frame(t, append(bytes.Clone(text[1:]), 'x')),
	}
}

// stream compresses data without saying how much they are.
func stream(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := packInto(&b, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLyingFrames(t *testing.T) {
	want := broker.DigestOf(header(10_000))
	for name, packed := range liars(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			var z Zstd
			if got, err := z.Unpack(packed, want.Size); err == nil && name != "other content" {
				t.Errorf("Unpack gave %d bytes", len(got))
			}
			update, err := b.storage.BatchUpdateBlobs(context.Background(), &repb.BatchUpdateBlobsRequest{Requests: []*repb.BatchUpdateBlobsRequest_Request{
				{Digest: wire.DigestToProto(want), Data: packed, Compressor: repb.Compressor_ZSTD},
			}})
			if err != nil || codes.Code(update.Responses[0].Status.GetCode()) != codes.InvalidArgument {
				t.Errorf("batch: %v, %v", update, err)
			}
			_, err = b.write([]*bytestream.WriteRequest{{ResourceName: writeResource(want, true), Data: packed, FinishWrite: true}})
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("Write = %v", err)
			}
			if b.has(want) {
				t.Error("it was stored")
			}
			if s := b.store.Stats(); s.Reserved != 0 {
				t.Errorf("%d bytes stay reserved", s.Reserved)
			}
			s, err := newSink(want, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.fill(bytes.NewReader(packed), true); err == nil {
				if blob, err := s.blob(); err == nil {
					t.Errorf("a client took %v", blob.Digest)
				}
			}
		})
	}
}

// Whatever a frame says of itself, little memory is taken for it.
func TestUnpackIsBounded(t *testing.T) {
	var z Zstd
	z.init()
	bomb := stream(t, make([]byte, 256<<20))
	for name, read := range map[string]func() error{
		"at once": func() error { _, err := z.Unpack(bomb, 1000); return err },
		"as a stream": func() error {
			s, err := newSink(broker.DigestOf(header(1000)), t.TempDir())
			if err != nil {
				return err
			}
			return s.fill(bytes.NewReader(bomb), true)
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := read(); err == nil {
			t.Errorf("%s: a bomb was taken", name)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 2*maxWindow {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}

// What one end compresses the other takes, large and small, both ways.
func TestPackedBothWays(t *testing.T) {
	b := newBench(t)
	c := b.client(t)
	c.Learn(Abilities{Batch: MaxBatch, PackedBatch: true, PackedStream: true})
	var blobs []broker.Blob
	for _, data := range [][]byte{
		{1}, header(100), header(100_000), noise(100_000), header(MaxBatch + 1), noise(MaxBatch + 1), header(20 << 20),
	} {
		blobs = append(blobs, broker.BytesBlob(data))
	}
	for range 2 { // the second time all of it is there
		if err := c.Upload(context.Background(), blobs); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range blobs {
		got, err := c.Read(context.Background(), want.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := got.Bytes(1 << 30); err != nil || broker.DigestOf(data) != want.Digest {
			t.Errorf("%v: %v", want.Digest, err)
		}
	}
	if _, err := c.Read(context.Background(), broker.DigestOf(header(5000))); !wire.IsMissing(err) {
		t.Errorf("a blob that is not there: %v", err)
	}
}

// How other servers and clients ask for compressed blobs.
func TestPackedReads(t *testing.T) {
	b := newBench(t)
	text := header(300_000)
	d := broker.DigestOf(text)
	b.put(t, text)
	for name, tt := range map[string]struct {
		digest        broker.Digest
		offset, limit int64
		code          codes.Code
	}{
		"whole":   {d, 0, 0, codes.OK},
		"offset":  {d, 200_000, 0, codes.OK},
		"the end": {d, 300_000, 0, codes.OK},
		"beyond":  {d, 300_001, 0, codes.OutOfRange},
		"limit":   {d, 0, 10, codes.InvalidArgument},
		"absent":  {broker.DigestOf([]byte("?")), 0, 0, codes.NotFound},
		"nothing": {broker.DigestOf(nil), 0, 0, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := b.stream.Read(context.Background(), &bytestream.ReadRequest{
				ResourceName: "main/" + readResource(tt.digest, true), ReadOffset: tt.offset, ReadLimit: tt.limit,
			})
			if err != nil {
				t.Fatal(err)
			}
			packed, err := io.ReadAll(&download{stream: s, touch: func() {}})
			if status.Code(err) != tt.code {
				t.Fatalf("Read = %v, want %v", err, tt.code)
			}
			if err != nil {
				return
			}
			dec, err := zstd.NewReader(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer dec.Close()
			got, err := dec.DecodeAll(packed, nil)
			if want := text[min(tt.offset, 300_000):]; err != nil || tt.digest == d && !bytes.Equal(got, want) || tt.digest.Size == 0 && len(got) > 0 {
				t.Errorf("%d bytes, %v, want %d", len(got), err, len(want))
			}
		})
	}
}

// What REAPI says of the answer to a compressed upload.
func TestPackedCommits(t *testing.T) {
	b := newBench(t)
	text := header(100_000)
	packed := frame(t, text)
	name := writeResource(broker.DigestOf(text), true)
	parts := []*bytestream.WriteRequest{
		{ResourceName: name, Data: packed[:10]},
		{WriteOffset: 10, Data: packed[10:]},
		{WriteOffset: int64(len(packed)), FinishWrite: true},
	}
	if n, err := b.write(parts); err != nil || n != int64(len(packed)) {
		t.Errorf("Write = %d, %v, want %d", n, err, len(packed))
	}
	if !b.has(broker.DigestOf(text)) {
		t.Error("it was not stored")
	}
	if n, err := b.write(parts[:1]); err != nil || n != alreadyThere {
		t.Errorf("Write of what is there = %d, %v", n, err)
	}
	if _, err := b.write([]*bytestream.WriteRequest{{ResourceName: writeResource(broker.DigestOf(header(99)), true), WriteOffset: 5, Data: packed}}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("Write from the middle = %v", err)
	}
}

// A batch may not become more than what a few plain ones hold.
func TestPackedBatchIsBounded(t *testing.T) {
	b := newBench(t)
	one := &repb.BatchUpdateBlobsRequest_Request{
		Digest: &repb.Digest{Hash: strings.Repeat("a", 64), SizeBytes: maxUnpacked/2 + 1}, Data: frame(t, make([]byte, 1000)), Compressor: repb.Compressor_ZSTD,
	}
	for _, r := range [][]*repb.BatchUpdateBlobsRequest_Request{
		{one, one},
		{{Digest: &repb.Digest{Hash: one.Digest.Hash, SizeBytes: 1 << 62}, Data: one.Data, Compressor: one.Compressor}},
	} {
		if _, err := b.storage.BatchUpdateBlobs(context.Background(), &repb.BatchUpdateBlobsRequest{Requests: r}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%d blobs: %v", len(r), err)
		}
	}
	negative := &repb.BatchUpdateBlobsRequest_Request{Digest: &repb.Digest{Hash: one.Digest.Hash, SizeBytes: -1 << 62}, Data: one.Data, Compressor: one.Compressor}
	if _, err := b.storage.BatchUpdateBlobs(context.Background(), &repb.BatchUpdateBlobsRequest{Requests: []*repb.BatchUpdateBlobsRequest_Request{negative, one, one}}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a negative size makes room: %v", err)
	}
}

// FuzzUnpack: arbitrary frames, for an arbitrary size, in both ways of reading.
func FuzzUnpack(f *testing.F) {
	for _, packed := range liars(f) {
		if len(packed) < 64<<10 {
			f.Add(packed, uint16(10_000))
		}
	}
	f.Add(frame(f, header(10_000)), uint16(10_000))
	f.Add(stream(f, header(10_000)), uint16(10_000))
	st, err := store.Open(f.TempDir(), store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { st.Close() })
	var z Zstd
	f.Fuzz(func(t *testing.T, packed []byte, size uint16) {
		data, err := z.Unpack(packed, int64(size))
		if err == nil && len(data) != int(size) {
			t.Errorf("%d bytes instead of %d", len(data), size)
		}
		s, serr := newSink(broker.Digest{Hash: broker.DigestOf(data).Hash, Size: int64(size)}, "")
		if serr != nil {
			t.Fatal(serr)
		}
		if serr = s.fill(bytes.NewReader(packed), true); serr == nil {
			_, serr = s.blob()
		}
		if err == nil && serr != nil {
			t.Errorf("at once it is %d bytes, as a stream: %v", size, serr)
		}
		if len(s.data) > int(size) {
			t.Errorf("%d bytes were taken of at most %d", len(s.data), size)
		}
	})
}
