package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// A compile is one command on its way to a job.
type compile struct {
	s         *session
	cpps      *slots // of the agent's, for local preprocessing
	settings  settings
	driver    argv.Driver
	program   string // the compiler's absolute path
	argv0     string
	cmd       *argv.Command
	toolchain toolchains.Toolchain
	prospects []fleet.Prospect
}

// prepare finds out what the command is and who could do it, without work for
// its source. The error of a command that stays at home is a *localJob.
func (a *Agent) prepare(s *session) (*compile, error) {
	c := &compile{s: s, cpps: &a.cpps}
	if err := c.parse(); err != nil {
		return c, err
	}
	var err error
	if c.settings, err = a.settings(s); err != nil {
		return c, &localJob{reason: reasonSettings, text: err.Error(), slot: true, helpers: true}
	}
	if err := a.identify(c); err != nil {
		return c, err
	}
	c.prospects = a.fleet.Prospects(s.Context(), c.settings.hosts, c.want())
	if r := fleet.None(c.prospects); r != nil {
		return c, &localJob{reason: r.Reason, text: r.Text, slot: true, helpers: true}
	}
	return c, nil
}

func (c *compile) want() fleet.Want {
	return fleet.Want{
		Identity: c.toolchain.Identity, Fingerprint: c.toolchain.Fingerprint,
		Language: c.cmd.Language(), Lines: c.cmd.Debug(),
	}
}

// failed is a step that went wrong without a word on the code: the local
// compiler says what it says, unless the wrapper is gone.
func (c *compile) failed(reason broker.Reason, step string, err error) error {
	if c.s.gone() != nil {
		return c.s.gone()
	}
	return stay(reason, "%s: %v", step, err)
}

