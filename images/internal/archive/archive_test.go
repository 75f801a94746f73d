package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// A member of a tar: name and content, or name and "-> " and the link's text.
type entry [2]string

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h, content := &tar.Header{Typeflag: tar.TypeReg, Name: e[0], Mode: 0o644, Size: int64(len(e[1]))}, e[1]
		if text, ok := strings.CutPrefix(content, "-> "); ok {
			h.Typeflag, h.Linkname, h.Size, content = tar.TypeSymlink, text, 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fileOf is a file of data that is open.
func fileOf(t testing.TB, data []byte) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var options = Options{MaxBytes: 1 << 20}

// layout is an OCI archive of an image with one layer, and its manifest's and its
// configuration's digests.
func layout(t testing.TB, layer string) (data []byte, manifest, id digest.Digest) {
	config := fmt.Sprintf(`{"rootfs": {"type": "layers", "diff_ids": [%q]}}`, digest.FromString(layer))
	m := fmt.Sprintf(`{"config": {"digest": %q, "size": %d}, "layers": [{"digest": %q, "size": %d}]}`,
		digest.FromString(config), len(config), digest.FromString(layer), len(layer))
	index := fmt.Sprintf(`{"manifests": [{"digest": %q, "size": %d, "annotations": {"io.containerd.image.name": "docker.io/library/x:1"}}]}`, digest.FromString(m), len(m))
	blob := func(s string) entry { return entry{"blobs/sha256/" + digest.FromString(s).Encoded(), s} }
	return tarOf(t, entry{"oci-layout", "{}"}, entry{"index.json", index}, blob(m), blob(config), blob(layer)), digest.FromString(m), digest.FromString(config)
}

func TestLayout(t *testing.T) {
	data, manifest, id := layout(t, "layer")
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(data)
	_ = w.Close()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"plain": data, "gzip": z.Bytes(), "zstd": enc.EncodeAll(data, nil)} {
		for _, want := range []digest.Digest{"", manifest, id} {
			im, err := OpenFile(fileOf(t, file), want, options)
			if err != nil {
				t.Errorf("%s, %s: %v", name, want, err)
				continue
			}
			if im.Root.Digest != manifest || im.Name != "x" || im.Made {
				t.Errorf("%s, %s: %+v", name, want, im)
			}
			r, err := im.Blob(ocispec.Descriptor{Digest: digest.FromString("layer")})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != "layer" {
				t.Errorf("%s: layer %q, %v", name, got, err)
			}
			if _, err := im.Blob(ocispec.Descriptor{Digest: digest.FromString("other")}); err == nil || err.Error() != "it is not in there" {
				t.Errorf("%s: a blob that is not there: %v", name, err)
			}
			if err := im.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Archives that were made to be wrong are refused, with the reason.
func TestRefused(t *testing.T) {
	good, _, _ := layout(t, "layer")
	big := strings.Repeat(" ", maxDocument+1)
	tests := []struct {
		name string
		data []byte
		says string
	}{
		{"nothing", nil, "it is no image"},
		{"text", []byte(strings.Repeat("text", 200)), "read tar: "},
		{"cut off", good[:len(good)/2+100], "the archive is cut off"},
		{"cut off gzip", []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 1}, "unexpected EOF"},
		{"bad gzip", []byte{0x1f, 0x8b, 9, 0, 0, 0, 0, 0, 0, 0, 1}, "gzip: invalid header"},
		{"a link out", tarOf(t, entry{"index.json", "-> ../../etc/passwd"}), "it is no image"},
		{"links in a circle", tarOf(t, entry{"index.json", "-> a"}, entry{"a", "-> index.json"}), "more than 8 links"},
		{"a large index", tarOf(t, entry{"index.json", big}), "index.json has 4194305 bytes; 4194304 are the limit"},
		{"a bad index", tarOf(t, entry{"index.json", "{"}), "index.json: unexpected end"},
		{"an empty index", tarOf(t, entry{"index.json", "{}"}), "it has no image"},
		{"bad saved", tarOf(t, entry{"manifest.json", "{}"}), "manifest.json: "},
		{"nothing saved", tarOf(t, entry{"manifest.json", "[]"}), "it has no image"},
		{"no configuration", tarOf(t, entry{"manifest.json", `[{"Config": "../x"}]`}), `configuration "../x": open ../x: file does not exist`},
		{"a bad configuration", tarOf(t, entry{"manifest.json", `[{"Config": "c"}]`}, entry{"c", "{"}), "configuration: unexpected end"},
		{"too few layers", tarOf(t, entry{"manifest.json", `[{"Config": "c", "Layers": ["l"]}]`}, entry{"c", "{}"}), "its configuration has 0 layers and its manifest 1"},
		{"no layer", tarOf(t, entry{"manifest.json", `[{"Config": "c", "Layers": ["l"]}]`}, entry{"c", `{"rootfs": {"diff_ids": ["sha256:x"]}}`}), `layer "l": open l: file does not exist`},
		{"many layers", tarOf(t, entry{"manifest.json", `[{"Config": "c", "Layers": [` + strings.Repeat(`"l",`, 256) + `"l"]}]`},
			entry{"c", `{"rootfs": {"diff_ids": [` + strings.Repeat(`"",`, 256) + `""]}}`}, entry{"l", "\x1f\x8b"}), "it has 257 layers; 256 are the limit"},
		{"long names", tarOf(t, slices.Repeat([]entry{{strings.Repeat("n", 1<<19), ""}}, 65)...), "the names of its members have more than 33554432 bytes"},
		{"two", tarOf(t, entry{"manifest.json", `[{"Config": "c", "RepoTags": ["a:1"]}, {"Config": "d"}]`}, entry{"c", "{}"}, entry{"d", "{ }"}),
			"it has 2 images: name one by PATH@ID, with one of " + digest.FromString("{}").String() + " a:1, " + digest.FromString("{ }").String()},
		{"two, of which one is not there", tarOf(t, entry{"manifest.json", `[{"Config": "c"}, {"Config": "d"}]`}, entry{"c", "{}"}), `configuration "d": open d`},
		{"xz", append([]byte("\xfd7zXZ\x00"), make([]byte, 600)...), "it is compressed with xz or bzip2: expand it first (unxz"},
		{"bzip2", append([]byte("BZh91AY"), make([]byte, 600)...), "it is compressed with xz or bzip2"},
	}
	for _, tt := range tests {
		im, err := OpenFile(fileOf(t, tt.data), "", options)
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %+v, %v\nwant %s", tt.name, im, err, tt.says)
		}
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(make([]byte, 10<<20))
	_ = w.Close()
	temp := t.TempDir()
	if _, err := OpenFile(fileOf(t, z.Bytes()), "", Options{MaxBytes: 1 << 20, Temp: temp}); err == nil || !strings.Contains(err.Error(), "the archive has more than 1048576 bytes, which is the limit") {
		t.Errorf("a bomb: %v", err)
	}
	if files, err := os.ReadDir(temp); err != nil || len(files) != 0 {
		t.Errorf("it left %v, %v", files, err)
	}
}

// A directory is read no further than itself, and no pipe in it is waited for.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(`{"manifests": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(dir, "index.json")
	if err := os.Symlink(secret, index); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, "", options); err == nil || !strings.Contains(err.Error(), "path escapes from parent") {
		t.Errorf("got %v", err)
	}
	os.Remove(index)
	if err := unix.Mkfifo(index, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, "", options); err == nil || !strings.Contains(err.Error(), "index.json is no regular file") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(index, "", options); err == nil || !strings.Contains(err.Error(), "neither a directory nor a regular file") {
		t.Errorf("got %v", err)
	}
}

// FuzzOpen: whatever an archive has, finding an image in it ends, and its blobs can
// be asked for.
func FuzzOpen(f *testing.F) {
	good, _, id := layout(f, "layer")
	f.Add(good, string(id))
	f.Add(tarOf(f, entry{"manifest.json", `[{"Config": "c", "Layers": ["l"]}]`}, entry{"l", "x"}, entry{"c", `{"rootfs": {"diff_ids": ["sha256:x"]}}`}), "")
	f.Add(tarOf(f, entry{"index.json", "-> a"}, entry{"a", "-> index.json"}), "sha256:0")
	f.Fuzz(func(t *testing.T, data []byte, want string) {
		im, err := OpenFile(fileOf(t, data), digest.Digest(want), options)
		if err != nil {
			return
		}
		defer func() { _ = im.Close() }()
		if im.Root.Digest.Validate() != nil {
			return // the store refuses it
		}
		if r, err := im.Blob(im.Root); err == nil {
			_, _ = io.Copy(io.Discard, r)
			_ = r.Close()
		}
	})
}
