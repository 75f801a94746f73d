package helper

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/broker/helper/packs"
	"github.com/crosscc/crosscc/broker/pack"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/imagestore"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/bubblewrap"
	"github.com/crosscc/crosscc/toolchains"
)

// A client's own compilers, packed, make on a helper that has none the objects that
// they make at home; from the pack to the object everything is real.
func TestPackServes(t *testing.T) {
	made, err := pack.Make(t.Context(), []string{"/usr/bin/gcc-12", "/usr/bin/clang-14"}, "/usr/bin:/bin")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pack.oci")
	sum, size, err := made.WriteFile(file)
	if err != nil || size == 0 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	if again, _, err := made.WriteFile(file + "2"); err != nil || again != sum {
		t.Errorf("made again it is %s, not %s, %v", again, sum, err)
	}
	dir := enterableDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	st, err := imagestore.Open(filepath.Join(dir, "images"), imagestore.Options{Logf: logrus.New().Debugf})
	if err != nil {
		t.Fatal(err)
	}
	h := newImaged(t, catalog.NewImages(st, images.SourceOptions{Engine: "off"}))
	src, err := images.Open(t.Context(), file, images.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if _, err := st.Add(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
	s := await(t, h, "the pack", func(s broker.State) bool { return len(s.Images) == 1 && s.Images[0].Phase == broker.ImageReady })
	c, served := project(t), 0
	for _, driver := range []string{"/usr/bin/gcc-12", "/usr/bin/clang-14"} {
		home := nativeOf(t, newHelperWith(t, driver, nil))
		for _, tc := range s.Toolchains {
			if tc.Family != home.Family || len(tc.Derived) > 0 {
				continue
			}
			served++
			if tc.Digest() != home.Digest() {
				t.Errorf("%s in the pack is\n%s %v\nat home\n%s %v", driver, tc.Identity.Text(), tc.Fingerprint, home.Identity.Text(), home.Fingerprint)
			}
			c.sameAs(h, tc, driver, "-O2", "-g", "-Iinc", "-Ilinked", "-c", "src/a.c")
			c.sameAs(h, tc, driver, "-Iinc", "-c", "src/bad.c")
		}
	}
	if served != 2 {
		t.Errorf("%d of the pack's toolchains are served: %v", served, s.Toolchains)
	}
	for _, tc := range s.Toolchains {
		if tc.Family == argv.GCC && len(tc.Derived) == 0 {
			c.sameAs(h, tc, "/usr/bin/g++-12", "-O2", "-Iinc", "-c", "src/a.cc")
		}
	}
}

// newPacked is a helper that takes packs and has no compiler.
func newPacked(t *testing.T, change func(*Options)) *Helper {
	t.Helper()
	run, err := bubblewrap.New(bubblewrap.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	return newHelperOf(t, run, func(o *Options) {
		o.Search, o.Sandbox, o.Packs = []string{"/nowhere"}, "bwrap", true
		if err := os.Chmod(o.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(o)
		}
	})
}

// packOf is a pack of this machine's compilers, as a blob of the helper's store.
func packOf(t *testing.T, h *Helper, drivers ...string) broker.Digest {
	t.Helper()
	made, err := pack.Make(t.Context(), drivers, "/usr/bin:/bin")
	if err != nil {
		t.Fatal(err)
	}
	return blobOf(t, h, func(w io.Writer) error { _, err := made.Write(w); return err })
}

func blobOf(t *testing.T, h *Helper, write func(io.Writer) error) broker.Digest {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := write(f); err != nil {
		t.Fatal(err)
	}
	d, err := h.o.Store.PutFile(f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func quiet(string) {}

// from is a peer of that name; all are behind one address.
func from(name string) broker.Peer { return broker.Peer{Name: name, Address: "10.0.0.1"} }

// A peer's pack serves that peer: nobody else is told of it, has jobs run by it, or
// gets what it made.
func TestPackServesItsPeer(t *testing.T) {
	const peer, other = "one", "other"
	h := newPacked(t, nil)
	d := packOf(t, h, "/usr/bin/gcc-12")
	for range 2 { // sent twice it is the same pack
		if err := h.TakePack(t.Context(), from(peer), d, quiet); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := h.State()
	if n := len(s.For(peer).Toolchains); n == 0 || len(s.Toolchains)+len(s.For(other).Toolchains)+len(s.For("").Toolchains) != 0 {
		t.Fatalf("the peer is told of %d toolchains, others of %d", n, len(s.For(other).Toolchains))
	}
	i := slices.IndexFunc(s.For(peer).Toolchains, func(tc toolchains.Toolchain) bool { return len(tc.Derived) == 0 })
	tc := s.For(peer).Toolchains[i]
	c := newClient(t, "a.c", "int f(void) { return 1; }\n")
	j := c.job(tc, "/usr/bin/gcc-12", "-O2", "-c", "a.c", "-o", "out.o")
	for _, who := range []string{"", other} {
		k := *j
		k.Peer = who
		_, err := h.Run(t.Context(), &k)
		if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != ReasonNoMatch {
			t.Errorf("peer %q: %v", who, err)
		}
	}
	k := *j
	k.Peer = peer
	first, err := h.Run(t.Context(), &k)
	if err != nil || first.ExitCode != 0 {
		t.Fatalf("the peer's job: %+v, %v", first, err)
	}
	if res, err := h.Run(t.Context(), &k); err != nil || !res.Cached {
		t.Errorf("the peer's job again: %+v, %v", res, err)
	}
	// Another peer sends the very same: what the first one's made is not for it.
	if err := h.TakePack(t.Context(), from(other), d, quiet); err != nil {
		t.Fatal(err)
	}
	k.Peer = other
	if res, err := h.Run(t.Context(), &k); err != nil || res.Cached {
		t.Errorf("another peer's: %+v, %v", res, err)
	}
	// A peer whose place was given back sends its pack again, and is served again.
	h.packs.Sweep(t.Context(), time.Now().Add(packs.PlaceTime))
	for _, who := range []string{peer, other} {
		k.Peer = who
		if _, err := h.Run(t.Context(), &k); err == nil {
			t.Errorf("%s is served without a pack", who)
		}
		if s, _ := h.State(); len(s.For(who).Toolchains)+len(s.For(who).Images) != 0 {
			t.Errorf("%s is told of %v", who, s.For(who))
		}
	}
	if err := h.TakePack(t.Context(), from(peer), d, quiet); err != nil {
		t.Fatal(err)
	}
	k.Peer, k.Args = peer, append([]string{"-DA=1"}, k.Args...) // which nothing is kept for
	if res, err := h.Run(t.Context(), &k); err != nil || res.Cached || res.Outputs[0].Blob.Digest != first.Outputs[0].Blob.Digest {
		t.Errorf("the peer's job after it has sent its pack again: %+v, %v", res, err)
	}
}

// named writes a pack with nothing in it that gives itself a name.
func named(w io.Writer, name string) error {
	var pack bytes.Buffer
	if _, err := images.BuildPack(&pack, []images.File{{Path: "/usr/lib", Mode: fs.ModeDir | 0o755}}, nil); err != nil {
		return err
	}
	in, out := tar.NewReader(&pack), tar.NewWriter(w)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return out.Close()
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(in)
		if h.Name == "index.json" {
			data = bytes.Replace(data, []byte(`"size":`), []byte(`"annotations":{"io.containerd.image.name":"`+name+`"},"size":`), 1)
			h.Size = int64(len(data))
		}
		if err := errors.Join(err, out.WriteHeader(h)); err != nil {
			return err
		}
		if _, err := out.Write(data); err != nil {
			return err
		}
	}
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestPackRefused(t *testing.T) {
	h := newPacked(t, nil)
	good := packOf(t, h, "/usr/bin/gcc-12")
	text := func(s string) broker.Digest {
		return blobOf(t, h, func(w io.Writer) error { _, err := io.WriteString(w, s); return err })
	}
	empty := blobOf(t, h, func(w io.Writer) error {
		_, err := images.BuildPack(w, []images.File{{Path: "/usr/bin", Mode: fs.ModeDir | 0o755}}, nil)
		return err
	})
	script := filepath.Join(t.TempDir(), "gcc")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ncat /etc/passwd\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	liar := blobOf(t, h, func(w io.Writer) error {
		_, err := images.BuildPack(w, []images.File{{Path: "/usr/bin/gcc", Mode: 0o755, From: script}}, nil)
		return err
	})
	named := blobOf(t, h, func(w io.Writer) error { return named(w, "debian:12") })
	bomb := blobOf(t, h, func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err == nil {
			_, err = io.CopyN(z, zeros{}, packs.MaxBytes+1)
		}
		return errors.Join(err, z.Close())
	})
	for _, tc := range []struct {
		name   string
		peer   string
		blob   broker.Digest
		change func(*Options)
		want   string
	}{
		{"not allowed", "a", good, func(o *Options) { o.Packs = false }, "takes no packs"},
		{"no sandbox", "a", good, func(o *Options) { o.Sandbox = "none" }, "no sandbox"},
		{"from who has no secret", "", good, nil, "whose the pack is"},
		{"too large", "a", broker.Digest{Hash: good.Hash, Size: packs.MaxBytes + 1}, nil, "at most"},
		{"not there", "a", broker.DigestOf([]byte("x")), nil, "no such blob"},
		{"no image", "a", text("hello"), nil, "can't read the pack"},
		{"nothing in it", "a", empty, nil, "has no compiler"},
		{"with a name of its own", "a", named, nil, "has no compiler"},
		{"a bomb", "a", bomb, nil, "the archive has more than 536870912 bytes"},
		{"no compiler in it", "a", liar, nil, "/usr/bin/gcc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := h
			if tc.change != nil {
				h = newPacked(t, tc.change)
			}
			err := h.TakePack(t.Context(), from(tc.peer), tc.blob, quiet)
			r, ok := errors.AsType[*broker.Refusal](err)
			if !ok || r.Reason != packs.Reason || !strings.Contains(r.Text, tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
	if left, err := os.ReadDir(filepath.Join(h.o.Dir, "packs")); err != nil || len(left) != 0 {
		t.Errorf("peers of whom nothing was taken have places: %v, %v", left, err)
	}
	if s, _ := h.State(); len(s.Peers) != 1 {
		t.Errorf("they are told of: %v", s.Peers)
	}
}

// A pack's programs run in a job's slot: while jobs have all of them, none runs.
func TestPackWaitsForASlot(t *testing.T) {
	var h *Helper
	ran, took := make(chan struct{}, 1000), make(chan error, 1)
	h = newPacked(t, func(o *Options) {
		o.Slots = 1
		run := o.Runner
		o.Runner = func(ctx context.Context, s *sandbox.Spec) (*sandbox.Outcome, error) {
			if state, _ := h.State(); state.Running != 1 {
				t.Errorf("a program of the pack runs, and %d of 1 slots are taken", state.Running)
			}
			ran <- struct{}{}
			return run(ctx, s)
		}
	})
	d := packOf(t, h, "/usr/bin/gcc-12")
	release, err := h.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() { took <- h.TakePack(t.Context(), from("one"), d, quiet) }()
	await(t, h, "the pack to wait", func(s broker.State) bool { return s.Queued == 1 })
	if len(ran) > 0 {
		t.Error("a program ran")
	}
	release()
	if err := <-took; err != nil || len(ran) == 0 {
		t.Errorf("%d programs ran, %v", len(ran), err)
	}
	if s, _ := h.State(); s.Running != 0 {
		t.Errorf("%d slots are still taken", s.Running)
	}
	// A job asks what native means before it has its slot; that is known by now.
	s, _ := h.State()
	before := len(ran)
	for _, tc := range s.For("one").Toolchains {
		l, err := h.catalog.Match(t.Context(), &broker.Job{Identity: tc.Identity, Fingerprint: tc.Fingerprint, With: tc.Digest(), Peer: "one"}, argv.C)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.takesNative(t.Context(), l); err != nil && len(tc.Derived) == 0 {
			t.Error(err)
		}
	}
	if len(ran) != before {
		t.Errorf("%d programs ran without a slot", len(ran)-before)
	}
}

// An agent that goes away while its pack is taken leaves no place behind; one that goes
// away when it is there, and its compilers are being asked, finds it served when it is back.
func TestPackOfAgentThatGoesAway(t *testing.T) {
	h := newPacked(t, func(o *Options) { o.Slots = 1 })
	d := packOf(t, h, "/usr/bin/gcc-12")
	ctx, leave := context.WithCancel(t.Context())
	err := h.TakePack(ctx, from("one"), d, func(string) { leave() }) // it has begun
	if !errors.Is(err, context.Canceled) {
		t.Errorf("while it is taken: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(h.o.Dir, "packs"))
	if s, _ := h.State(); err != nil || len(left) > 0 || len(s.Peers) != 1 { // all others
		t.Errorf("it has left %v, %v, and the helper tells of %v", left, err, s.Peers)
	}
	release, err := h.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave = context.WithCancel(t.Context())
	took := make(chan error)
	go func() { took <- h.TakePack(ctx, from("one"), d, quiet) }()
	await(t, h, "its compilers to be asked", func(s broker.State) bool { return s.Queued == 1 })
	leave()
	if err := <-took; !errors.Is(err, context.Canceled) {
		t.Errorf("while its compilers are asked: %v", err)
	}
	release()
	await(t, h, "its compilers", func(s broker.State) bool { return len(s.For("one").Toolchains) > 0 })
	if err := h.TakePack(t.Context(), from("one"), d, quiet); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	h.packs.Sweep(t.Context(), time.Now().Add(packs.PlaceTime))
	if left, err := os.ReadDir(filepath.Join(h.o.Dir, "packs")); err != nil || len(left) > 0 {
		t.Errorf("in the end there are %v, %v", left, err)
	}
}
