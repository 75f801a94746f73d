// Package registry reads images from container registries, with the credentials of
// the usual docker configuration (~/.docker/config.json and its helpers, or below
// DOCKER_CONFIG), else of podman. It speaks https; plain http only with this machine
// itself.
//
// Start with Open.
package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/crosscc/crosscc/images/internal/stall"
)

// stallTime bounds each wait for a registry: to answer, and for more of a blob.
const stallTime = time.Minute

// stalled is the error of a registry that says nothing for d.
func stalled(d time.Duration) error { return fmt.Errorf("nothing came from the registry for %v", d) }

// A Repository is a place of images in a registry.
type Repository struct {
	repo   name.Repository
	puller *remote.Puller
}

// Open names a repository: debian, ghcr.io/x/y. Nothing is asked yet.
func Open(repository string) (*Repository, error) {
	repo, err := name.NewRepository(repository, name.WeakValidation)
	if err != nil {
		return nil, err
	}
	puller, err := remote.NewPuller(remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithTransport(transport()), remote.WithUserAgent("crosscc"))
	if err != nil {
		return nil, err
	}
	return &Repository{repo: repo, puller: puller}, nil
}

// Host is the registry's name.
func (r *Repository) Host() string { return r.repo.RegistryStr() }

// Manifest describes the manifest or index that has the digest d.
func (r *Repository) Manifest(ctx context.Context, d digest.Digest) (ocispec.Descriptor, error) {
	return r.head(ctx, r.repo.Digest(d.String()))
}

// Tag describes what the tag leads to now.
func (r *Repository) Tag(ctx context.Context, tag string) (ocispec.Descriptor, error) {
	return r.head(ctx, r.repo.Tag(tag))
}

func (r *Repository) head(ctx context.Context, ref name.Reference) (ocispec.Descriptor, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*stallTime, stalled(2*stallTime))
	defer cancel()
	// Its manifest is read as a blob is; some registries answer HEAD without a size.
	got, err := r.puller.Get(ctx, ref)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return ocispec.Descriptor{}, cause
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: string(got.MediaType), Digest: digest.Digest(got.Digest.String()), Size: int64(len(got.Manifest))}, nil
}

// Blob opens what d names: a manifest or index, or another blob.
func (r *Repository) Blob(ctx context.Context, d ocispec.Descriptor, manifest bool) (io.ReadCloser, error) {
	ref := r.repo.Digest(d.Digest.String())
	return stall.Open(ctx, stallTime, stallTime, stalled, func(ctx context.Context) (io.ReadCloser, error) {
		if manifest {
			return r.manifest(ctx, ref)
		}
		return r.layer(ctx, ref)
	})
}

func (r *Repository) manifest(ctx context.Context, ref name.Digest) (io.ReadCloser, error) {
	got, err := r.puller.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(got.Manifest)), nil
}

func (r *Repository) layer(ctx context.Context, ref name.Digest) (io.ReadCloser, error) {
	l, err := r.puller.Layer(ctx, ref)
	if err != nil {
		return nil, err
	}
	return l.Compressed()
}

// transport bounds each step before a body, and keeps what is secret off the wire.
func transport() http.RoundTripper {
	return guard{&http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: stallTime,
		IdleConnTimeout:       stallTime,
		ForceAttemptHTTP2:     true,
	}}
}

// A guard refuses plain http to other machines, redirections and the places where
// tokens are given out among them.
type guard struct{ next http.RoundTripper }

var errPlain = errors.New("plain http is spoken with this machine only; the registry must have TLS")

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !Loopback(req.URL.Hostname()) {
		return nil, fmt.Errorf("%s: %w", req.URL.Host, errPlain)
	}
	return g.next.RoundTrip(req)
}

// Loopback reports whether host, a name or an address without a port, is this machine
// itself.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
