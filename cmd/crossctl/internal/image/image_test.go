package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/imagestore"
)

// pack writes an image of one file and returns its digest.
func (p *place) pack(name, content string) string {
	p.t.Helper()
	p.write(name+".txt", content, 0o644)
	var b bytes.Buffer
	d, err := images.BuildPack(&b, []images.File{{Path: "/etc/" + name, From: p.path(name + ".txt")}}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(name, b.String(), 0o644)
	return d.String()
}

func TestImages(t *testing.T) {
	p := newPlace(t)
	one, two := p.pack("one", "1"), p.pack("two", "2")
	if got := p.image("ls"); got.exit != 1 || !strings.Contains(got.stderr, "no images are kept in "+p.path("state/helper/images")) {
		t.Errorf("ls of nothing says %+v", got)
	}
	if got, want := p.image("add", p.path("one"), p.path("two")+"@"+two), (said{"local@" + one + "\nlocal@" + two + "\n", "", 0}); got != want {
		t.Errorf("add says %+v, want %+v", got, want)
	}
	got := p.image("ls")
	lines := strings.Split(got.stdout, "\n")
	if got.exit != 0 || len(lines) != 4 || !strings.HasPrefix(lines[0], "IMAGE ") || !strings.Contains(got.stdout, "local@"+one) || !strings.Contains(got.stdout, "linux/") {
		t.Errorf("ls says %+v", got)
	}
	var entries []imagestore.Entry
	if got := p.image("--json", "ls"); json.Unmarshal([]byte(got.stdout), &entries) != nil || len(entries) != 2 || !entries[0].Unpacked {
		t.Errorf("ls --json says %+v", got)
	}
	if got, want := p.image("verify"), 2; got.exit != 0 || strings.Count(got.stdout, "ok       local@sha256:") != want || got.stderr != "" {
		t.Errorf("verify says %+v", got)
	}
	// Damage is found.
	broken := imagestore.Entry{}
	for _, e := range entries {
		if e.Digests[0].String() == one {
			broken = e
		}
	}
	file := filepath.Join(p.path("state/helper/images/roots"), broken.ID.Encoded(), "root/etc/one")
	if err := os.WriteFile(file, []byte("!"), 0o644); err != nil {
		t.Fatal(err)
	}
	got = p.image("verify", one[7:15])
	if got.exit != 1 || !strings.HasPrefix(got.stdout, "DAMAGED  local@"+one+"\n  etc/one: it was file 0644 1 ") ||
		got.stderr != "crossctl: error: 1 images are damaged\ncrossctl: hint: crossctl image rm IMAGE, and add it again\n" {
		t.Errorf("verify says %+v", got)
	}
	var results []verified
	if got := p.image("verify", "--json"); got.exit != 1 || json.Unmarshal([]byte(got.stdout), &results) != nil || len(results) != 2 || len(results[0].Damage)+len(results[1].Damage) != 1 {
		t.Errorf("verify --json says %+v", got)
	}
	if got := p.image("rm", "local"); got.exit != 2 || !strings.Contains(got.stderr, `image: "local" is 2 images; say a digest`) {
		t.Errorf("rm of two says %+v", got)
	}
	if got := p.image("rm", "local@"+one); got != (said{"", "", 0}) {
		t.Errorf("rm says %+v", got)
	}
	if got := p.image("add", p.path("one")); got.exit != 0 {
		t.Errorf("add says %+v", got)
	}
	if got := p.image("verify", one); got.exit != 0 {
		t.Errorf("verify says %+v", got)
	}
	// What is used stays.
	st, err := imagestore.Open(p.path("state/helper/images"), imagestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	held, err := st.Use(t.Context(), broken.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	if got := p.image("rm", one); got.exit != 1 || !strings.Contains(got.stderr, "image local@"+one+" is in use by a helper\n") {
		t.Errorf("rm says %+v", got)
	}
	if got := p.image("--json", "rm", two); got.exit != 0 || strings.Join(strings.Fields(got.stdout), "") != `{"removed":["`+two+`"]}` {
		t.Errorf("rm --json says %+v", got)
	}
}

// An image for another machine is kept, and that is said.
func TestForeignImage(t *testing.T) {
	p := newPlace(t)
	blob := func(text string) digest.Digest {
		d := digest.FromString(text)
		p.write("layout/blobs/sha256/"+d.Encoded(), text, 0o644)
		return d
	}
	if err := os.MkdirAll(p.path("layout/blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := `{"os": "linux", "architecture": "s390x", "rootfs": {"type": "layers", "diff_ids": []}}`
	manifest := fmt.Sprintf(`{"config": {"digest": %q, "size": %d}, "layers": []}`, blob(config), len(config))
	sum := blob(manifest)
	p.write("layout/index.json", fmt.Sprintf(`{"manifests": [{"digest": %q, "size": %d}]}`, sum, len(manifest)), 0o644)
	got := p.image("add", p.path("layout"))
	if got.exit != 0 || got.stdout != "local@"+sum.String()+"\n" || !strings.HasPrefix(got.stderr, "crossctl: note: local@"+sum.String()+" is for linux/s390x; this machine is linux/") {
		t.Errorf("add says %+v", got)
	}
}

// The row that pin prints is one that the helper's configuration takes.
func TestImagePin(t *testing.T) {
	p := newPlace(t)
	sum := p.pack("o ne", "1")
	got := p.image("pin", p.path("o ne"))
	if got.exit != 0 || got.stderr != "" {
		t.Fatalf("pin says %+v", got)
	}
	p.write("crossccd.toml", "jobs = 3\n[toolchains]\nsearch = []\n"+got.stdout, 0o644)
	s, err := config.LoadServer(p.path("crossccd.toml"))
	if err != nil || len(s.Images) != 1 || s.Images[0].Reference.String() != "local@"+sum || s.Images[0].Source != p.path("o ne") || s.Images[0].Pull || s.Images[0].Notes == "" {
		t.Errorf("%s\nis read as %+v, %v", got.stdout, s.Images, err)
	}
	var one pinned
	if got := p.image("pin", "--json", p.path("o ne")); json.Unmarshal([]byte(got.stdout), &one) != nil || one.Reference != "local@"+sum || one.Source == "" {
		t.Errorf("pin --json says %+v", got)
	}
}

// Where the images are kept: flag, configuration, the agent's own helper.
func TestImageState(t *testing.T) {
	p := newPlace(t)
	p.pack("one", "1")
	p.write("crossccd.toml", "state = '"+p.path("configured")+"'\n", 0o644)
	for dir, words := range map[string][]string{
		"flag": {"--state", p.path("flag"), "--config", p.path("crossccd.toml")}, "configured": {"--config", p.path("crossccd.toml")}, "state/helper": nil,
	} {
		if got := p.image(append([]string{"add", p.path("one")}, words...)...); got.exit != 0 {
			t.Errorf("%s: %+v", dir, got)
		}
		if _, err := os.Stat(p.path(dir + "/images/roots")); err != nil {
			t.Error(err)
		}
	}
}

func TestImageErrors(t *testing.T) {
	const see = "\ncrossctl: hint: see `crossctl image --help`\n"
	p := newPlace(t)
	p.pack("one", "1")
	if got := p.image("add", p.path("one")); got.exit != 0 {
		t.Fatalf("add says %+v", got)
	}
	tests := []struct {
		args   string
		exit   int
		stderr string // a part
	}{
		{"", 2, "crossctl: error: image: say pin, add, ls, rm or verify" + see},
		{"frob", 2, `crossctl: error: image: unknown command "frob"` + see},
		{"pin", 2, "crossctl: error: image pin: no image given" + see},
		{"pin a b", 2, `crossctl: error: image pin: unexpected operand "b"` + see},
		{"ls x", 2, `crossctl: error: image ls: unexpected operand "x"` + see},
		{"rm", 2, "crossctl: error: image rm: no image given" + see},
		{"add debian:12", 1, "and a tag may lead to another image tomorrow; pin it: crossctl image pin debian:12\n"},
		{"add docker:debian:12", 1, "pin it: crossctl image pin docker:debian:12\n"},
		{"add docker://debian:12", 1, "leave docker:// out: NAME is looked for in its registry"},
		{"add tools.tar", 1, "crossctl: error: image in tools.tar: stat tools.tar: no such file or directory\n"},
		{"pin debian@sha256:12", 1, `"sha256:12" is not a digest`},
		{"add /no/such", 1, "crossctl: error: image in /no/such: stat /no/such: no such file or directory\n"},
		{"pin /no/such", 1, "crossctl: error: image in /no/such: stat /no/such"},
		{"pin docker:debian:12", 1, "the Docker Engine cannot be asked"},
		{"rm 123456", 1, "crossctl: error: no image \"123456\" is there\ncrossctl: hint: crossctl image ls\n"},
		{"verify debian", 1, "crossctl: error: no image \"debian\" is there"},
		{"ls --config /no/such", 1, "crossctl: error: configuration: open /no/such"},
	}
	for _, tt := range tests {
		got := p.image(strings.Fields(tt.args)...)
		if got.exit != tt.exit || !strings.Contains(got.stderr, tt.stderr) || got.stdout != "" {
			t.Errorf("crossctl image %s says %+v\nwant %s", tt.args, got, tt.stderr)
		}
	}
}

// A fetch that is broken off goes on, when the same command is said again, behind the
// layers that came.
func TestImageResumes(t *testing.T) {
	p := newPlace(t)
	t.Setenv("DOCKER_CONFIG", p.dir) // no credentials of the user's
	one := layerOf(t, "one")
	two := layerOf(t, "two")
	blobs := map[string][]byte{}
	blob := func(data []byte) (sum string) {
		sum = digest.FromBytes(data).String()
		blobs[sum] = data
		return sum
	}
	config := fmt.Appendf(nil, `{"os": "linux", "architecture": %q, "rootfs": {"type": "layers", "diff_ids": [%q, %q]}}`, runtime.GOARCH, blob(one), blob(two))
	const kind = "application/vnd.oci.image.layer.v1.tar"
	manifest := fmt.Appendf(nil, `{"schemaVersion": 2, "mediaType": %q, "config": {"digest": %q, "size": %d}, "layers": [{"mediaType": %[4]q, "digest": %[5]q, "size": %[6]d}, {"mediaType": %[4]q, "digest": %[7]q, "size": %[8]d}]}`,
		"application/vnd.oci.image.manifest.v1+json", blob(config), len(config), kind, blob(one), len(one), blob(two), len(two))
	pin := blob(manifest)
	var fetched []string
	broken := true
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := blobs[path.Base(r.URL.Path)]
		switch sum := path.Base(r.URL.Path); {
		case r.URL.Path == "/v2/":
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case sum == pin:
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = w.Write(data)
		case broken && sum == digest.FromBytes(two).String():
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data[:len(data)/2])
			panic(http.ErrAbortHandler)
		default:
			fetched = append(fetched, sum)
			_, _ = w.Write(data)
		}
	}))
	t.Cleanup(registry.Close)
	reference := strings.TrimPrefix(registry.URL, "http://") + "/me/tools@" + pin
	got := p.image("add", reference)
	if got.exit != 1 || got.stdout != "" || !strings.Contains(got.stderr, "layer 2 of 2: blob "+digest.FromBytes(two).String()) ||
		!strings.HasSuffix(got.stderr, "\ncrossctl: hint: what came is kept for a day: the same command goes on from there\n") {
		t.Errorf("broken off, add says %+v", got)
	}
	broken, fetched = false, nil
	if got := p.image("add", reference); got != (said{reference + "\n", "", 0}) {
		t.Errorf("add says %+v", got)
	}
	if want := []string{digest.FromBytes(two).String()}; !slices.Equal(fetched, want) {
		t.Errorf("fetched again are %q, want %q", fetched, want)
	}
	if got := p.image("verify"); got.exit != 0 || !strings.HasPrefix(got.stdout, "ok ") {
		t.Errorf("verify says %+v", got)
	}
}

// layerOf is a layer with one file.
func layerOf(t *testing.T, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 5000}), func() error {
		_, err := w.Write(bytes.Repeat([]byte("x"), 5000))
		return err
	}(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Root makes nothing in the state directory of a helper that is another user's.
func TestImagesAreTheHelpers(t *testing.T) {
	state := t.TempDir()
	if os.Geteuid() == 0 {
		if err := os.Chown(state, 990, 990); err != nil {
			t.Fatal(err)
		}
		p := newPlace(t)
		p.pack("one", "1")
		got := p.image("add", "--state", state, p.path("one"))
		if left, err := os.ReadDir(state); got.exit != 1 || !strings.Contains(got.stderr, "belongs to user 990") || len(left) != 0 || err != nil {
			t.Errorf("add says %+v, and makes %v, %v", got, left, err)
		}
	}
	if err := ownState(state, 0); err == nil || !strings.Contains(err.Error(), "and this is root") {
		t.Errorf("root: %v", err)
	}
	for name, user := range map[string]int{state: 990, filepath.Join(state, "none"): 0, "/": 0} {
		if err := ownState(name, user); err != nil {
			t.Errorf("%s as %d: %v", name, user, err)
		}
	}
}
