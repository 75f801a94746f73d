package docker

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/process"
)

// begin has process 1 put into the directory of outputs what is begun.
func (w *warm) begin(s *sandbox.Spec, l sandbox.Limits) error {
	for _, b := range s.Begun {
		if err := w.beginOne(b, l.FileSize); err != nil {
			return fmt.Errorf("begin output %s: %w", b.Name, err)
		}
	}
	return nil
}

func (w *warm) beginOne(b sandbox.Begun, limit int64) error {
	f, ok := b.Content.(*os.File)
	if !ok {
		text, err := io.ReadAll(io.LimitReader(b.Content, limit+1))
		if err == nil {
			f, err = process.TextFile(string(text))
		}
		if err != nil {
			return err
		}
		defer f.Close()
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return &os.PathError{Op: "stat", Path: b.Name, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errors.New("it is no regular file")
	}
	if st.Size > limit {
		return sandbox.Failf(sandbox.Disk, "%s is larger than an output may be", b.Name)
	}
	return w.conn.Begin(b.Name, f)
}
