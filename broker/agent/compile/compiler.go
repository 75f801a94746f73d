package compile

import (
	"io"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/native"
	"github.com/crosscc/crosscc/toolchains/probe"
)

// Compilers is what an agent knows of the compilers of its machine: each is asked once,
// and again when it changed. Its methods may be called at any time, by many at once.
type Compilers struct {
	Probes   *drivers.Cache // what they are, kept on disk
	Counters *monitor.Counters

	cpus     native.CPUs
	scripts  Memo[string]           // of each compiler: the program that is a script, or ""
	places   Memo[[]string]         // of each compiler: where its programs are
	defaults Memo[headers.Defaults] // of each compiler and set of words
}

// Parse finds the compiler and reads the command line.
func (c *Compile) Parse() error {
	called := c.Session.Request.Args[0]
	d, ok := argv.ParseDriver(path.Base(called))
	if !ok {
		if c.Session.Request.Program == "" {
			return notFound(called)
		}
		return &reason.Local{Reason: reason.NotCompiler, Text: called + " is not the name of a compiler"} // and may never end
	}
	c.Driver = d
	if err := c.find(called); err != nil {
		return err
	}
	return c.read(d.Family)
}

// find settles which program the build would run.
func (c *Compile) find(called string) error {
	c.Argv0 = called
	if program := c.Session.Request.Program; program != "" {
		c.Program = c.Session.Abs(program)
		return nil
	}
	program, ok := "", false
	if c.byName(called) {
		program, ok = drivers.FindEquivalent(c.Session.Files, c.Session.Getenv("PATH"), c.Driver)
	}
	if !ok {
		return notFound(called)
	}
	c.Program = program
	// A driver takes its mode and the place of its parts from argv[0]: the name
	// that was called, in the directory where the program is.
	c.Argv0 = path.Join(path.Dir(program), path.Base(called))
	return nil
}

// byName reports whether the build asked for a compiler by its name: a bare one,
// or that of a link to crosscc. Another path means that file and no other.
func (c *Compile) byName(called string) bool {
	if !strings.Contains(called, "/") {
		return true
	}
	st, err := c.Session.Files.Stat(c.Session.Abs(called))
	// The wrapper found no compiler there: a program is a link to crosscc, anything else
	// is what the build can't run either.
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o111 != 0
}

func notFound(name string) error {
	return &reason.Failure{
		Text:   name + ": not found on PATH, nor another spelling of its target",
		Hint:   "install the compiler, or give its path",
		Status: reason.ExitNoCompiler,
	}
}

// read parses the words as the family's driver would.
func (c *Compile) read(f argv.Family) error { return c.readWords(c.Session.Request.Args[1:], f) }

func (c *Compile) readWords(words []string, f argv.Family) error {
	env := argv.Env{
		Driver: c.Driver, Family: f, Getenv: c.Session.Getenv, Native: true, // see Compilers.Resolve
		ReadFile: func(name string) ([]byte, error) {
			return c.Session.Files.ReadFile(c.Session.Abs(name), session.MaxWords)
		},
	}
	c.Cmd = argv.Parse(words, env)
	if c.Split = c.Cmd.Split(env); c.Split != nil {
		c.Cmd = c.Split.Compiles[0]
	}
	if v := c.Cmd.Verdict(); !v.Remote {
		return &reason.Local{Reason: broker.Reason(v.Reason), Text: v.Detail, Slot: v.Slot()}
	}
	return c.oddVariables()
}

// oddVariables finds variables that say something to gcc when they are empty: the working
// directory, a root, a file without a name; and those by which its programs depend on the
// working directory.
func (c *Compile) oddVariables() error {
	for dir := range strings.SplitSeq(c.Session.Getenv("COMPILER_PATH"), ":") {
		if c.Session.Getenv("COMPILER_PATH") != "" && !path.IsAbs(dir) {
			return reason.Stay(broker.Reason(option.Environment), "COMPILER_PATH has a relative name")
		}
	}
	for dir := range strings.SplitSeq(c.Session.Getenv("PATH"), ":") { // by which gcc finds its assembler
		if path.IsAbs(dir) {
			continue
		}
		for _, name := range []string{"as", "objcopy"} {
			if st, err := c.Session.Files.Stat(c.Session.Abs(path.Join(dir, name))); err == nil && st.Mode&0o111 != 0 {
				return reason.Stay(broker.Reason(option.Environment), "PATH has a relative name, with %s in it", name)
			}
		}
	}
	if prefix := c.Session.Getenv("GCC_EXEC_PREFIX"); prefix != "" && !path.IsAbs(prefix) {
		return reason.Stay(broker.Reason(option.Environment), "GCC_EXEC_PREFIX is a relative name")
	}
	for _, name := range []string{"GCC_EXEC_PREFIX", "COMPILER_PATH", "GCC_ROOT", "GCC_COMPARE_DEBUG", "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES"} {
		if c.Session.IsSet(name) && c.Session.Getenv(name) == "" {
			return reason.Stay(broker.Reason(option.Environment), "%s is set to nothing", name)
		}
	}
	return nil
}