// checkTarget keeps jobs at home whose output name is taken by something that
// the wrapper should not rename a file over.
func (c *compile) checkTarget() error {
	name := c.cmd.Output()
	st, err := c.s.root.Lstat(c.s.abs(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return stay(reasonTarget, "output %s: %v", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return stay(reasonTarget, "output %s is not a regular file", name)
	}
	src, err := c.s.root.Stat(c.s.abs(c.cmd.Source()))
	if err == nil && src.Dev == st.Dev && src.Ino == st.Ino {
		return stay(reasonTarget, "output %s is the source", name)
	}
	return nil
}

// source is the text of a job with what the diagnostics need of it.
type source struct {
	text []byte
	main []byte // the source file itself; nil when it can't be read
}

// preprocess has the client's compiler make the text. The dependency file, if
// one is wanted, is written by it as well, in its place.
func (c *compile) preprocess() (source, error) {
	depFile := ""
	if d, ok := c.cmd.Deps(); ok {
		depFile = d.File
	}
	text, err := c.cpp(c.cmd.Preprocess(depFile))
	if err != nil {
		return source{}, err
	}
	src := source{text: text}
	// Without it a diagnostic would lack the lines it quotes: not provable.
	if data, err := c.s.root.ReadFile(c.s.abs(c.cmd.Source()), maxWords); err == nil {
		src.main = data
	}
	if c.toolchain.Family == argv.GCC && c.cmd.ReadsComments() && mayFallThrough(src.main) {
		commented, err := c.cpp(append([]string{"-C"}, c.cmd.Preprocess("")...))
		if err != nil {
			return source{}, err
		}
		src.text = withComments(text, commented)
	}
	if why := unsendable(src.text, c.toolchain.Family, c.isCXX()); why != "" {
		return source{}, stay(reasonText, "%s", why)
	}
	return src, nil
}

// cpp runs the client's compiler as a preprocessor. One that fails or prints
// leaves the job to the local compiler, which says the same in one piece.
func (c *compile) cpp(words []string) ([]byte, error) {
	release, err := c.cpps.acquire(c.s.Context())
	if err != nil {
		return nil, err
	}
	out, err := c.s.runAs(c.s.Context(), c.argv0, toolchains.Program{Path: c.program, Args: words}, maxText)
	release()
	if err != nil {
		return nil, c.failed(reasonPreprocess, "preprocess", err)
	}
	if out.Status != 0 || len(out.Stderr) > 0 {
		return nil, stay(reasonPreprocess, "the preprocessor has something to say")
	}
	return out.Stdout, nil
}

// job is the command and its text as something that a helper can run.
func (c *compile) job(src source, extra []string) (*broker.Job, error) {
	lang := c.cmd.Language().Preprocessed()
	in := ".crosscc-source" + lang.Suffix()
	out := "out" + path.Ext(c.cmd.Output())
	j := &broker.Job{
		Name: path.Base(c.s.Request.Args[0]), Identity: c.toolchain.Identity, Fingerprint: c.toolchain.Fingerprint,
		Args: c.cmd.Compile(in, out, extra...), Dir: c.s.Request.Dir, Env: []string{"LC_ALL=" + c.settings.locale},
		Outputs: []string{out}, Form: broker.Preprocessed, Debug: c.cmd.Debug(),
	}
	if broker.Hidden(j.Dir) || path.Clean(j.Dir) != j.Dir || !utf8.ValidString(j.Dir) {
		if j.Dir = "/work"; j.Debug && c.toolchain.Family == argv.Clang {
			return nil, stay(fleet.ReasonDebugInfo, "clang would name another working directory than %s", c.s.Request.Dir)
		}
		// gcc takes the directory from the text, and code names none.
	}
	j.Root = new(broker.Dir)
	j.Root.Put(path.Join(j.Dir, in), broker.File{Blob: broker.BytesBlob(src.text)})
	if name := c.sourceIn(j.Dir); src.main != nil && name != "" {
		j.Root.Put(name, broker.File{Blob: broker.BytesBlob(src.main)})
	}
	if err := j.Validate(); err != nil {
		return nil, stay(reasonName, "%v", err)
	}
	return j, nil
}

// sourceIn is where the compiler will look for the source to quote it, or
// empty when it can't be put there.
func (c *compile) sourceIn(dir string) string {
	name := c.cmd.Source()
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	if name = path.Clean(name); broker.Hidden(name) {
		return ""
	}
	return name
}

// remote does the job at a helper. Its error is a *localJob or the end of the
// session.
func (a *Agent) remote(c *compile) (broker.Result, toolchains.Match, error) {
	extra, err := a.extra(c)
	if err != nil {
		return broker.Result{}, toolchains.None, err
	}
	src, err := c.preprocess()
	if err != nil {
		return broker.Result{}, toolchains.None, err
	}
	j, err := c.job(src, extra)
	if err != nil {
		return broker.Result{}, toolchains.None, err
	}
	res, match, err := a.fleet.Run(c.s.Context(), c.prospects, j, c.checkOutputs)
	if c.s.gone() != nil {
		return broker.Result{}, toolchains.None, c.s.gone()
	}
	if r, ok := errors.AsType[*broker.Refusal](err); ok {
		return broker.Result{}, toolchains.None, &localJob{reason: r.Reason, text: r.Text, slot: true, helpers: true}
	} else if err != nil {
		return broker.Result{}, toolchains.None, c.failed(fleet.ReasonLost, "run the job", err)
	}
	return res, match, c.believe(src, res)
}

// checkOutputs refuses what can't be the job's object, whoever made it.
func (c *compile) checkOutputs(res broker.Result) error {
	if res.ExitCode != 0 {
		return nil
	}
	if len(res.Outputs) != 1 {
		return broker.Refusef(reasonBadOutput, "returned %d outputs instead of 1", len(res.Outputs))
	}
	if err := c.checkObject(res.Outputs[0]); err != nil {
		return broker.Refusef(reasonBadOutput, "returned a wrong object: %v", err)
	}
	return nil
}

// believe keeps results at bay whose words may not be the local compiler's.
func (c *compile) believe(src source, res broker.Result) error {
	if len(res.Stdout) > 0 {
		return stay(reasonDiagnostics, "the compiler prints to standard output")
	}
	if (len(res.Stderr) > 0 || res.ExitCode != 0) && !c.believable(src, res) {
		return stay(reasonDiagnostics, "the compiler has something to say that depends on more than preprocessed text")
	}
	return nil
}

// believable reports whether what the compiler printed is what it would have
// printed at home.
func (c *compile) believable(src source, res broker.Result) bool {
	return c.toolchain.Family == argv.GCC && c.settings.exactLocale && !c.s.Request.Terminal && src.main != nil &&
		provable(c.cmd.Source(), src.main, src.text, res.Stderr, c.settings.locale == localeUTF8)
}

// checkObject looks at the beginning of an object: is it of the target's
// machine at all?
func (c *compile) checkObject(o broker.Output) error {
	if c.cmd.Assembly() {
		return nil // text; the assembler at home will read it
	}
	t, err := triple.Parse(c.toolchain.Target)
	if err != nil {
		return err
	}
	m, ok := t.Machine(c.cmd.TargetWords())
	if !ok {
		return fmt.Errorf("objects for %s are of no known kind", c.toolchain.Target)
	}
	r, err := o.Blob.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	head := make([]byte, triple.HeadSize)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return fmt.Errorf("read object: %w", err)
	}
	return m.Check(head[:n])
}
