// Package engine reads images from a Docker Engine. All that we need of Docker's
// client is in this file.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// ErrAway is an Engine that cannot be asked: none runs, or this user may not.
var ErrAway = errors.New("the Docker Engine cannot be asked")

// ErrAbsent is an image that the Engine does not have.
var ErrAbsent = errors.New("the Docker Engine does not have it")

// An Engine is a Docker Engine. Its API's version is settled with it: that of
// Debian 12 is 1.41.
type Engine struct{ client *client.Client }

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
	return &Engine{c}, nil
}

// Close ends its connections.
func (e *Engine) Close() error { return e.client.Close() }

// Found is an image of the Engine.
type Found struct {
	ID      string   // sha256:HEX
	Digests []string // NAME@sha256:HEX, as registries know it
	Tags    []string // NAME:TAG
}

// Find asks for an image: by NAME:TAG, NAME@sha256:HEX, or sha256:HEX, its ID.
func (e *Engine) Find(ctx context.Context, reference string) (Found, error) {
	got, err := e.client.ImageInspect(ctx, reference)
	if err != nil {
		return Found{}, kind(err)
	}
	return Found{ID: got.ID, Digests: got.RepoDigests, Tags: got.RepoTags}, nil
}

// Save opens the docker archive of the image with that ID.
func (e *Engine) Save(ctx context.Context, id string) (io.ReadCloser, error) {
	r, err := e.client.ImageSave(ctx, []string{id})
	if err != nil {
		return nil, kind(err)
	}
	return r, nil
}

// Pull has the Engine fetch an image from the registry of its name, with this
// user's credentials.
func (e *Engine) Pull(ctx context.Context, reference string) error {
	auth, err := credentials(reference)
	if err != nil {
		return err
	}
	r, err := e.client.ImagePull(ctx, reference, image.PullOptions{RegistryAuth: auth})
	if err != nil {
		return kind(err)
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
	return registry.EncodeAuthConfig(registry.AuthConfig{
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
