package pinned

import (
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// This file finds the compiler of an image that a command means.

// programOf reads the name of a compiler, or of a program beside one: of that the driver
// is the compiler that it belongs to, as far as the name says it.
func programOf(base string) (argv.Driver, *task.Tool, bool) {
	if d, ok := argv.ParseDriver(base); ok {
		return d, nil, true
	}
	t, ok := task.ParseTool(base)
	d := argv.Driver{Prefix: t.Prefix, Family: t.Kin, Suffix: t.Suffix}
	return d, &t, ok
}

// saidTarget is what a command compiles for as its words say it: by the compiler's name,
// or by clang's option; "" where they don't.
func saidTarget(d argv.Driver, words []string) string {
	target := d.Prefix
	for i, w := range words {
		if t, ok := strings.CutPrefix(w, "--target="); ok && d.Family != argv.GCC {
			target = t
		}
		if w == "-target" && d.Family != argv.GCC && i+1 < len(words) {
			target = words[i+1]
		}
	}
	return target
}

// machines are the targets of bare names, by Go's name of the processor.
var machines = map[string]string{
	"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "riscv64": "riscv64-linux-gnu", "386": "i686-linux-gnu",
	"arm": "arm-linux-gnueabihf", "ppc64le": "powerpc64le-linux-gnu", "s390x": "s390x-linux-gnu", "loong64": "loongarch64-linux-gnu",
}

// choose finds the compiler of the image that the command means: by family, target and
// version, or by its bare name.
func (p *Command) choose() error {
	var has []string
	for _, h := range p.helpers {
		for _, tc := range h.Toolchains {
			if p.means(tc) {
				p.tc = tc
				return nil
			}
			has = append(has, path.Base(tc.Driver())+" ("+tc.Identity.String()+")")
		}
	}
	slices.Sort(has)
	return &reason.Failure{
		Text: fmt.Sprintf("the image %s has no %s; it has %s", p.pin, path.Base(p.s.Request.Args[0]), strings.Join(slices.Compact(has), ", ")),
		Hint: "call one that is there, or pin another image for this target", Status: reason.ExitNoCompiler,
	}
}

// means reports whether the build's name for its compiler is one of a toolchain's.
func (p *Command) means(tc toolchains.Toolchain) bool {
	d := p.driver
	if len(tc.Derived) > 0 {
		return false // nothing of that name is there, and the command has none of the words
	}
	if d.Family != argv.Unknown && d.Family != tc.Family || d.CXX && tc.CXXPath == "" && tc.Family != argv.Clang {
		return false
	}
	if d.Suffix != "" && tc.Version != d.Suffix && !strings.HasPrefix(tc.Version, d.Suffix+".") {
		return false
	}
	if d.Prefix != "" {
		return triple.Same(d.Prefix, tc.Target) || tc.Family == argv.Clang && tc.CanTarget(d.Prefix)
	}
	if p.said != "" {
		return tc.CanTarget(p.said) // clang is told
	}
	if !forThisMachine(tc.Target) {
		return false
	}
	// A bare name is the program of that name: another target's has its own in front.
	for _, name := range []string{tc.Path, tc.CXXPath} {
		if of, ok := argv.ParseDriver(path.Base(name)); ok && (of.Prefix == "" || triple.Same(of.Prefix, machines[runtime.GOARCH])) {
			return true
		}
	}
	return tc.Family == argv.Clang
}

// speaks refuses sources in a language that the image has no compiler for: its driver
// would fail as one does whose compiler is gone, which is the helper's fault as a rule.
func (p *Command) speaks() error {
	sources := p.task.Sources
	if p.task.Command != nil {
		sources = []*argv.Command{p.task.Command}
	}
	for _, cmd := range sources {
		if l := cmd.Language(); !p.tc.Compiles(l) {
			return &reason.Failure{
				Text: fmt.Sprintf("the image %s has no compiler for %s beside its %s", p.pin, l.Base(), path.Base(p.tc.Driver())),
				Hint: "pin another image for this target", Status: reason.ExitNoCompiler,
			}
		}
	}
	return nil
}

// forThisMachine reports whether objects for a target are this machine's, whatever the
// library.
func forThisMachine(target string) bool {
	t, err := triple.Parse(triple.Canonical(target))
	own, errOwn := triple.Parse(machines[runtime.GOARCH])
	if err != nil || errOwn != nil {
		return true // nothing is known
	}
	of, known := t.Machine(nil)
	here, knownHere := own.Machine(nil)
	of.Target, here.Target = "", "" // for messages
	return of == here || !known || !knownHere
}
