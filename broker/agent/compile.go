package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/toolchains"
)

// A compile is one command on its way to a job.
type compile struct {
	s         *session
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
	c := &compile{s: s}
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

// parse finds the compiler and reads the command line.
func (c *compile) parse() error {
	called := c.s.Request.Args[0]
	d, ok := argv.ParseDriver(path.Base(called))
	if !ok {
		if c.s.Request.Program == "" {
			return notFound(called)
		}
		c.program, c.argv0 = c.s.abs(c.s.Request.Program), called
		return stay(reasonNotCompiler, "%s is not the name of a compiler", called)
	}
	c.driver = d
	if err := c.find(called); err != nil {
		return err
	}
	return c.read(d.Family)
}

// find settles which program the build would run.
func (c *compile) find(called string) error {
	program := c.s.Request.Program
	if program == "" && c.byName(called) {
		program, _ = toolchains.FindEquivalent(c.s.root, c.s.getenv("PATH"), c.driver)
	}
	if program == "" {
		return notFound(called)
	}
	c.program = c.s.abs(program)
	// A driver takes its target, its mode and its prefix from argv[0]: the
	// name that was called, in the directory where the program is.
	c.argv0 = path.Join(path.Dir(c.program), path.Base(called))
	return nil
}

// byName reports whether the build asked for a compiler by its name: a bare one,
// or that of a link to crosscc. Another path means that file and no other.
func (c *compile) byName(called string) bool {
	if !strings.Contains(called, "/") {
		return true
	}
	_, err := c.s.root.Stat(c.s.abs(called))
	return err == nil // the wrapper found no program there, so it is a link to crosscc
}

func notFound(name string) error {
	return &failure{
		text:   name + ": not found on PATH, nor another spelling of its target",
		hint:   "install the compiler, or give its path",
		status: exitNoCompiler,
	}
}

// read parses the words as the family's driver would.
func (c *compile) read(f argv.Family) error {
	c.cmd = argv.Parse(c.s.Request.Args[1:], argv.Env{
		Driver: c.driver, Family: f, Getenv: c.s.getenv,
		ReadFile: func(name string) ([]byte, error) { return c.s.root.ReadFile(c.s.abs(name), maxWords) },
	})
	if v := c.cmd.Verdict(); !v.Remote {
		return &localJob{reason: broker.Reason(v.Reason), text: v.Detail, slot: v.Slot()}
	}
	return nil
}

// identify asks the compiler what it is, once for each compiler.
func (a *Agent) identify(c *compile) error {
	sys := c.system()
	tc, err := a.probes.Probe(c.s.Context(), sys, c.program, c.targetWord())
	if err != nil {
		return c.failed(reasonProbe, "ask "+c.program+" what it is", err)
	}
	if tc.Family != c.driver.Family && tc.Family != argv.GCC {
		if err := c.read(tc.Family); err != nil { // cc may be clang
			return err
		}
	}
	c.toolchain = tc
	return nil
}

// targetWord is what the command says of the target, for a compiler that has
// several: the option, or the prefix of its name.
func (c *compile) targetWord() string {
	if t := c.cmd.Target(); t != "" {
		return t
	}
	if c.driver.Family == argv.Clang {
		return c.driver.Prefix
	}
	return ""
}

func (c *compile) system() toolchains.System {
	return toolchains.System{Root: c.s.root, Run: c.s.run, Getenv: c.s.getenv}
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
	if why := unsendable(src.text); why != "" {
		return source{}, stay(reasonText, "%s", why)
	}
	return src, nil
}

// cpp runs the client's compiler as a preprocessor. One that fails or prints
// leaves the job to the local compiler, which says the same in one piece.
func (c *compile) cpp(words []string) ([]byte, error) {
	out, err := c.s.runAs(c.s.Context(), c.argv0, toolchains.Program{Path: c.program, Args: words}, maxText)
	if err != nil {
		return nil, c.failed(reasonPreprocess, "preprocess", err)
	}
	if out.Status != 0 || len(out.Stderr) > 0 {
		return nil, stay(reasonPreprocess, "the preprocessor has something to say")
	}
	return out.Stdout, nil
}

// unsendable finds what preprocessed text can't say as the source does: files
// that the assembler reads while it assembles (X14), and builtins that give the
// column where they stand, which preprocessing moves.
func unsendable(text []byte) string {
	for _, word := range []string{".incbin", ".include"} {
		if bytes.Contains(text, []byte(word)) {
			return "the source tells the assembler to read a file (" + word + ")"
		}
	}
	for _, word := range []string{"__builtin_source_location", "__builtin_COLUMN"} {
		if bytes.Contains(text, []byte(word)) {
			return "the source asks for columns (" + word + "), which preprocessing moves"
		}
	}
	return ""
}

// hidden are where no file of a job may lie: the sandbox has something of its
// own there, or nothing on purpose.
var hidden = []string{"/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/opt", "/etc", "/proc", "/dev", "/sys", "/run", "/tmp", "/.crosscc"}

func isHidden(name string) bool {
	return slices.ContainsFunc(hidden, func(h string) bool { return name == h || strings.HasPrefix(name, h+"/") })
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
	if isHidden(j.Dir) || j.Dir == "/" || !utf8.ValidString(j.Dir) {
		j.Dir = "/work" // without debug info the directory is nowhere in the object
	}
	j.Files = []broker.File{{Path: path.Join(j.Dir, in), Blob: broker.BytesBlob(src.text)}}
	if name := c.sourceIn(j.Dir); src.main != nil && name != "" {
		j.Files = append(j.Files, broker.File{Path: name, Blob: broker.BytesBlob(src.main)})
	}
	slices.SortFunc(j.Files, func(a, b broker.File) int { return strings.Compare(a.Path, b.Path) })
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
	if name = path.Clean(name); isHidden(name) {
		return ""
	}
	return name
}

// extra are words that make explicit what the compiler would find out for
// itself at home: of clang, the features that depend on what is installed (X3).
func (a *Agent) extra(c *compile) ([]string, error) {
	if c.toolchain.Family != argv.Clang {
		return nil, nil
	}
	words := c.cmd.CodegenWords()
	if t := c.targetWord(); t != "" && c.cmd.Target() == "" {
		words = append([]string{"--target=" + t}, words...)
	}
	features, err := a.probes.ClangFeatures(c.s.Context(), c.system(), c.program, words)
	if err != nil {
		return nil, c.failed(reasonProbe, "ask "+c.program+" for its target features", err)
	}
	var extra []string
	if c.cmd.Target() == "" {
		extra = append(extra, "--target="+c.toolchain.Target)
	}
	for _, f := range features {
		extra = append(extra, "-Xclang", "-target-feature", "-Xclang", f)
	}
	return extra, nil
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
	t, err := toolchains.ParseTriple(c.toolchain.Target)
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
	head := make([]byte, toolchains.HeadSize)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return fmt.Errorf("read object: %w", err)
	}
	return m.Check(head[:n])
}
