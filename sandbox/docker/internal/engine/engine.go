// Package engine is the Docker Engine as the sandbox needs it: containers with
// no network, no rights and a fixed set of mounts, made, started and removed. It
// is the only package of the sandbox that knows Docker's client. Start with
// [Open].
package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
)

// oldest is the API version that is asked for: that of Engine 20.10.
const oldest = "1.41"

// An Engine is a connection to the Docker Engine of this machine.
type Engine struct {
	c    *client.Client
	cpus int

	mu    sync.Mutex // guards image
	image string
}

// Open connects to the Engine at host (unix:///PATH), or to the one that
// DOCKER_HOST names, or to Docker's default when host is "". Its error says what
// is missing. Close ends it.
func Open(ctx context.Context, host string) (*Engine, error) {
	options := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if host != "" {
		options = append(options, client.WithHost(host))
	}
	c, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("docker engine: %w", err)
	}
	e := &Engine{c: c}
	if err := e.check(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return e, nil
}

// check refuses an Engine that can't serve.
func (e *Engine) check(ctx context.Context) error {
	host := e.c.DaemonHost()
	if !strings.HasPrefix(host, "unix://") {
		return fmt.Errorf("docker engine at %s: it may be on another machine, which has not the helper's files; name one of this machine (DOCKER_HOST=unix:///var/run/docker.sock)", host)
	}
	ping, err := e.c.Ping(ctx)
	if err != nil {
		return fmt.Errorf("no docker engine at %s: %w; start it (systemctl start docker), and let this user speak to it (group docker)", host, err)
	}
	if ping.APIVersion == "" || versions.LessThan(ping.APIVersion, oldest) {
		return fmt.Errorf("docker engine at %s speaks API %q: %s is needed (Engine 20.10 and later)", host, ping.APIVersion, oldest)
	}
	info, err := e.c.Info(ctx)
	if err != nil {
		return fmt.Errorf("docker engine at %s: %w", host, err)
	}
	if info.OSType != "linux" {
		return fmt.Errorf("docker engine at %s runs containers of %s, not Linux", host, info.OSType)
	}
	e.cpus = info.NCPU
	return nil
}

// Close ends the connection.
func (e *Engine) Close() error { return e.c.Close() }

// name is what our image is called in the Engine, for people. What counts is its
// content.
const name = "crosscc-sandbox:1"

// layer is all that our image has: directories to mount at. Its bytes never change.
func layer() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"dev/", "etc/", "inside/", "late/", "proc/", "root/", "socket/", "sys/"} {
		if err := w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755, ModTime: time.Unix(0, 0)}); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// Prepare makes the empty image that all containers are of, unless the Engine has
// it. Whatever else has its name is not used.
func (e *Engine) Prepare(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	content, err := layer()
	if err != nil {
		return err
	}
	want := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	if e.image = e.find(ctx, want); e.image != "" {
		return nil
	}
	answer, err := e.c.ImageImport(ctx, image.ImportSource{Source: bytes.NewReader(content), SourceName: "-"}, name, image.ImportOptions{})
	if err == nil {
		err = drain(answer)
	}
	if err != nil {
		return fmt.Errorf("docker engine: import the empty image: %w", err)
	}
	if e.image = e.find(ctx, want); e.image == "" {
		return fmt.Errorf("docker engine: %s is not what was imported", name)
	}
	return nil
}

// find is the id of the image with our name and exactly our layer, or "".
func (e *Engine) find(ctx context.Context, diffID string) string {
	i, err := e.c.ImageInspect(ctx, name)
	if err != nil || !slices.Equal(i.RootFS.Layers, []string{diffID}) {
		return ""
	}
	return i.ID
}

// drain reads a stream of progress messages to its end; an error may be the last.
func drain(r io.ReadCloser) error {
	defer r.Close()
	d := json.NewDecoder(r)
	for {
		var m struct{ Error string }
		if err := d.Decode(&m); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if m.Error != "" {
			return errors.New(m.Error)
		}
	}
}

// A Container is one to start.
type Container struct {
	Words  []string          // process 1, as root without rights but Rights
	Rights []string          // capabilities
	Binds  map[string]string // file or directory of this machine, read-only, by its place inside
	Tmpfs  map[string]int64  // writable directories in memory, with their sizes in bytes
	Label  string
	Memory int64 // bytes of everything inside, its tmpfs too
	Pids   int64 // processes and threads inside
	CPUs   int   // at most, if the machine has more
}

