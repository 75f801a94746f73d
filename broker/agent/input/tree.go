// Package input makes jobs of compiles, with all that they read: as a tree (Maker.Tree),
// or from text that the client's compiler has preprocessed (Maker.Preprocess, then
// Text.Job).
package input

import (
	"errors"
	"io"
	"path"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/crosscc/crosscc/argv/option"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/helper"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// A Maker makes the jobs of one agent, many at once.
type Maker struct {
	Compilers *compile.Compilers
	Scanner   *headers.Scanner
	Cpps      *slots.Slots // for preprocessor runs on the client
}

// Tree is the command and all that it reads as something that a helper can
// run. The error of a job that can't be one is a *reason.Treeless.
func (m *Maker) Tree(c *compile.Compile, extra []string) (*broker.Job, *headers.Tree, error) {
	dir := c.Session.Request.Dir
	switch {
	case c.Settings.Preprocessed:
		return nil, nil, &reason.Treeless{Reason: reason.Asked, Text: "the configuration asks for preprocessed text"}
	case path.Clean(dir) != dir || !path.IsAbs(dir) || !utf8.ValidString(dir):
		return nil, nil, &reason.Treeless{Reason: reason.Name, Text: "the working directory's name can't be said to a helper"}
	case c.Cmd.Untellable() != "":
		return nil, nil, &reason.Treeless{Reason: reason.Untellable, Text: c.Cmd.Untellable()}
	case mixedPath(c):
		return nil, nil, &reason.Treeless{Reason: headers.Option, Text: "CPATH goes behind a directory that the preprocessor is handed"}
	}
	src, tree, err := m.Scan(c)
	if err == nil {
		err = sendable(tree)
	}
	if err != nil {
		return nil, nil, err
	}
	if c.Cmd.SplitsSteadily() && (tree.Has("optimize") || tree.Has("pragma GCC optimize")) {
		return nil, nil, &reason.Treeless{Reason: broker.Reason(option.ExtraOutput), Text: "-gsplit-dwarf, and the source asks for optimisation", Local: true}
	}
	env := []string{"LC_ALL=" + c.Settings.Locale}
	if Dated(tree) {
		epoch, ok := c.Epoch()
		if !ok {
			return nil, nil, &reason.Treeless{Reason: reason.Date, Text: "a file uses __DATE__ or __TIME__"}
		}
		env = append(env, "SOURCE_DATE_EPOCH="+epoch)
	}
	j := &broker.Job{
		Name: path.Base(c.Session.Request.Args[0]), Identity: c.Toolchain.Identity, Fingerprint: c.Toolchain.Fingerprint,
		Args: src.Expand(c.Cmd.Whole(c.Object(), compile.DepsName, slices.Concat(src.Words(tree), c.Cmd.NameWords(dir), extra)...)), Dir: dir,
		Env: env, Root: tree.Root,
		Form: broker.Tree, Debug: c.Cmd.Debug(), Native: c.Native.Specs,
	}
	for _, o := range c.Outputs() {
		j.Outputs = append(j.Outputs, o.Job)
	}
	slices.Sort(j.Outputs)
	return j, tree, nil
}

// mixedPath: gcc puts CPATH behind every -I, those behind -Wp, too; in the job
// it would stand before these.
//
// And it hands every -I to the assembler, but no CPATH.
func mixedPath(c *compile.Compile) bool {
	return c.Session.Getenv("CPATH") != "" && (c.Cmd.HandsOn() || c.Cmd.Language().Assembles())
}

// Dated reports whether a text says when it was compiled.
func Dated(t *headers.Tree) bool { return t.Has("__DATE__") || t.Has("__TIME__") }

// sendable keeps trees at home that a helper could not show.
func sendable(t *headers.Tree) error {
	if t.NotUTF8 {
		return &reason.Treeless{Reason: wire.NotUTF8, Text: "a header's name is not UTF-8"}
	}
	if name, why := t.Root.Closed(); why != "" {
		return &reason.Treeless{Reason: helper.ReasonTreeClosed, Text: name + ": " + why}
	}
	return nil
}

// Scan finds what the compile reads. Directories of the compiler's own that
// appeared or went are asked for once more.
func (m *Maker) Scan(c *compile.Compile) (headers.Source, *headers.Tree, error) {
	also, ok := c.Cmd.Reads(c.Session.Request.Dir)
	if !ok {
		return headers.Source{}, nil, &reason.Treeless{Reason: headers.Option, Text: "where the compiler looks for a profile is not known"}
	}
	key := c.Key(headers.AskWords(c.Cmd)...)
	var told []string
	var asked time.Time
	var why *headers.Unsound // for which the compiler was asked
	parsed := false
	for again := false; ; again = true {
		d, err := m.Compilers.Directories(c, key)
		if err != nil {
			return headers.Source{}, nil, c.Failed(reason.Probe, "ask "+c.Program+" for its include directories", err)
		}
		src := headers.Source{
			Cmd: c.Cmd, Dir: c.Session.Request.Dir, Defaults: d, Getenv: c.Session.Getenv, Also: also, Beside: c.WrittenIn(),
			Open: func(name string) (io.ReadCloser, error) { return c.Session.Files.Open(name) },
			Told: told, Asked: asked,
		}
		tree, err := m.Scanner.Scan(c.Session.Context(), c.Session.Files.FD(), src)
		if err == nil {
			if tree.Told && !parsed && !toldEnough(c, tree) {
				asked, parsed = time.Now(), true
				if told, err = m.reads(c, why, parsed); err != nil {
					return src, nil, err
				}
				continue
			}
			return src, tree, nil
		}
		u, ok := errors.AsType[*headers.Unsound](err)
		if !ok {
			return src, nil, c.Failed(headers.Unreadable, "find the headers", err)
		}
		if u.Askable && told == nil {
			asked, why = time.Now(), u
			if told, err = m.reads(c, why, false); err != nil {
				return src, nil, err
			}
			continue
		}
		if u.Reason != headers.Stale || again {
			return src, nil, &reason.Treeless{Reason: u.Reason, Text: u.Text, Local: u.Local}
		}
		m.Compilers.Stale(key)
	}
}
