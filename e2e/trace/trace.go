// Package trace compares all that two runs of one command leave: status, both
// streams, every file and its mode. The end-to-end tests run a command through
// crosscc and without it, in one directory, so that the compilers see the same
// names. Start with Read, Of and Trace.Compare.
package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/crosscc/crosscc/e2e/object"
)

// A Trace is all that one command leaves. Files are those in the directory after it.
type Trace struct {
	Status         int // exit status; 128 and the signal's number for one that was killed
	Stdout, Stderr string
	Files          Files
}

// Files are regular files and links by their paths.
type Files map[string]File

// A File is one regular file; a link has no content but what it names.
type File struct {
	Mode    fs.FileMode
	Content []byte
}

// limit bounds one command.
const limit = 2 * time.Minute

// Of runs a command in cmd.Dir and reads what it left there. cmd has neither been
// started nor given a place for its output.
func Of(ctx context.Context, cmd *exec.Cmd) (Trace, error) {
	var t Trace
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return t, err
	}
	late := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	stop()
	if !late.Stop() {
		return t, fmt.Errorf("%v: not done after %v", cmd, limit)
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return t, err
	}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if t.Status = ws.ExitStatus(); ws.Signaled() {
		t.Status = 128 + int(ws.Signal())
	}
	t.Stdout, t.Stderr = stdout.String(), stderr.String()
	t.Files, err = Read(cmd.Dir)
	return t, err
}

// Read reads every file below dir.
func Read(dir string) (Files, error) {
	all := make(Files)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		switch d.Type() {
		case 0:
			content, err = os.ReadFile(path)
		case fs.ModeSymlink:
			var to string
			to, err = os.Readlink(path)
			content = []byte(to)
		}
		all[path] = File{info.Mode(), content}
		return err
	})
	return all, err
}

// Restore puts the regular files of a directory, which holds now, back to f.
func (f Files) Restore(now Files) error {
	for path, is := range now {
		was, ok := f[path]
		var err error
		switch {
		case !ok:
			err = os.Remove(path)
		case was.Mode.IsRegular() && (was.Mode != is.Mode || !bytes.Equal(was.Content, is.Content)):
			err = errors.Join(os.WriteFile(path, was.Content, was.Mode), os.Chmod(path, was.Mode.Perm()))
		}
		if err != nil {
			return fmt.Errorf("put %s back: %w", path, err)
		}
	}
	for path, was := range f {
		if _, ok := now[path]; !ok && was.Mode.IsRegular() {
			if err := os.WriteFile(path, was.Content, was.Mode); err != nil {
				return fmt.Errorf("put %s back: %w", path, err)
			}
		}
	}
	return nil
}

// Compare says where have is not t, what a local run left. With code, objects may
// differ in debug info.
func (t Trace) Compare(have Trace, code bool) error {
	names, haveNames := slices.Sorted(maps.Keys(t.Files)), slices.Sorted(maps.Keys(have.Files))
	switch {
	case t.Status != have.Status:
		return fmt.Errorf("status %d, locally %d\n%s\nlocally\n%s", have.Status, t.Status, have.Stderr, t.Stderr)
	case t.Stdout != have.Stdout:
		return fmt.Errorf("stdout %q, locally %q", have.Stdout, t.Stdout)
	case t.Stderr != have.Stderr:
		return fmt.Errorf("stderr %q, locally %q", have.Stderr, t.Stderr)
	case !slices.Equal(names, haveNames):
		return fmt.Errorf("left %q, locally %q", haveNames, names)
	}
	for _, name := range names {
		if err := t.Files[name].compare(have.Files[name], code && strings.HasSuffix(name, ".o")); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (f File) compare(have File, code bool) error {
	switch {
	case f.Mode != have.Mode:
		return fmt.Errorf("mode %v, locally %v", have.Mode, f.Mode)
	case bytes.Equal(f.Content, have.Content):
		return nil
	case !code:
		return fmt.Errorf("%d bytes that differ from the local %d", len(have.Content), len(f.Content))
	}
	return object.SameCodeOf("local", f.Content, "remote", have.Content)
}
