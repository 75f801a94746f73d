package agent

import (
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/toolchains"
)

// parse finds the compiler and reads the command line.
func (c *compile) parse() error {
	called := c.s.Request.Args[0]
	d, ok := argv.ParseDriver(path.Base(called))
	if !ok {
		if c.s.Request.Program == "" {
			return notFound(called)
		}
		return &reason.Local{Reason: reason.NotCompiler, Text: called + " is not the name of a compiler"} // and may never end
	}
	c.driver = d
	if err := c.find(called); err != nil {
		return err
	}
	return c.read(d.Family)
}

// find settles which program the build would run.
func (c *compile) find(called string) error {
	c.argv0 = called
	if program := c.s.Request.Program; program != "" {
		c.program = c.s.Abs(program)
		return nil
	}
	program, ok := "", false
	if c.byName(called) {
		program, ok = toolchains.FindEquivalent(c.s.Files, c.s.Getenv("PATH"), c.driver)
	}
	if !ok {
		return notFound(called)
	}
	c.program = program
	// A driver takes its mode and the place of its parts from argv[0]: the name
	// that was called, in the directory where the program is.
	c.argv0 = path.Join(path.Dir(program), path.Base(called))
	return nil
}

// byName reports whether the build asked for a compiler by its name: a bare one,
// or that of a link to crosscc. Another path means that file and no other.
func (c *compile) byName(called string) bool {
	if !strings.Contains(called, "/") {
		return true
	}
	_, err := c.s.Files.Stat(c.s.Abs(called))
	return err == nil // the wrapper found no program there, so it is a link to crosscc
}

func notFound(name string) error {
	return &reason.Failure{
		Text:   name + ": not found on PATH, nor another spelling of its target",
		Hint:   "install the compiler, or give its path",
		Status: reason.ExitNoCompiler,
	}
}

// read parses the words as the family's driver would.
func (c *compile) read(f argv.Family) error { return c.readWords(c.s.Request.Args[1:], f) }

func (c *compile) readWords(words []string, f argv.Family) error {
	env := argv.Env{
		Driver: c.driver, Family: f, Getenv: c.s.Getenv, Native: true, // see Agent.resolve
		ReadFile: func(name string) ([]byte, error) { return c.s.Files.ReadFile(c.s.Abs(name), session.MaxWords) },
	}
	c.cmd = argv.Parse(words, env)
	if c.split = c.cmd.Split(env); c.split != nil {
		c.cmd = c.split.Compiles[0]
	}
	if v := c.cmd.Verdict(); !v.Remote {
		return &reason.Local{Reason: broker.Reason(v.Reason), Text: v.Detail, Slot: v.Slot()}
	}
	return c.oddVariables()
}

// oddVariables finds variables that say something to gcc when they are empty: the working
// directory, a root, a file without a name; and those by which its programs depend on the
// working directory.
func (c *compile) oddVariables() error {
	for dir := range strings.SplitSeq(c.s.Getenv("COMPILER_PATH"), ":") {
		if c.s.Getenv("COMPILER_PATH") != "" && !path.IsAbs(dir) {
			return reason.Stay(broker.Reason(option.Environment), "COMPILER_PATH has a relative name")
		}
	}
	for dir := range strings.SplitSeq(c.s.Getenv("PATH"), ":") { // by which gcc finds its assembler
		if path.IsAbs(dir) {
			continue
		}
		for _, name := range []string{"as", "objcopy"} {
			if st, err := c.s.Files.Stat(c.s.Abs(path.Join(dir, name))); err == nil && st.Mode&0o111 != 0 {
				return reason.Stay(broker.Reason(option.Environment), "PATH has a relative name, with %s in it", name)
			}
		}
	}
	if prefix := c.s.Getenv("GCC_EXEC_PREFIX"); prefix != "" && !path.IsAbs(prefix) {
		return reason.Stay(broker.Reason(option.Environment), "GCC_EXEC_PREFIX is a relative name")
	}
	for _, name := range []string{"GCC_EXEC_PREFIX", "COMPILER_PATH", "GCC_ROOT", "GCC_COMPARE_DEBUG", "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES"} {
		if c.s.IsSet(name) && c.s.Getenv(name) == "" {
			return reason.Stay(broker.Reason(option.Environment), "%s is set to nothing", name)
		}
	}
	return nil
}

