package agent

import (
	"bytes"
	"errors"
	"path"
	"unicode/utf8"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/diagnostics"
	"github.com/crosscc/crosscc/broker/agent/preprocessed"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/toolchains"
)

// asText has a job done from preprocessed text, for want of a tree.
func (a *Agent) asText(c *compile.Compile, extra []string, why *reason.Treeless) (answer, error) {
	prospects, err := a.textual(c, why)
	if err != nil {
		return answer{}, err
	}
	src, err := a.preprocess(c)
	if err != nil {
		return answer{}, err
	}
	prospects, err = serving(c, prospects, func(word string) bool { return bytes.Contains(src.text, []byte(word)) })
	if err != nil {
		return answer{}, err
	}
	j, err := textJob(c, src, extra)
	if err != nil {
		return answer{}, err
	}
	got, err := a.send(c, prospects, j)
	if err != nil {
		return answer{}, refused(c, err)
	}
	return got, diagnostics.OfText(c, src.main, src.text, got.Result)
}

// textual keeps jobs at home that need more than preprocessed text.
func (a *Agent) textual(c *compile.Compile, why *reason.Treeless) ([]fleet.Prospect, error) {
	only, word := c.Cmd.OnlyTree()
	switch {
	case why.Local:
		return nil, reason.Stay(why.Reason, "%s", why.Text)
	case only != "":
		return nil, reason.Stay(broker.Reason(only), "no tree (%s), and %s is not exact from preprocessed text", why.Text, word)
	case c.Cmd.FailsOnLost():
		return nil, reason.Stay(reason.Werror, "no tree (%s), and of preprocessed text a warning may be lost that would make it fail", why.Text)
	case c.Cmd.Language().IsPreprocessed():
		return nil, reason.Stay(reason.Text, "no tree (%s), and the source is preprocessed already, so that the object names its file", why.Text)
	}
	prospects, err := a.find(c, broker.Preprocessed)
	if l, ok := errors.AsType[*reason.Local](err); ok && l.Reason == fleet.ReasonDebugInfo {
		l.Text = "no tree (" + why.Text + "): " + l.Text
	}
	return prospects, err
}

// source is the text of a job with what the diagnostics need of it.
type source struct {
	text []byte
	main []byte // the source file itself; nil when it can't be read
}

// preprocess has the client's compiler make the text. The dependency file, if
// one is wanted, is written by it as well, in its place.
func (a *Agent) preprocess(c *compile.Compile) (source, error) {
	depFile := ""
	if d, ok := c.Cmd.Deps(); ok {
		depFile = d.File
	}
	text, err := a.cpp(c, c.Cmd.Preprocess(depFile))
	if err != nil {
		return source{}, err
	}
	src := source{text: text}
	// Without it a diagnostic would lack the lines it quotes: not provable.
	if data, err := c.Session.Files.ReadFile(c.Session.Abs(c.Cmd.Source()), session.MaxWords); err == nil {
		src.main = data
	}
	if c.Toolchain.Family == argv.GCC && c.Cmd.ReadsComments() && preprocessed.MayFallThrough(src.main) {
		commented, err := a.cpp(c, append([]string{"-C"}, c.Cmd.Preprocess("")...))
		if err != nil {
			return source{}, err
		}
		src.text = preprocessed.WithComments(text, commented)
	}
	if bytes.Contains(src.text, []byte("\n#pragma GCC pch_preprocess ")) {
		return source{}, reason.Stay(headers.Precompiled, "gcc takes a precompiled header: an image of its memory, which a helper does not take from a client")
	}
	if why := preprocessed.Unsendable(src.text, c.Toolchain.Family, c.IsCXX()); why != "" {
		return source{}, reason.Stay(reason.Text, "%s", why)
	}
	return src, nil
}

// cpp runs the client's compiler as a preprocessor. One that fails or prints
// leaves the job to the local compiler, which says the same in one piece.
func (a *Agent) cpp(c *compile.Compile, words []string) ([]byte, error) {
	release, err := a.cpps.Acquire(c.Session.Context())
	if err != nil {
		return nil, err
	}
	out, err := c.Session.RunAs(c.Session.Context(), c.Argv0, toolchains.Program{Path: c.Program, Args: words}, session.MaxText)
	release()
	if err != nil {
		return nil, c.Failed(reason.Preprocess, "preprocess", err)
	}
	if out.Status != 0 || len(out.Stderr) > 0 {
		return nil, reason.Stay(reason.Preprocess, "the preprocessor has something to say")
	}
	return out.Stdout, nil
}

// job is the command and its text as something that a helper can run.
func textJob(c *compile.Compile, src source, extra []string) (*broker.Job, error) {
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
	j.Root.Put(path.Join(j.Dir, in), broker.File{Blob: broker.BytesBlob(src.text)})
	if name := sourceIn(c, j.Dir); src.main != nil && name != "" {
		j.Root.Put(name, broker.File{Blob: broker.BytesBlob(src.main)})
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