// Identify asks the compiler what it is, once for each compiler.
func (k *Compilers) Identify(c *Compile) error {
	sys := k.system(c)
	tc, err := probe.Toolchain(c.Session.Context(), sys, c.Program, c.TargetWord())
	if err != nil {
		return c.Failed(reason.Probe, "ask "+c.Program+" what it is", err)
	}
	if tc.Family != c.Driver.Family && tc.Family != argv.GCC {
		if err := c.read(tc.Family); err != nil { // cc may be clang
			return err
		}
	}
	c.Toolchain = tc
	return k.knowable(c)
}

// knowable keeps jobs at home whose compiler can't be known by asking it once,
// or whose source can't be read twice.
func (k *Compilers) knowable(c *Compile) error {
	name, err := k.scripts.Get(c.Session.Context(), c.Key(), c.Toolchain.Fingerprint, func() (string, error) { return c.script(), nil })
	if err != nil {
		return err
	}
	if name != "" {
		return reason.Stay(reason.Script, "%s is a script, which may do anything", name)
	}
	if name, err := k.inBuild(c); err != nil || name != "" {
		if err == nil {
			err = reason.Stay(reason.InBuild, "%s lies in the tree of this build", name)
		}
		return err
	}
	if name := c.otherLibrary(); name != "" {
		return reason.Stay(reason.Probe, "LD_LIBRARY_PATH gives the compiler %s", name)
	}
	return c.Regular()
}

// Regular keeps sources at home that can be read once.
func (c *Compile) Regular() error {
	st, err := c.Session.Files.Stat(c.Session.Abs(c.Cmd.Source()))
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return reason.Stay(reason.Source, "source %s is not a regular file, and can be read once", c.Cmd.Source())
	}
	return nil
}

// Key names the compiler for a memo, with all that its answers depend on besides
// its own files: where it is, and the variables by which it finds its parts.
func (c *Compile) Key(words ...string) string {
	root, err := c.Session.Files.ID()
	if err != nil {
		root = "?" + err.Error()
	}
	return strings.Join(append([]string{root, c.Program, c.Session.Getenv("GCC_EXEC_PREFIX"), c.Session.Getenv("COMPILER_PATH"), c.Session.Getenv("PATH")}, words...), "\x00")
}

// script names a program of the toolchain that is a script: what it does
// depends on more than its text.
func (c *Compile) script() string {
	for _, name := range append([]string{c.Program}, c.Toolchain.Programs...) {
		f, err := c.Session.Files.Open(name)
		if err != nil {
			continue // not there: the probe knows
		}
		var head [2]byte
		n, _ := io.ReadFull(f, head[:])
		f.Close()
		if n == 2 && string(head[:]) == "#!" {
			return name
		}
	}
	return ""
}

func (c *Compile) IsCXX() bool {
	l := c.Cmd.Language()
	return l == argv.CXX || l == argv.ObjCXX
}

// TargetWord is what the command says of the target, for a compiler that has
// several: the option, or the prefix of its name.
func (c *Compile) TargetWord() string {
	if t := c.Cmd.Target(); t != "" {
		return t
	}
	if c.Driver.Family == argv.Clang {
		return c.Driver.Prefix
	}
	return ""
}

// system is where the client's compilers live, and how they are asked.
func (k *Compilers) system(c *Compile) drivers.System {
	return drivers.System{Root: c.Session.Files, Run: c.Session.Ask, Getenv: c.Session.Getenv, Dir: c.Session.Request.Dir, Cache: k.Probes}
}

// Extra are words that make explicit what the compiler would find out for
// itself at home: of clang, what depends on what is installed (X3).
func (k *Compilers) Extra(c *Compile) ([]string, error) {
	if c.Toolchain.Family != argv.Clang {
		return nil, nil
	}
	if c.explicit != nil {
		return *c.explicit, nil
	}
	var extra []string
	// Bitcode says the triple as it was spelled; the same driver spells it alike by itself.
	if c.Cmd.Target() == "" && !c.Cmd.LTO() {
		extra = append(extra, "--target="+c.Toolchain.Target)
	}
	// The driver warns of words for the compiler proper where it only assembles;
	// what native means has the rest among its words.
	if c.Cmd.Language().Assembles() || len(c.Native.Words) > 0 {
		return extra, nil
	}
	words := c.Cmd.FeatureWords()
	if t := c.TargetWord(); t != "" && c.Cmd.Target() == "" {
		words = append([]string{"--target=" + t}, words...)
	}
	found, err := native.ClangWords(c.Session.Context(), k.system(c), c.Toolchain.Fingerprint, c.Program, words)
	if err != nil {
		return nil, c.Failed(reason.Probe, "ask "+c.Program+" what it finds out", err)
	}
	extra = append(extra, found...)
	c.explicit = &extra
	return extra, nil
}

// Major is the first number of the compiler's version.
func (c *Compile) Major() int {
	first, _, _ := strings.Cut(c.Toolchain.Version, ".")
	n, _ := strconv.Atoi(first) // none: 0
	return n
}