// Label marks what belongs to a runner; its value says to which.
const Label = "crosscc.sandbox"

func (c *Container) host(cpus int) *container.HostConfig {
	h := &container.HostConfig{
		NetworkMode: "none", IpcMode: container.IPCModeNone, ReadonlyRootfs: true, AutoRemove: true,
		CapDrop: []string{"ALL"}, CapAdd: c.Rights, SecurityOpt: []string{"no-new-privileges:true"},
		LogConfig: container.LogConfig{Type: "none"}, Tmpfs: map[string]string{},
		Resources: container.Resources{
			Memory: c.Memory, MemorySwap: c.Memory, PidsLimit: &c.Pids, NanoCPUs: int64(min(c.CPUs, cpus)) * 1e9,
		},
	}
	for p, size := range c.Tmpfs {
		// The mode of the directory below wins, where there is one.
		h.Tmpfs[p] = "exec,mode=1777,size=" + strconv.FormatInt(size, 10)
	}
	for _, p := range slices.Sorted(maps.Keys(c.Binds)) {
		h.Mounts = append(h.Mounts, mount.Mount{
			Type: mount.TypeBind, Source: c.Binds[p], Target: p, ReadOnly: true,
			BindOptions: &mount.BindOptions{Propagation: mount.PropagationRPrivate},
		})
	}
	return h
}

// Start makes and starts a container. It removes itself when its process 1 ends.
// Warnings are the Engine's, about limits that it can't keep above all. An Engine
// whose answer nobody waits for may still make the container, so ctx should only be
// over when the Engine does not answer.
func (e *Engine) Start(ctx context.Context, c Container) (id string, warnings []string, err error) {
	made, err := e.create(ctx, c)
	if errdefs.IsNotFound(err) { // somebody has tidied the Engine's images
		if err := e.Prepare(ctx); err != nil {
			return "", nil, err
		}
		made, err = e.create(ctx, c)
	}
	if err != nil {
		return "", nil, fmt.Errorf("docker engine: make a container: %w", err)
	}
	if err := e.c.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		// Whoever called may have gone; the container has to all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goTime)
		defer cancel()
		return "", nil, errors.Join(fmt.Errorf("docker engine: start a container: %w", err), e.Remove(ctx, made.ID))
	}
	return made.ID, made.Warnings, nil
}

func (e *Engine) create(ctx context.Context, c Container) (container.CreateResponse, error) {
	e.mu.Lock()
	image := e.image
	e.mu.Unlock()
	return e.c.ContainerCreate(ctx, &container.Config{
		Image: image, Entrypoint: c.Words, User: "0:0", WorkingDir: "/", Hostname: "crosscc", Env: []string{"PATH=/"},
		Labels: map[string]string{Label: c.Label}, Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}, c.host(e.cpus), nil, nil, "")
}

// goTime bounds how long a container takes to go.
const goTime = 30 * time.Second

// Remove kills a container, and returns when nothing of it is left.
func (e *Engine) Remove(ctx context.Context, id string) error {
	for {
		err := e.c.ContainerRemove(ctx, id, container.RemoveOptions{Force: true})
		switch {
		case err == nil || errdefs.IsNotFound(err):
			return nil
		case !errdefs.IsConflict(err): // it is being removed already
			return fmt.Errorf("docker engine: remove a container: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("docker engine: a container does not go: %w", context.Cause(ctx))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// oomTime is how long the Engine may take to hear from the kernel.
const oomTime = 500 * time.Millisecond

// OutOfMemory reports whether the kernel ended something in a container because its
// memory was out; it asks what the Engine remembers. A container that is gone has told
// nobody else.
func (e *Engine) OutOfMemory(ctx context.Context, id string) bool {
	until := time.Now().Add(oomTime)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	told, _ := e.c.Events(ctx, events.ListOptions{
		Since: "0", Until: strconv.FormatInt(until.Unix()+1, 10),
		Filters: filters.NewArgs(filters.Arg("container", id), filters.Arg("event", string(events.ActionOOM))),
	})
	select {
	case <-told:
		return true
	case <-ctx.Done():
		return false
	}
}

// RemoveAll removes the containers with a label.
func (e *Engine) RemoveAll(ctx context.Context, label string) error {
	list, err := e.c.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", Label+"="+label))})
	if err != nil {
		return fmt.Errorf("docker engine: list containers: %w", err)
	}
	var errs []error
	for _, c := range list {
		errs = append(errs, e.Remove(ctx, c.ID))
	}
	return errors.Join(errs...)
}
