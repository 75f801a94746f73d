package session

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/local"
)

// fileOf is a blob as a file that can be handed to the wrapper.
func fileOf(b broker.Blob) (*os.File, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	if f, ok := r.(*os.File); ok {
		return f, nil
	}
	defer r.Close()
	data, err := b.Bytes(b.Digest.Size)
	if err != nil {
		return nil, err
	}
	return fileWith(data)
}

// Carry adds outputs to the words of the wrapper, each for its target. The files are
// the caller's to close (CloseAll), with an error too.
func Carry(fin *local.Finish, outputs []broker.Output, targets []local.Output) (files []*os.File, err error) {
	room := int64(maxInlineSum - len(fin.Stdout) - len(fin.Stderr))
	for i, o := range outputs {
		out := targets[i]
		if size := o.Blob.Digest.Size; size <= maxInline && size <= room {
			room -= size
			data, err := o.Blob.Bytes(maxInline)
			if err != nil {
				return files, err
			}
			out.Data = data
		} else {
			f, err := fileOf(o.Blob)
			if err != nil {
				return files, err
			}
			out.File = len(files)
			files = append(files, f)
		}
		fin.Outputs = append(fin.Outputs, out)
	}
	return files, nil
}

// maxInline is how large an output may be to go within the message; larger
// ones go as descriptors.
const maxInline = 1 << 20

// maxInlineSum is how much goes within the message with what was printed. A frame is no
// longer than 64 MiB, which leaves some for names; and it has no more than MaxFiles files, so
// that of many small outputs (ar x) as many go within it as can.
const maxInlineSum = local.MaxFrame - 8<<20

// fileWith is a file in memory with data, at its beginning; nil for no data.
func fileWith(data []byte) (*os.File, error) {
	if data == nil {
		return nil, nil
	}
	fd, err := unix.MemfdCreate("crosscc", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "crosscc")
	_, err = f.Write(data)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// CloseAll closes files that were handed to the wrapper, or were not.
func CloseAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
