package toolchains

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// Probe asks the driver at path, an absolute name in sys.Root, who it is.
// target is a value for clang's --target, "" for what the driver does unasked;
// gcc takes none. An error says that it is no compiler that we know, or that
// it could not be asked; nothing is guessed.
//
// Callers who ask more than once use a [Cache].
func Probe(ctx context.Context, sys drivers.System, path, target string) (Toolchain, error) {
	p := newProber(sys, nil)
	return p.probe(ctx, path, target)
}

// Programs lists what a sandbox must show so that the driver at path can be
// probed and can compile: driver, compilers proper, assembler. The names are
// as the driver spells them, but without `..`; links in them stay.
func Programs(ctx context.Context, sys drivers.System, path string) ([]string, error) {
	p := newProber(sys, nil)
	s, err := p.survey(ctx, path, "")
	return s.programs(), err
}

// A prober holds what one probe has learnt about files.
type prober struct {
	drivers.System
	digests *digests

	mu    sync.Mutex
	looks map[string]stamp // each name the answer depends on, as it was before it was used

	// fleeting: the answer depends on more than looks, and must not be kept.
	fleeting bool

	// derived are words that a gcc is asked with, and told before each job: see
	// Toolchain.Derived.
	derived []string
}

func newProber(sys drivers.System, d *digests) *prober {
	if d == nil {
		d = &digests{}
	}
	return &prober{System: sys, digests: d, looks: map[string]stamp{}}
}

// look notes how name stands now. It comes before any use of the file.
func (p *prober) look(name string) stamp {
	s := stampOf(p.Root, name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.looks[name]; !ok {
		p.looks[name] = s
	}
	return s
}

// executable looks whether name leads to a regular file that may be run.
func (p *prober) executable(name string) bool {
	s := p.look(name)
	return s.Mode&unix.S_IFMT == unix.S_IFREG && s.Mode&0o111 != 0
}

// find searches a bare name in the directories of PATH, as execvp does, and
// looks at each place before the one where it is.
func (p *prober) find(name string) string {
	if name == "" || strings.Contains(name, "/") {
		return name
	}
	for dir := range strings.SplitSeq(p.Env("PATH"), ":") {
		if file := path.Join(dir, name); path.IsAbs(dir) && p.executable(file) {
			return file
		}
	}
	return ""
}

// ask runs a program in the C locale. Words are compared and parsed.
func (p *prober) ask(ctx context.Context, file string, stdin []byte, words ...string) (drivers.Output, error) {
	out, err := p.Run(ctx, drivers.Program{Path: file, Args: words, Env: plainEnv(), Stdin: stdin})
	if err != nil {
		return out, fmt.Errorf("run %s %s: %w", file, strings.Join(words, " "), err)
	}
	return out, nil
}

// plainEnv is the environment of a question, over whatever else the program is
// given. COLUMNS moves the line breaks of gcc's option tables; clang's driver
// puts the directories of a build's include variables into its answer.
func plainEnv() []string {
	return []string{
		"LC_ALL=C", "LANGUAGE=", "COLUMNS=80",
		"CPATH=", "C_INCLUDE_PATH=", "CPLUS_INCLUDE_PATH=", "OBJC_INCLUDE_PATH=", "OBJCPLUS_INCLUDE_PATH=",
	}
}

// must is ask for a question whose answer can't be missed.
func (p *prober) must(ctx context.Context, file string, stdin []byte, words ...string) (drivers.Output, error) {
	out, err := p.ask(ctx, file, stdin, words...)
	if err == nil && out.Status != 0 {
		err = fmt.Errorf("%s %s: status %d: %s", file, strings.Join(words, " "), out.Status, firstLine(out.Stderr))
	}
	return out, err
}

// firstLine is a program's first line, cut to what fits into a message.
func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line[:min(len(line), 200)])
}

// A survey is what one `-###` run tells: who the driver is, and which files it
// would use. Names of files are absolute and "" where there is none.
type survey struct {
	drivers.Report
	Path     string            // the driver asked
	Real     string            // the program behind Path where that is a script or a link that runs another; else ""
	CXX      bool              // Path is the C++ driver
	Sibling  string            // the driver of the other language beside it; askSibling proves that it is of this toolchain
	Behind   string            // the program behind Sibling, as Real is behind Path
	Compiler map[string]string // role → file, of the compilers proper that are there
	As       string            // the assembler
	Objcopy  string            // gcc: what its driver runs for -gsplit-dwarf
}

// survey asks for all languages in one run. The words after --target decide for
// a clang; a gcc refuses that word, but says who it is.
func (p *prober) survey(ctx context.Context, driver, target string) (survey, error) {
	s := survey{Path: driver, Compiler: map[string]string{}}
	p.look(driver)
	out, err := p.ask(ctx, driver, nil, p.told(surveyWords(target)...)...)
	if err != nil {
		return s, err
	}
	s.Report = drivers.ReadReport(string(out.Stderr))
	switch {
	case s.Family == argv.Unknown:
		return s, fmt.Errorf("%s is neither gcc nor clang: it answers -### with %q", driver, firstLine(out.Stderr))
	case s.Family == argv.GCC && target != "":
		return s, fmt.Errorf("%s is gcc %s for %s and takes no --target=%s", driver, s.Version, s.Target, target)
	}
	if len(s.Commands) == 0 {
		return s, fmt.Errorf("%s would run nothing for a source in C: %s", driver, firstLine(out.Stderr))
	}
	p.locate(&s)
	if s.Family == argv.GCC {
		err = p.askObjcopy(ctx, &s)
	}
	return s, err
}

func surveyWords(target string) []string {
	words := []string{"-###", "-c", "-x", "c", "-", "-x", "c++", "-", "-x", "objective-c", "-", "-x", "objective-c++", "-"}
	if target != "" {
		words = slices.Insert(words, 0, "--target="+target)
	}
	return words
}

