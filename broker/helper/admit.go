package helper

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
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
	words, inputs := argv.Admit, h.admitText
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

// admitWritten looks once more at the words that a driver is really given. A
// driver takes one that begins with @ for a file of words, wherever it stands; that
// file would be the client's, and nobody has judged the words in it.
func admitWritten(args []string) error {
	for _, a := range args {
		if strings.HasPrefix(a, "@") {
			return broker.Refusef(ReasonRejected, "the word %.80q would be read as the name of a file of words", a)
		}
	}
	return nil
}

// allowedEnv is the list of what a client may say of the environment: two
// locales that are alike everywhere, which decide quotes in messages (X16), and
// in tree form the name that the working directory has for its compiler (X13) and
// the date that stands for now (X16).
func allowedEnv(j *broker.Job, kv string) bool {
	return j.Image != "" && pinnedVariable(kv) || kv == "LC_ALL=C" || kv == "LC_ALL=C.UTF-8" || j.Form == broker.Tree && (kv == "PWD="+j.Dir || epoch.MatchString(kv))
}

var epoch = regexp.MustCompile(`^SOURCE_DATE_EPOCH=[0-9]{1,12}$`)

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
	if cmd.Language().IsPreprocessed() && !cmd.Language().Assembles() { // an assembler's files are the tree's
		return h.opens(e.File, cmd)
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

// loadsMemory is the pragma by which gcc takes a file for its memory, as a text
// that is preprocessed may spell it: gcc complains of a universal character name
// that stands for a plain letter, and reads the letter.
var loadsMemory = regexp.MustCompile(spellings("pch_preprocess"))

// maxSpelling is longer than any spelling that loadsMemory matches; a number with
// more zeros in front than that is refused by itself.
const maxSpelling = 512

func spellings(word string) string {
	var b strings.Builder
	for _, c := range word {
		fmt.Fprintf(&b, `(?:%c|\\u00%02[2]x|\\U000000%02[2]x|\\u\{0{0,8}%02[2]x\}|\\N\{[A-Z -]{1,24}\})`, c, c)
	}
	return `(?i)` + b.String() + `|\\u\{0{9}`
}

var (
	includes   = regexp.MustCompile(`\.include\b`)
	clangOpens = regexp.MustCompile(`^(?:#|%:|\?\?=)[ \t\f\v]*(?:include|include_next|import|embed|pragma[ \t]+clang[ \t]+module)\b`)
)

// admitText refuses a job in preprocessed form whose files are not in their
// places, or whose text makes a compiler open others.
func (h *Helper) admitText(j *broker.Job, cmd *argv.Command) error {
	if err := admitPaths(j); err != nil {
		return err
	}
	f, ok := j.Root.File(path.Join(j.Dir, cmd.Source()))
	if !ok {
		return broker.Refusef(ReasonRejected, "the source %s is not among the inputs", cmd.Source())
	}
	return h.opens(&f, cmd)
}

// opens is the function of that name, for as many texts at a time as there are
// slots: a text of 2 GiB that was made for it takes minutes.
func (h *Helper) opens(f *broker.File, cmd *argv.Command) error {
	if err := h.looks.Acquire(h.ctx, 1); err != nil {
		return errClosed
	}
	defer h.looks.Release(1)
	return opens(f, cmd)
}

// opens refuses preprocessed text that makes a compiler open files.
func opens(f *broker.File, cmd *argv.Command) error {
	r, err := f.Blob.Open()
	if err != nil {
		return fmt.Errorf("read %s: %w", cmd.Source(), err)
	}
	defer r.Close()
	// Texts have megabytes: they are looked at in pieces, each with the unfinished
	// line of the one before it, or with the end of that when it is long.
	buf := make([]byte, 1<<16+maxSpelling)
	for kept, start := 0, true; ; {
		n, err := io.ReadFull(r, buf[kept:])
		piece := buf[:kept+n]
		if at := opensAt(piece, start, cmd.Family() == argv.Clang); at >= 0 {
			line, _, _ := bytes.Cut(piece[at:], []byte("\n"))
			return broker.Refusef(ReasonRejected, "the text makes the compiler open a file: %.80q", bytes.TrimSpace(line))
		}
		if err != nil {
			return nil // the end; a blob that can't be read fails where it is placed
		}
		end := bytes.LastIndexByte(piece, '\n') + 1
		start = end > 0
		if len(piece)-end > maxSpelling {
			end, start = len(piece)-maxSpelling, false
		}
		kept = copy(buf, piece[end:])
	}
}

// opensAt finds in a piece of text what makes a compiler open a file; -1 when
// there is nothing. start says that the piece begins with a line.
func opensAt(piece []byte, start, clang bool) int {
	for _, word := range []string{"pch_preprocess", ".incbin"} {
		if at := bytes.Index(piece, []byte(word)); at >= 0 {
			return at
		}
	}
	if at := bytes.Index(piece, []byte(".include")); at >= 0 {
		if found := includes.FindIndex(piece[at:]); found != nil {
			return at + found[0]
		}
	}
	// The expression is slow, and few texts have such names at all.
	if bytes.Contains(piece, []byte(`\u`)) || bytes.Contains(piece, []byte(`\U`)) || bytes.Contains(piece, []byte(`\N`)) {
		if found := loadsMemory.FindIndex(piece); found != nil {
			return found[0]
		}
	}
	if clang {
		return directiveAt(piece, start)
	}
	return -1
}

// directiveAt finds a line by which clang opens a file.
func directiveAt(piece []byte, start bool) int {
	const blank = " \t\f\v"
	at := 0
	for line := range bytes.Lines(piece) {
		text := bytes.TrimLeft(line, blank)
		whole := start || at > 0
		if at += len(line); !whole || len(text) == 0 || strings.IndexByte("#%?", text[0]) < 0 {
			continue
		}
		// Most are markers, "# 12 "file"", and the expression is slow.
		if name := bytes.TrimLeft(text[1:], blank); text[0] == '#' && (len(name) == 0 || strings.IndexByte("iep", name[0]) < 0) {
			continue
		}
		if clangOpens.Match(text) {
			return at - len(line)
		}
	}
	return -1
}

// admitPrivate refuses a tree that has files where the toolchain looks for its
// own.
func admitPrivate(j *broker.Job, p catalog.Private) error {
	for name, e := range j.Root.All() {
		if e.Dir != nil {
			continue
		}
		if why := p.Closed(name, e.Link != nil); why != "" {
			return broker.Refusef(ReasonTreeClosed, "%s of the tree is closed here: %s", name, why)
		}
	}
	return nil
}
