package helper

import (
	"bufio"
	"bytes"
	"fmt"
	"path"
	"regexp"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
)

// This file is what a helper refuses of a job besides its words, for which
// argv.Admit is the list.
//
// The attack: a tree's names are the client's choice. A file where the loader, the
// driver or the C library look (ld.so.preload, a specs file beside cc1) makes them
// run the client's code, though no program of the client's is ever named. And a
// preprocessed text may still tell the compiler to open files: gcc loads a
// precompiled header, which is an image of its memory, at a pragma; clang follows
// #include wherever it stands.

// admitPaths refuses files and directories that lie where the toolchain's are.
func admitPaths(j *broker.Job) error {
	if broker.Hidden(j.Dir) {
		return broker.Refusef(ReasonRejected, "working directory %s is where the helper's own files are", j.Dir)
	}
	for name, e := range j.Root.All() {
		if e.Dir == nil && broker.Hidden(name) {
			return broker.Refusef(ReasonRejected, "input %s lies where the helper's own files are", name)
		}
	}
	return nil
}

var (
	opensFile  = regexp.MustCompile(`pch_preprocess|\.incbin|\.include\b`)
	clangOpens = regexp.MustCompile(`^[ \t\f\v]*(?:#|%:|\?\?=)[ \t\f\v]*(?:include|include_next|import|embed|pragma[ \t]+clang[ \t]+module)\b`)
)

// admitText refuses preprocessed text that makes a compiler open files.
func admitText(j *broker.Job, cmd *argv.Command, clang bool) error {
	if j.Form != broker.Preprocessed {
		return nil
	}
	f, ok := j.Root.File(path.Join(j.Dir, cmd.Source()))
	if !ok {
		return broker.Refusef(ReasonRejected, "the source %s is not among the inputs", cmd.Source())
	}
	r, err := f.Blob.Open()
	if err != nil {
		return fmt.Errorf("read %s: %w", cmd.Source(), err)
	}
	defer r.Close()
	// Lines of any length: what is longer than the buffer is looked at in
	// pieces, each with the end of the one before it.
	lines := bufio.NewReaderSize(r, 1<<16)
	var tail []byte
	for start := true; ; {
		line, err := lines.ReadSlice('\n')
		piece := append(tail, line...)
		if opensFile.Match(piece) || clang && start && clangOpens.Match(line) {
			return broker.Refusef(ReasonRejected, "the text makes the compiler open a file: %.80q", bytes.TrimSpace(line))
		}
		if start = err == nil; start {
			tail = tail[:0]
		} else {
			tail = append(tail[:0], line[max(0, len(line)-64):]...)
		}
		if err != nil && err != bufio.ErrBufferFull {
			return nil // the end; a blob that can't be read fails where it is placed
		}
	}
}
