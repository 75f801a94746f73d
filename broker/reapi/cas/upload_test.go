package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crosscc/crosscc/broker"
)

// counted are blobs that count how often their content is read.
func counted(n int, reads *atomic.Int32) (blobs []broker.Blob) {
	for i := range n {
		data := fmt.Appendf(nil, "header %d", i)
		blobs = append(blobs, broker.FileBlob(broker.DigestOf(data), func() (io.ReadCloser, error) {
			reads.Add(1)
			return io.NopCloser(bytes.NewReader(data)), nil
		}))
	}
	return blobs
}

// Jobs that begin together send what they share once.
func TestClaimsShareUploads(t *testing.T) {
	b := newBench(t)
	c := b.client(t)
	var reads atomic.Int32
	blobs := counted(100, &reads)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			mine := blobs[i : i+50]
			for left := c.Unknown(mine); len(left) > 0; left = c.Unknown(left) {
				claim := c.Claim(left, 0)
				if err := claim.Ask(context.Background()); err != nil {
					t.Error(err)
				}
				if err := claim.Bring(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := reads.Load(); n != 99 {
		t.Errorf("99 blobs were read %d times", n)
	}
	for _, blob := range blobs[:99] {
		if !b.has(blob.Digest) {
			t.Errorf("%v is not there", blob.Digest)
		}
	}
	if n := len(c.known.flights); n != 0 {
		t.Errorf("%d flights that never land", n)
	}
}

// Who waits for a job that fails, or goes away, brings the blobs itself.
func TestClaimOfOneThatFails(t *testing.T) {
	b := newBench(t)
	c := b.client(t)
	var reads atomic.Int32
	blobs := counted(3, &reads)
	first := c.Claim(blobs[:2], 0)
	second := c.Claim(blobs, 0)
	if len(second.mine) != 1 || len(second.others) != 1 {
		t.Fatalf("second claim: %d blobs, %d flights, want one of each", len(second.mine), len(second.others))
	}
	done := make(chan error, 1)
	go func() { done <- second.Bring(context.Background()) }()
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	first.Drop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	left := c.Unknown(blobs)
	if len(left) != 2 {
		t.Fatalf("%d unknown, want the 2 that nobody brought", len(left))
	}
	if err := c.Claim(left, 0).Bring(context.Background()); err != nil || len(c.Unknown(blobs)) != 0 {
		t.Errorf("%v, %d unknown", err, len(c.Unknown(blobs)))
	}
	// A wait ends with its context.
	other := counted(2, &reads)
	c.Forget(other)
	defer c.Claim(other, 0).Drop()
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := errors.New("the build went away")
	cancel(gone)
	if err := c.Claim(other, 0).Bring(ctx); !errors.Is(err, gone) {
		t.Errorf("Bring = %v", err)
	}
}

// Few bytes are nobody's: they go along with the call itself.
func TestClaimLeavesFewBytes(t *testing.T) {
	var reads atomic.Int32
	blobs := counted(10, &reads)
	c := NewClient(nil, time.Second, "")
	claim := c.Claim(blobs, Size(blobs))
	if len(claim.mine) != 0 || len(c.known.flights) != 0 {
		t.Errorf("%d were claimed", len(claim.mine))
	}
	claim = c.Claim(blobs, Size(blobs)-1)
	defer claim.Drop()
	if len(claim.mine) != 10 || len(c.known.flights) != 10 {
		t.Errorf("%d were claimed, want 10", len(claim.mine))
	}
	// What is left over by other claims counts alone.
	rest := c.Claim(append(slices.Clone(blobs), counted(11, &reads)[10]), 100)
	if len(rest.mine) != 0 || len(rest.others) != 1 {
		t.Errorf("%d were claimed, %d flights", len(rest.mine), len(rest.others))
	}
}

// However many uploads there are, their contents stay within the bound.
func TestRoomIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClient(nil, time.Second, "")
		var held, most, entered atomic.Int64
		for range 100 {
			go func() {
				size := int64(1 << 20)
				leave, err := c.Enter(t.Context(), size)
				if err != nil {
					t.Error(err)
					return
				}
				if n := held.Add(size); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(time.Second)
				held.Add(-size)
				leave()
				entered.Add(1)
			}()
		}
		time.Sleep(time.Hour)
		if entered.Load() != 100 || most.Load() != maxLeaving {
			t.Errorf("%d entered, at most %d bytes at once, want 100 and %d", entered.Load(), most.Load(), maxLeaving)
		}
		// One that is larger than all the room has it alone, and a wait ends.
		leave, err := c.Enter(t.Context(), 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Enter(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("Enter = %v", err)
		}
	})
}

// A file that is not any more what it was is said to have changed, and nothing of
// it arrives.
func TestChangedInputs(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"other content": func(path string) error {
			data, err := os.ReadFile(path)
			data[len(data)-1]++
			return errors.Join(err, os.WriteFile(path, data, 0o600))
		},
		"shorter":     func(path string) error { return os.Truncate(path, 10) },
		"empty":       func(path string) error { return os.Truncate(path, 0) },
		"gone":        os.Remove,
		"a directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"its directory is gone": func(path string) error {
			return errors.Join(os.RemoveAll(filepath.Dir(path)), os.WriteFile(filepath.Dir(path), nil, 0o600))
		},
	} {
		for _, size := range []int{1000, MaxBatch + 1} {
			for _, packed := range []bool{false, true} {
				t.Run(fmt.Sprint(name, size, packed), func(t *testing.T) {
					b := newBench(t)
					c := b.client(t)
					c.Learn(Abilities{Batch: MaxBatch, PackedBatch: packed, PackedStream: packed})
					data := header(size)
					path := filepath.Join(t.TempDir(), "a.h")
					if err := os.WriteFile(path, data, 0o600); err != nil {
						t.Fatal(err)
					}
					if err := change(path); err != nil {
						t.Fatal(err)
					}
					blob := broker.PathBlob(broker.DigestOf(data), path)
					err := c.Upload(context.Background(), []broker.Blob{blob})
					changed, ok := errors.AsType[*broker.ChangedError](err)
					if !ok || changed.Digest != blob.Digest {
						t.Errorf("Upload = %v, want that it changed", err)
					}
					if b.has(blob.Digest) || len(c.Unknown([]broker.Blob{blob})) == 0 || b.store.Stats().Blobs != 0 {
						t.Errorf("it is there, or taken to be")
					}
				})
			}
		}
	}
}

// The digests of a tree, all of them known.
func BenchmarkUnknown(b *testing.B) {
	var reads atomic.Int32
	blobs := counted(455, &reads)
	c := NewClient(nil, time.Second, "")
	c.Known(blobs)
	b.ReportAllocs()
	for b.Loop() {
		if len(c.Unknown(blobs)) != 0 {
			b.Fatal("not known")
		}
	}
}
