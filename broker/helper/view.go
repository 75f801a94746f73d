package helper

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/crosscc/crosscc/broker"
)

// view assembles the directory that the job sees: its files at the client's
// paths. drop removes it.
func (h *Helper) view(ctx context.Context, j *broker.Job) (dir string, drop func(), err error) {
	dir, err = os.MkdirTemp(h.o.Views, "view-")
	if err != nil {
		return "", nil, fmt.Errorf("assemble job view: %w", err)
	}
	drop = func() { _ = os.RemoveAll(dir) } // what stays is removed at the next start
	defer func() {
		if err != nil {
			drop()
		}
	}()
	// The sandbox's user enters here; it is nobody's secret, the job's own.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("assemble job view: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, j.Dir), 0o755); err != nil {
		return "", nil, fmt.Errorf("assemble job view: %w", err)
	}
	for name, e := range j.Root.All() {
		if ctx.Err() != nil {
			return "", nil, context.Cause(ctx)
		}
		if e.File == nil {
			continue
		}
		if err := place(filepath.Join(dir, name), e.File); err != nil {
			return "", nil, fmt.Errorf("assemble job view: %w", err)
		}
	}
	return dir, drop, nil
}

// place writes one input. It is a copy: nothing a compiler could write to may
// be a link to a stored blob (X18).
func place(name string, f *broker.File) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	r, err := f.Blob.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	// O_EXCL: the view is new, so a file that is there is a name given twice.
	w, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(r, f.Blob.Digest.Size+1))
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err == nil && n != f.Blob.Digest.Size {
		err = fmt.Errorf("%s: %d bytes, digest says %d", f.Name, n, f.Blob.Digest.Size)
	}
	return err
}
