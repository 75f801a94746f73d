// Package probe asks a compiler who it is. Nothing is guessed from its name.
//
// [Toolchain] is the question. probe.go, gcc.go and clang.go ask and read, folds.go
// asks a clang for its host's arithmetic; fingerprint.go and libraries.go digest the
// files that the answer is about.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// Toolchain asks the driver at path, an absolute name in sys.Root, who it is.
// target is a value for clang's --target, "" for what the driver does unasked;
// gcc takes none. An error says that it is no compiler that we know, or that
// it could not be asked; nothing is guessed.
func Toolchain(ctx context.Context, sys drivers.System, path, target string) (toolchains.Toolchain, error) {
	return recall(ctx, sys, []string{"probe", path, target}, func(p *prober) (toolchains.Toolchain, error) {
		return p.probe(ctx, path, target)
	})
}

// Derived is Toolchain of a gcc as one for another target, that of d.
func Derived(ctx context.Context, sys drivers.System, path string, d triple.Derivation) (toolchains.Toolchain, error) {
	return recall(ctx, sys, append([]string{"derived", path, d.Target}, d.Words...), func(p *prober) (toolchains.Toolchain, error) {
		p.derived = d.Words
		t, err := p.probe(ctx, path, "")
		if err != nil {
			return t, err
		}
		if !slices.ContainsFunc(triple.Derivations(t.Target), func(e triple.Derivation) bool { return e.Target == d.Target }) {
			return t, fmt.Errorf("probe compiler: nothing makes a %s of %s", t, d.Target)
		}
		t.Target, t.Derived = d.Target, d.Words
		return t, nil
	})
}

func recall(ctx context.Context, sys drivers.System, question []string, ask func(*prober) (toolchains.Toolchain, error)) (toolchains.Toolchain, error) {
	t, err := drivers.Recall(ctx, sys, question, func(a *drivers.Asker) (toolchains.Toolchain, error) {
		return ask(&prober{Asker: a})
	})
	t = t.Clone()
	// Numbers of languages may have changed since it was kept: what is there has not.
	t.Languages = t.Fingerprint.Languages(t.Family)
	return t, err
}

// Programs lists what a sandbox must show so that the driver at path can be
// probed and can compile: driver, compilers proper, assembler. The names are
// as the driver spells them, but without `..`; links in them stay.
func Programs(ctx context.Context, sys drivers.System, path string) ([]string, error) {
	p := &prober{Asker: drivers.NewAsker(sys)}
	s, err := p.survey(ctx, path, "")
	return s.programs(), err
}

// A prober asks all that makes a toolchain.
type prober struct {
	*drivers.Asker

	// derived are words that a gcc is asked with, and told before each job: see
	// Toolchain.Derived.
	derived []string
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
	p.Look(driver)
	out, err := p.Ask(ctx, driver, nil, p.told(surveyWords(target)...)...)
	if err != nil {
		return s, err
	}
	s.Report = drivers.ReadReport(string(out.Stderr))
	switch {
	case s.Family == argv.Unknown:
		return s, fmt.Errorf("%s is neither gcc nor clang: it answers -### with %q", driver, drivers.FirstLine(out.Stderr))
	case s.Family == argv.GCC && target != "":
		return s, fmt.Errorf("%s is gcc %s for %s and takes no --target=%s", driver, s.Version, s.Target, target)
	}
	if len(s.Commands) == 0 {
		return s, fmt.Errorf("%s would run nothing for a source in C: %s", driver, drivers.FirstLine(out.Stderr))
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
	for _, role := range toolchains.CompilerRoles() {
		// gcc answers with a bare name when the compiler is not installed.
		if words, ok := s.Program(role); ok && path.IsAbs(words[0]) && p.Executable(words[0]) {
			s.Compiler[role] = p.Root.Plain(words[0])
		}
	}
	if as := p.Find(s.Assembler()); as != "" && p.Executable(as) {
		s.As = p.Root.Plain(as)
	}
	d, ok := argv.ParseDriver(path.Base(s.Path))
	if s.CXX = d.CXX; !ok {
		return
	}
	d.CXX = !d.CXX
	if sibling := path.Join(path.Dir(s.Path), d.Name()); sibling != s.Path && p.Executable(sibling) {
		s.Sibling = sibling
	}
}

// behind is the program that a driver's answer names as itself, when it is
// another file than the driver's: then that is a script, or ccache's link.
func (p *prober) behind(driver string, r drivers.Report) string {
	self := p.Find(r.Self)
	if r.Family == argv.Clang {
		self = r.Commands[0][0]
	}
	if !path.IsAbs(self) || !p.Executable(self) || p.Same(self, driver) {
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

// probe is what Toolchain asks.
func (p *prober) probe(ctx context.Context, driver, target string) (t toolchains.Toolchain, err error) {
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
	t.Languages = t.Fingerprint.Languages(t.Family)
	return t, nil
}

// askSibling drops the other driver unless it is of the same toolchain: gcc may
// lead to version 12 where g++ leads to 11, or cc to clang and c++ to gcc. One
// that can't be run is dropped as well.
func (p *prober) askSibling(ctx context.Context, s *survey, target string) error {
	if s.Sibling == "" {
		return nil
	}
	out, err := p.Ask(ctx, s.Sibling, nil, p.told(surveyWords(target)...)...)
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
func (p *prober) askAssembler(ctx context.Context, s survey, t *toolchains.Toolchain) error {
	if s.As == "" {
		return nil
	}
	out, err := p.Must(ctx, s.As, nil, "--version")
	t.Assembler = drivers.FirstLine(out.Stdout)
	return err
}

// askObjcopy finds what gcc's driver runs behind the assembler for -gsplit-dwarf. One
// that is a script could do anything, and counts as none: other compiles don't need it.
func (p *prober) askObjcopy(ctx context.Context, s *survey) error {
	out, err := p.Ask(ctx, s.Path, nil, "-print-prog-name=objcopy")
	if err != nil {
		return err
	}
	file := p.Find(strings.TrimSuffix(string(out.Stdout), "\n"))
	if out.Status == 0 && path.IsAbs(file) && p.Executable(file) && !p.script(file) {
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
