package helper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/imagestore"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/bubblewrap"
	"github.com/crosscc/crosscc/sandbox/direct"
	"github.com/crosscc/crosscc/sandbox/docker"
	"github.com/crosscc/crosscc/sandbox/groups"
	"github.com/crosscc/crosscc/sandbox/prove"
)

// roomTime is how long a job or a look at an image waits for images that others use to make
// room in a store that is too small for all of them. A command that an image defines waits
// as long for an image (imageTime in package fleet).
const roomTime = 2 * time.Minute

// Setup is what a helper is opened with: by `crossccd serve` from its
// configuration, by an agent for the helper inside itself.
type Setup struct {
	// Dir is the state directory. It is made when it does not exist.
	Dir string
	// CacheSize bounds the store in bytes.
	CacheSize int64
	// Slots is how many jobs run at once; 0 means one for each processor.
	Slots int
	// Sandbox is bwrap, docker or none. Docker's Engine is the one that DOCKER_HOST
	// names, or Docker's default.
	Sandbox string
	// Limits bound a job; a zero field means the helper's own, which are for
	// everybody. Tests have smaller ones.
	Limits sandbox.Limits
	// Images are the rows of the configuration; what else is in the store of images
	// below Dir is served as well. ImagesSize bounds that store in bytes; 0: its own
	// bound.
	Images     []config.Image
	ImagesSize int64
	// Packs: see Options.
	Packs bool
	// Search and Path: see Options.
	Search  []string
	Path    string
	Version string
	Log     logrus.FieldLogger
}

// Open makes a helper with its store and its sandbox, which has to prove itself
// first. Close ends all of them.
func Open(ctx context.Context, s Setup) (h *Helper, err error) {
	if s.Slots == 0 {
		s.Slots = runtime.NumCPU()
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	views, unlock, err := viewsDir(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", s.Dir, err)
	}
	closers := []func() error{unlock}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(closers))
		}
	}()
	var memory string
	var memoryBytes int64
	if s.Sandbox != "docker" { // whose containers show a view by links, beside the others
		var gone func() error
		memory, memoryBytes, gone = memoryDir(sharedMemory, s.Dir, s.Slots)
		closers = append(closers, gone)
	}
	run, bounds, end, err := runner(ctx, s, views)
	closers = append(closers, bounds.Close, end)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(filepath.Join(s.Dir, "store"), store.Options{MaxBytes: s.CacheSize, Logf: s.Log.Warnf})
	if err != nil {
		return nil, err
	}
	closers = append(closers, st.Close)
	kept, err := imagestore.Open(filepath.Join(s.Dir, "images"), imagestore.Options{MaxBytes: s.ImagesSize, Wait: roomTime, Logf: s.Log.Infof})
	if err != nil {
		return nil, err
	}
	h, err = New(Options{
		Dir: s.Dir, Views: views, Memory: memory, MemoryBytes: memoryBytes, Store: st, Runner: run, Sandbox: s.Sandbox,
		Note: note(s, bounds), Limits: s.Limits, Search: s.Search, Path: s.Path, Slots: s.Slots, Version: s.Version, Log: s.Log,
		Images: catalog.NewImages(kept, images.SourceOptions{}), Rows: s.Images, Packs: s.Packs,
	})
	if err != nil {
		return nil, err
	}
	h.closers = closers
	return h, nil
}

func closeAll(closers []func() error) error {
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i]())
	}
	return errors.Join(errs...)
}

// runner makes the sandbox and has it prove that it is closed. end ends what it keeps,
// after an error too.
func runner(ctx context.Context, s Setup, dir string) (run sandbox.Runner, bounds *groups.Set, end func() error, err error) {
	end = func() error { return nil }
	switch s.Sandbox {
	case "none":
		s.Log.Warn("--sandbox=none: what a client sends runs with this user's rights, without walls")
		bounds := groups.Open()
		return direct.New(direct.Options{Dir: dir, Groups: bounds}), bounds, end, nil
	case "bwrap":
		bounds := groups.Open()
		run, err := bubblewrap.New(bubblewrap.Options{Groups: bounds, Logf: s.Log.Debugf})
		if err == nil {
			err = prove.Closed(ctx, run)
		}
		return run, bounds, end, err
	case "docker":
		run, stop, err := docker.New(ctx, docker.Options{Dir: dir, Logf: s.Log.Debugf})
		if err != nil {
			return nil, nil, end, err
		}
		return run, nil, stop, prove.Closed(ctx, run)
	}
	return nil, nil, end, fmt.Errorf("sandbox %q: say bwrap, docker or none", s.Sandbox)
}

// note is what status says beside the sandbox's name, after the log has said it.
func note(s Setup, bounds *groups.Set) string {
	switch {
	case bounds == nil:
		return ""
	case bounds.Err() != nil:
		s.Log.Infof("sandbox: the memory of each process of a job is bounded, not that of the job: %s", bounds)
		return " without cgroups"
	}
	s.Log.Debugf("sandbox: each job is bounded as a whole: %s", bounds)
	return ""
}
