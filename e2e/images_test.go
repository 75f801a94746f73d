package e2e

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/crosscc/crosscc/e2e/debian"
	"github.com/crosscc/crosscc/e2e/site"
)

var imageCommands = map[string]func(*testscript.TestScript, bool, []string){
	"image":   makeImage,
	"awaited": awaited,
	"source":  fetchSource,
}

// fetchSource is `source PACKAGE DIR`: the source of a package of Debian's, without Debian's patches.
func fetchSource(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: source PACKAGE DIR")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	packages, err := debian.Open("../.cache/demo")
	ts.Check(err)
	_, err = packages.Source(ctx, args[0], ts.MkAbs(args[1]))
	ts.Check(err)
}

// crossImage is an image with Debian's cross gcc for riscv64, and clangImage one with its
// clang and lld for this machine, as packages and no container's tool make them. All
// scripts share them. Both have C.UTF-8, of libc-bin.
var (
	crossImage = sync.OnceValues(func() (v1.Image, error) {
		return imageWith("cross", "gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross", "libc-bin")
	})
	clangImage = sync.OnceValues(func() (v1.Image, error) {
		return imageWith("clang", "clang-14", "lld-14", "llvm-14", "libc6-dev", "libgcc-12-dev", "libc-bin")
	})
)

func imageWith(name string, names ...string) (v1.Image, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	packages, err := debian.Open("../.cache/demo")
	if err != nil {
		return nil, err
	}
	arch, err := site.Output(ctx, ".", nil, "dpkg", "--print-architecture")
	if err != nil {
		return nil, err
	}
	files, err := packages.Root(ctx, strings.TrimSpace(arch), names...)
	if err != nil {
		return nil, err
	}
	layer := filepath.Join(root, name+".tar")
	if err := site.Run(ctx, files, nil, "tar", "-cf", layer, "--owner=0", "--group=0", "."); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromFile(layer, tarball.WithCompressionLevel(1), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", strings.TrimSpace(arch)
	return mutate.ConfigFile(img, config)
}

// makeImage is `image [-clang] NAME layout|index|oci|docker|registry`: the cross gcc's image, or
// clang's, in that form. $NAME is its pin, $NAME_source the file or directory. An index has another
// platform's image besides; $NAME_own is then the pin of this platform's.
func makeImage(ts *testscript.TestScript, _ bool, args []string) {
	opts, args := flags(ts, args, map[string]bool{"-clang": false})
	if len(args) != 2 {
		ts.Fatalf("usage: image [-clang] NAME layout|index|oci|docker|registry")
	}
	build := crossImage
	if opts["-clang"] != "" {
		build = clangImage
	}
	img, err := build()
	ts.Check(err)
	sum, err := img.Digest()
	ts.Check(err)
	at, repository := filepath.Join(scriptOf(ts).dir, "image-"+args[0]), "tools/"+args[1]
	switch args[1] {
	case "layout":
		ts.Check(writeLayout(at, img))
	case "index":
		index, err := indexOf(img)
		ts.Check(err)
		ts.Setenv(args[0]+"_own", repository+"@"+sum.String())
		sum, err = index.Digest()
		ts.Check(err)
		p, err := layout.Write(at, empty.Index)
		ts.Check(err)
		ts.Check(p.AppendIndex(index))
	case "oci":
		ts.Check(writeLayout(at+".dir", img))
		ts.Check(ts.Exec("tar", "-C", at+".dir", "-cf", at, "."))
	case "docker":
		tag, err := name.NewTag(repository + ":latest")
		ts.Check(err)
		ts.Check(tarball.WriteToFile(at, tag, img))
		id, err := img.ConfigName() // what is in there has no manifest
		ts.Check(err)
		sum = id
	case "registry":
		s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
		ts.Defer(s.Close)
		repository = strings.TrimPrefix(s.URL, "http://") + "/gcc"
		to, err := name.NewTag(repository+":latest", name.Insecure)
		ts.Check(err)
		ts.Check(remote.Write(to, img, remote.WithTransport(http.DefaultTransport)))
	default:
		ts.Fatalf("no form %q of an image", args[1])
	}
	ts.Setenv(args[0], repository+"@"+sum.String())
	ts.Setenv(args[0]+"_source", at)
}

// indexOf is an index of img and of an image for another platform.
func indexOf(img v1.Image) (v1.ImageIndex, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	here := v1.Descriptor{Platform: &v1.Platform{OS: config.OS, Architecture: config.Architecture}}
	other := v1.Descriptor{Platform: &v1.Platform{OS: config.OS, Architecture: "other"}}
	return mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: empty.Image, Descriptor: other}, mutate.IndexAddendum{Add: img, Descriptor: here}), nil
}

func writeLayout(dir string, img v1.Image) error {
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return p.AppendImage(img)
}

// awaitLimit is how long something may take that is done beside a build: to pack a
// compiler, under the race detector on a busy machine, or to unpack an image.
const awaitLimit = 5 * time.Minute

// awaited is `awaited TEXT COMMAND…`: the command says TEXT before long.
func awaited(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: awaited TEXT COMMAND…")
	}
	for end := time.Now().Add(awaitLimit); ; time.Sleep(time.Second) {
		_ = ts.Exec(args[1], args[2:]...) // what it says counts
		said := ts.ReadFile("stdout") + ts.ReadFile("stderr")
		if strings.Contains(said, args[0]) != neg {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("after %v %s says\n%s", awaitLimit, args[1], said)
		}
	}
}
