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

// admit judges a job by its form.
func (h *Helper) admit(j *broker.Job, cmd *argv.Command) error {
	words, inputs := argv.Admit, admitText
	switch j.Form {
	case broker.Preprocessed:
	case broker.Tree:
		words, inputs = argv.AdmitWhole, h.admitTree
	default:
		return broker.Refusef(ReasonRejected, "the job has no form that is known here: %s", j.Form)
	}
	if err := words(cmd); err != nil {
		return broker.Refusef(ReasonRejected, "%v", err)
	}
	for _, kv := range j.Env {
		if !allowedEnv(j, kv) {
			return broker.Refusef(ReasonRejected, "the environment says %s, which may change the object and is not honoured here", kv)
		}
	}
	return inputs(j, cmd)
}

// allowedEnv is the list of what a client may say of the environment: two
// locales that are alike everywhere, which decide quotes in messages (X16), and
// in tree form the name that the working directory has for its compiler (X13).
func allowedEnv(j *broker.Job, kv string) bool {
	return kv == "LC_ALL=C" || kv == "LC_ALL=C.UTF-8" || j.Form == broker.Tree && kv == "PWD="+j.Dir
}

// admitTree refuses a tree in which the compiler would find what is not the
// client's to say, or not find its work. What lies where the toolchain has its
// files is looked at when the toolchain is known (admitPrivate).
func (h *Helper) admitTree(j *broker.Job, cmd *argv.Command) error {
	if h.o.Sandbox == "none" {
		return broker.Refusef(ReasonTreeClosed, "without a sandbox the client's paths can't be shown to a compiler")
	}
	if name, why := j.Root.Closed(); why != "" {
		return broker.Refusef(ReasonTreeClosed, "%s of the tree is closed: %s", name, why)
	}
	if why := broker.Closed(path.Join(j.Dir, "a")); why != "" {
		return broker.Refusef(ReasonTreeClosed, "working directory %s is closed: %s", j.Dir, why)
	}
	if _, e, ok := j.Root.Lookup(j.Dir); !ok || e.Dir == nil {
		return broker.Refusef(ReasonRejected, "working directory %s is not in the tree", j.Dir)
	}
	source := cmd.Source()
	if !path.IsAbs(source) {
		source = j.Dir + "/" + source // not cleaned: links and `..` are the tree's to say
	}
	_, e, ok := j.Root.Lookup(source)
	if !ok || e.File == nil {
		return broker.Refusef(ReasonRejected, "the source %s is not in the tree", source)
	}
	if cmd.Language().IsPreprocessed() {
		return opens(e.File, cmd)
	}
	return nil
}

// admitPaths refuses what lies where the toolchain's files are.
func admitPaths(j *broker.Job) error {
	if broker.Hidden(j.Dir) {
		return broker.Refusef(ReasonRejected, "working directory %s is where the helper's own files are", j.Dir)
	}
	for name, e := range j.Root.All() {
		hidden := e.Dir == nil && broker.Hidden(name) || e.Dir != nil && broker.ClosedDir(name) != ""
		if hidden || e.Link != nil && broker.ClosedLink(name, e.Link.Target) != "" {
			return broker.Refusef(ReasonRejected, "input %s lies where the helper's own files are", name)
		}
	}
	return nil
}

var (
	opensFile  = regexp.MustCompile(`pch_preprocess|\.incbin|\.include\b`)
	clangOpens = regexp.MustCompile(`^[ \t\f\v]*(?:#|%:|\?\?=)[ \t\f\v]*(?:include|include_next|import|embed|pragma[ \t]+clang[ \t]+module)\b`)
)

// admitText refuses a job in preprocessed form whose files are not in their
// places, or whose text makes a compiler open others.
func admitText(j *broker.Job, cmd *argv.Command) error {
	if err := admitPaths(j); err != nil {
		return err
	}
	f, ok := j.Root.File(path.Join(j.Dir, cmd.Source()))
	if !ok {
		return broker.Refusef(ReasonRejected, "the source %s is not among the inputs", cmd.Source())
	}
	return opens(&f, cmd)
}

// opens refuses preprocessed text that makes a compiler open files.
func opens(f *broker.File, cmd *argv.Command) error {
	clang := cmd.Family() == argv.Clang
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
