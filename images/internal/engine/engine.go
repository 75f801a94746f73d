// Package engine reads images from a Docker Engine. All that we need of Docker's
// client is in this file.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	dockerregistry "github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/crosscc/crosscc/images/internal/registry"
	"github.com/crosscc/crosscc/images/internal/stall"
)

// ErrAway is an Engine that cannot be asked: none runs, or this user may not.
var ErrAway = errors.New("the Docker Engine cannot be asked")

// ErrAbsent is an image that the Engine does not have.
var ErrAbsent = errors.New("the Docker Engine does not have it")

// waits bound each wait for an Engine.
type waits struct {
	answer time.Duration // to a question
	save   time.Duration // for the first byte of an image: old Engines write all of it to their disk first
	pull   time.Duration // for news of a pull
	more   time.Duration // for the next bytes of an image
}

// An Engine is a Docker Engine. Its API's version is settled with it: that of
// Debian 12 is 1.41.
type Engine struct {
	client *client.Client
	tls    bool // the connection is encrypted, and the Engine has to prove who it is
	waits  waits
}

// Open names the Engine at host (unix:///run/docker.sock, tcp://…), or where host
// is "" the one that DOCKER_HOST and its kin name. Nothing is asked yet.
func Open(host string) (*Engine, error) {
	options := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if host != "" {
		options = []client.Opt{client.WithHost(host), client.WithAPIVersionNegotiation()}
	}
	c, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("ask the Docker Engine: %w", err)
	}
	if strings.HasPrefix(c.DaemonHost(), "ssh://") {
		return nil, fmt.Errorf("%w: %s is not spoken to by ssh here; `docker save NAME -o FILE` makes a file of an image", ErrAway, c.DaemonHost())
	}
	return &Engine{
		client: c, tls: host == "" && os.Getenv(client.EnvOverrideCertPath) != "" && os.Getenv(client.EnvTLSVerify) != "",
		waits: waits{answer: 30 * time.Second, save: 15 * time.Minute, pull: 5 * time.Minute, more: 2 * time.Minute},
	}, nil
}

// silent is the error of an Engine that has said nothing for d.
func (e *Engine) silent(d time.Duration) error {
	return fmt.Errorf("%w: nothing came from %s for %v; `docker version` tells whether it is well, and crossctl image --docker off asks none", ErrAway, e.client.DaemonHost(), d)
}

// Close ends its connections.
func (e *Engine) Close() error { return e.client.Close() }

// Found is an image of the Engine.
type Found struct {
	ID      string   // sha256:HEX
	Digests []string // NAME@sha256:HEX, as registries know it
	Tags    []string // NAME:TAG
	OS      string   // that its programs are for
	Arch    string   // as Go calls it
}

// Find asks for an image: by NAME:TAG, NAME@sha256:HEX, or sha256:HEX, its ID.
func (e *Engine) Find(ctx context.Context, reference string) (Found, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.waits.answer, e.silent(e.waits.answer))
	defer cancel()
	got, err := e.client.ImageInspect(ctx, reference)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return Found{}, cause
	}
	if err != nil {
		return Found{}, kind(err)
	}
	return Found{ID: got.ID, Digests: got.RepoDigests, Tags: got.RepoTags, OS: got.Os, Arch: got.Architecture}, nil
}

// Save opens the docker archive of the image with that ID.
func (e *Engine) Save(ctx context.Context, id string) (io.ReadCloser, error) {
	return stall.Open(ctx, e.waits.save, e.waits.more, e.silent, func(ctx context.Context) (io.ReadCloser, error) {
		r, err := e.client.ImageSave(ctx, []string{id})
		if err != nil {
			return nil, kind(err)
		}
		return r, nil
	})
}

// Pull has the Engine fetch an image from the registry of its name, with this
// user's credentials.
func (e *Engine) Pull(ctx context.Context, reference string) error {
	auth, err := credentials(reference)
	if err != nil {
		return err
	}
	if auth != "" && !e.private() {
		return fmt.Errorf("pull by the Docker Engine: the credentials for the registry of %s would go to %s in the clear; set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or `docker pull` it on the Engine's own machine",
			reference, e.client.DaemonHost())
	}
	r, err := stall.Open(ctx, e.waits.pull, e.waits.pull, e.silent, func(ctx context.Context) (io.ReadCloser, error) {
		r, err := e.client.ImagePull(ctx, reference, image.PullOptions{RegistryAuth: auth})
		if err != nil {
			return nil, kind(err)
		}
		return r, nil
	})
	if err != nil {
		return err
	}
	defer r.Close()
	// The answer is 200 before anything is done; how it ends is the last message.
	messages := json.NewDecoder(r)
	for {
		var m struct{ Error string }
		if err := messages.Decode(&m); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("pull by the Docker Engine: %w", err)
		}
		if m.Error != "" {
			return fmt.Errorf("pull by the Docker Engine: %s", m.Error)
		}
	}
}

// private reports whether nobody else hears what the Engine is told: it is on this
// machine, or it has proved who it is by TLS.
func (e *Engine) private() bool {
	u, err := client.ParseHostURL(e.client.DaemonHost())
	if err != nil {
		return false
	}
	host, _, err := net.SplitHostPort(u.Host)
	return u.Scheme == "unix" || u.Scheme == "npipe" || e.tls || err == nil && registry.Loopback(host)
}

// credentials are this user's for the registry of reference, as the Engine takes
// them; "" is none.
func credentials(reference string) (string, error) {
	ref, err := name.ParseReference(reference, name.WeakValidation)
	if err != nil {
		return "", err
	}
	found, err := authn.DefaultKeychain.Resolve(ref.Context())
	if err != nil {
		return "", fmt.Errorf("credentials: %w", err)
	}
	c, err := found.Authorization()
	if err != nil {
		return "", fmt.Errorf("credentials: %w", err)
	}
	if *c == (authn.AuthConfig{}) {
		return "", nil
	}
	return dockerregistry.EncodeAuthConfig(dockerregistry.AuthConfig{
		Username: c.Username, Password: c.Password, Auth: c.Auth,
		IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
	})
}

// kind tells an Engine that cannot be asked, and one that says no, from other
// failures.
func kind(err error) error {
	switch {
	case errdefs.IsNotFound(err):
		return ErrAbsent
	case client.IsErrConnectionFailed(err), strings.Contains(err.Error(), "permission denied"):
		return fmt.Errorf("%w: %s", ErrAway, strings.TrimSpace(err.Error()))
	}
	return fmt.Errorf("ask the Docker Engine: %w", err)
}
