package input

import (
	"bytes"
	"path"
	"unicode/utf8"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/preprocessed"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// A Text is a preprocessed source, with what the diagnostics need of it.
type Text struct {
	Text   []byte
	Source []byte      // the file itself; nil when it can't be read
	Blob   broker.Blob // the text for a job
}

// Preprocess has the client's compiler make the text. The dependency file, if
// one is wanted, is written by it as well, in its place.
func (m *Maker) Preprocess(c *compile.Compile) (Text, error) {
	depFile := ""
	if d, ok := c.Cmd.Deps(); ok {
		depFile = d.File
	}
	text, err := m.cpp(c, c.Cmd.Preprocess(depFile))
	if err != nil {
		return Text{}, err
	}
	src := Text{Text: text}
	// Without it a diagnostic would lack the lines it quotes: not provable.
	if data, err := c.Session.Files.ReadFile(c.Session.Abs(c.Cmd.Source()), session.MaxWords); err == nil {
		src.Source = data
	}
	if c.Toolchain.Family == argv.GCC && c.Cmd.ReadsComments() && preprocessed.MayFallThrough(src.Source) {
		commented, err := m.cpp(c, append([]string{"-C"}, c.Cmd.Preprocess("")...))
		if err != nil {
			return Text{}, err
		}
		src.Text = preprocessed.WithComments(text, commented)
	}
	if bytes.Contains(src.Text, []byte("\n#pragma GCC pch_preprocess ")) {
		return Text{}, reason.Stay(headers.Precompiled, "gcc takes a precompiled header: an image of its memory, which a helper does not take from a client")
	}
	if why := preprocessed.Unsendable(src.Text, c.Toolchain.Family, c.IsCXX()); why != "" {
		return Text{}, reason.Stay(reason.Text, "%s", why)
	}
	src.Blob = broker.BytesBlob(src.Text)
	return src, nil
}

// cpp runs the client's compiler as a preprocessor. One that fails or prints
// leaves the job to the local compiler, which says the same in one piece.
func (m *Maker) cpp(c *compile.Compile, words []string) ([]byte, error) {
	release, err := m.Cpps.Acquire(c.Session.Context())
	if err != nil {
		return nil, err
	}
	out, err := c.Session.RunAs(c.Session.Context(), c.Argv0, drivers.Program{Path: c.Program, Args: words}, session.MaxText)
	release()
	if err != nil {
		return nil, c.Failed(reason.Preprocess, "preprocess", err)
	}
	if out.Status != 0 || len(out.Stderr) > 0 {
		return nil, reason.Stay(reason.Preprocess, "the preprocessor has something to say")
	}
	return out.Stdout, nil
}

// Job is the command and its text as something that a helper can run.
func (src Text) Job(c *compile.Compile, extra []string) (*broker.Job, error) {
	lang := c.Cmd.Language().Preprocessed()
	in := ".crosscc-source" + lang.Suffix()
	out := c.Object()
	j := &broker.Job{
		Name: path.Base(c.Session.Request.Args[0]), Identity: c.Toolchain.Identity, Fingerprint: c.Toolchain.Fingerprint,
		Args: c.Cmd.Compile(in, out, extra...), Dir: c.Session.Request.Dir, Env: []string{"LC_ALL=" + c.Settings.Locale},
		Outputs: []string{out}, Form: broker.Preprocessed, Debug: c.Cmd.Debug(), Native: c.Native.Specs,
	}
	if broker.Hidden(j.Dir) || path.Clean(j.Dir) != j.Dir || !utf8.ValidString(j.Dir) {
		if j.Dir = "/work"; j.Debug && c.Toolchain.Family == argv.Clang {
			return nil, reason.Stay(fleet.ReasonDebugInfo, "clang would name another working directory than %s", c.Session.Request.Dir)
		}
		// gcc takes the directory from the text, and code names none.
	}
	j.Root = new(broker.Dir)
	j.Root.Put(path.Join(j.Dir, in), broker.File{Blob: src.Blob})
	if name := sourceIn(c, j.Dir); src.Source != nil && name != "" {
		j.Root.Put(name, broker.File{Blob: broker.BytesBlob(src.Source)})
	}
	if err := j.Validate(); err != nil {
		return nil, reason.Stay(reason.Name, "%v", err)
	}
	return j, nil
}

// sourceIn is where the compiler will look for the source to quote it, or
// empty when it can't be put there.
func sourceIn(c *compile.Compile, dir string) string {
	name := c.Cmd.Source()
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	if name = path.Clean(name); broker.Hidden(name) {
		return ""
	}
	return name
}