// told are words behind those that derive a target.
func (p *prober) told(words ...string) []string { return slices.Concat(p.derived, words) }

// locate finds the files that the report names.
func (p *prober) locate(s *survey) {
	s.Real = p.behind(s.Path, s.Report)
	for _, c := range gccCompilers {
		// gcc answers with a bare name when the compiler is not installed.
		if words, ok := s.Program(c.Role); ok && path.IsAbs(words[0]) && p.executable(words[0]) {
			s.Compiler[c.Role] = p.Root.Plain(words[0])
		}
	}
	if as := p.find(s.Assembler()); as != "" && p.executable(as) {
		s.As = p.Root.Plain(as)
	}
	d, ok := argv.ParseDriver(path.Base(s.Path))
	if s.CXX = d.CXX; !ok {
		return
	}
	d.CXX = !d.CXX
	if sibling := path.Join(path.Dir(s.Path), d.Name()); sibling != s.Path && p.executable(sibling) {
		s.Sibling = sibling
	}
}

// behind is the program that a driver's answer names as itself, when it is
// another file than the driver's: then that is a script, or ccache's link.
func (p *prober) behind(driver string, r drivers.Report) string {
	self := p.find(r.Self)
	if r.Family == argv.Clang {
		self = r.Commands[0][0]
	}
	if !path.IsAbs(self) || !p.executable(self) || p.look(self) == p.look(driver) {
		return ""
	}
	return p.Root.Plain(self)
}

// programs lists the files of a survey once each, sorted, without `..`.
func (s survey) programs() []string {
	all := []string{s.Path, s.Real, s.Sibling, s.Behind, s.As, s.Objcopy}
	for _, file := range s.Compiler {
		all = append(all, file)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(f string) bool { return f == "" })
}

// probe is Probe; p.looks holds afterwards what the answer rests on.
func (p *prober) probe(ctx context.Context, driver, target string) (t Toolchain, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("probe compiler: %w", err)
		}
	}()
	if !path.IsAbs(driver) {
		return t, fmt.Errorf("%q is no absolute path", driver)
	}
	s, err := p.survey(ctx, driver, target)
	if err != nil {
		return t, err
	}
	t.Family, t.Version, t.Package, t.Target = s.Family, s.Version, s.Package, triple.Canonical(s.Target)
	ask := p.askGCC
	if s.Family == argv.Clang {
		ask = p.askClang
	}
	proven := s
	err = parallel(
		func() error { return p.askSibling(ctx, &proven, target) },
		func() error { return p.askAssembler(ctx, s, &t) },
		func() error { return ask(ctx, s, &t) },
	)
	if err != nil {
		return t, err
	}
	if target != "" && !t.CanTarget(target) {
		return t, fmt.Errorf("%s is clang %s built without %s", driver, t.Version, target)
	}
	s = proven
	if t.Path, t.CXXPath = s.Path, s.Sibling; s.CXX {
		t.Path, t.CXXPath = s.Sibling, s.Path
	}
	t.Programs = s.programs()
	if t.Fingerprint, err = p.fingerprint(ctx, s, t); err != nil {
		return t, err
	}
	t.Languages = languages(t.Family, t.Fingerprint)
	return t, nil
}

// askSibling drops the other driver unless it is of the same toolchain: gcc may
// lead to version 12 where g++ leads to 11, or cc to clang and c++ to gcc. One
// that can't be run is dropped as well.
func (p *prober) askSibling(ctx context.Context, s *survey, target string) error {
	if s.Sibling == "" {
		return nil
	}
	out, err := p.ask(ctx, s.Sibling, nil, p.told(surveyWords(target)...)...)
	other := drivers.ReadReport(string(out.Stderr))
	if err != nil || !sameCompilers(s.Report, other) {
		s.Sibling = ""
		return context.Cause(ctx)
	}
	s.Behind = p.behind(s.Sibling, other)
	return nil
}

// sameCompilers reports whether two drivers would run the same compilers, with the
// same words, for the same target.
func sameCompilers(r, o drivers.Report) bool {
	if r.Family != o.Family || r.Version != o.Version || r.Package != o.Package || r.Target != o.Target || r.Assembler() != o.Assembler() {
		return false
	}
	return slices.EqualFunc(r.Commands, o.Commands, func(a, b []string) bool {
		return a[0] == b[0] && slices.Equal(drivers.DefaultWords(a), drivers.DefaultWords(b))
	})
}

// askAssembler reads the assembler's name and version from its first line.
func (p *prober) askAssembler(ctx context.Context, s survey, t *Toolchain) error {
	if s.As == "" {
		return nil
	}
	out, err := p.must(ctx, s.As, nil, "--version")
	t.Assembler = firstLine(out.Stdout)
	return err
}

// askObjcopy finds what gcc's driver runs behind the assembler for -gsplit-dwarf. One
// that is a script could do anything, and counts as none: other compiles don't need it.
func (p *prober) askObjcopy(ctx context.Context, s *survey) error {
	out, err := p.ask(ctx, s.Path, nil, "-print-prog-name=objcopy")
	if err != nil {
		return err
	}
	file := p.find(strings.TrimSuffix(string(out.Stdout), "\n"))
	if out.Status == 0 && path.IsAbs(file) && p.executable(file) && !p.script(file) {
		s.Objcopy = p.Root.Plain(file)
	}
	return nil
}

// script reports whether a file begins as a script does.
func (p *prober) script(file string) bool {
	f, err := p.Root.Open(file)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	var head [2]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && string(head[:]) == "#!"
}

// parallel runs all and waits for all.
func parallel(fns ...func() error) error {
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() { errs[i] = fn() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