// identify asks the compiler what it is, once for each compiler.
func (a *Agent) identify(c *compile) error {
	sys := c.system()
	tc, err := a.probes.Probe(c.s.Context(), sys, c.program, c.targetWord())
	if err != nil {
		return c.failed(reason.Probe, "ask "+c.program+" what it is", err)
	}
	if tc.Family != c.driver.Family && tc.Family != argv.GCC {
		if err := c.read(tc.Family); err != nil { // cc may be clang
			return err
		}
	}
	c.toolchain = tc
	return a.knowable(c)
}

// knowable keeps jobs at home whose compiler can't be known by asking it once,
// or whose source can't be read twice.
func (a *Agent) knowable(c *compile) error {
	name, err := a.scripts.get(c.s.Context(), c.key(), c.toolchain.Fingerprint, func() (string, error) { return c.script(), nil })
	if err != nil {
		return err
	}
	if name != "" {
		return reason.Stay(reason.Script, "%s is a script, which may do anything", name)
	}
	if name, err := a.inBuild(c); err != nil || name != "" {
		if err == nil {
			err = reason.Stay(reason.InBuild, "%s lies in the tree of this build", name)
		}
		return err
	}
	if name := c.otherLibrary(); name != "" {
		return reason.Stay(reason.Probe, "LD_LIBRARY_PATH gives the compiler %s", name)
	}
	return c.regular()
}

// regular keeps sources at home that can be read once.
func (c *compile) regular() error {
	st, err := c.s.Files.Stat(c.s.Abs(c.cmd.Source()))
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return reason.Stay(reason.Source, "source %s is not a regular file, and can be read once", c.cmd.Source())
	}
	return nil
}

// key names the compiler for a memo, with all that its answers depend on besides
// its own files: where it is, and the variables by which it finds its parts.
func (c *compile) key(words ...string) string {
	root, err := c.s.Files.ID()
	if err != nil {
		root = "?" + err.Error()
	}
	return strings.Join(append([]string{root, c.program, c.s.Getenv("GCC_EXEC_PREFIX"), c.s.Getenv("COMPILER_PATH"), c.s.Getenv("PATH")}, words...), "\x00")
}

// script names a program of the toolchain that is a script: what it does
// depends on more than its text.
func (c *compile) script() string {
	for _, name := range append([]string{c.program}, c.toolchain.Programs...) {
		f, err := c.s.Files.Open(name)
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

// otherLibrary names a library that LD_LIBRARY_PATH puts in the place of one
// that the compiler was found to have.
func (c *compile) otherLibrary() string {
	for dir := range strings.SplitSeq(c.s.Getenv("LD_LIBRARY_PATH"), ":") {
		if !path.IsAbs(dir) {
			continue
		}
		for _, lib := range c.libraries() {
			if _, err := c.s.Files.Stat(path.Join(dir, lib)); err == nil {
				return path.Join(dir, lib)
			}
		}
	}
	return ""
}

// libraries are those that move what a compiler computes: the fingerprinted
// ones and the C and C++ libraries' own.
func (c *compile) libraries() []string {
	list := []string{"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1"}
	for role := range c.toolchain.Fingerprint {
		if lib, ok := strings.CutPrefix(role, "lib:"); ok {
			list = append(list, lib)
		}
	}
	return list
}

func (c *compile) isCXX() bool {
	l := c.cmd.Language()
	return l == argv.CXX || l == argv.ObjCXX
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
	return toolchains.System{Root: c.s.Files, Run: c.s.Ask, Getenv: c.s.Getenv, Dir: c.s.Request.Dir}
}

// extra are words that make explicit what the compiler would find out for
// itself at home: of clang, what depends on what is installed (X3).
func (a *Agent) extra(c *compile) ([]string, error) {
	if c.toolchain.Family != argv.Clang {
		return nil, nil
	}
	if c.explicit != nil {
		return *c.explicit, nil
	}
	var extra []string
	// Bitcode says the triple as it was spelled; the same driver spells it alike by itself.
	if c.cmd.Target() == "" && !c.cmd.LTO() {
		extra = append(extra, "--target="+c.toolchain.Target)
	}
	// The driver warns of words for the compiler proper where it only assembles;
	// what native means has the rest among its words.
	if c.cmd.Language().Assembles() || len(c.native.Words) > 0 {
		return extra, nil
	}
	words := c.cmd.FeatureWords()
	if t := c.targetWord(); t != "" && c.cmd.Target() == "" {
		words = append([]string{"--target=" + t}, words...)
	}
	found, err := a.probes.ClangWords(c.s.Context(), c.system(), c.toolchain.Fingerprint, c.program, words)
	if err != nil {
		return nil, c.failed(reason.Probe, "ask "+c.program+" what it finds out", err)
	}
	extra = append(extra, found...)
	c.explicit = &extra
	return extra, nil
}
