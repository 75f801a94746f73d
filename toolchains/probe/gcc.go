package probe

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// helpWords ask gcc for its option tables as they stand by default. The classes
// are asked for one by one: a list with commas means what is in all of them.
var helpWords = [...]string{"-Q", "--help=target", "--help=optimizers", "--help=common", "-S", "-o", "-"}

// askGCC fills in what only gcc is asked for, and looks at the places where a
// file that appears would change it.
func (p *prober) askGCC(ctx context.Context, s survey, t *toolchains.Toolchain) error {
	return parallel(
		func() error {
			out, err := p.Must(ctx, s.Path, nil, p.told(helpWords[:]...)...)
			own := without(s.Report, p.derived)
			t.Defaults = digestText(gccDefaults(own, string(out.Stdout)))
			t.Unasked = unasked(own, string(out.Stdout))
			return err
		},
		func() error {
			out, err := p.Must(ctx, s.Path, nil, p.told("-print-search-dirs")...)
			p.lookAround(string(out.Stdout))
			return err
		},
	)
}

// gccDefaults is the text whose digest is Identity.Defaults. It must not depend
// on where gcc is installed, on which of its drivers was asked, or on its host.
func gccDefaults(r drivers.Report, help string) string {
	var b strings.Builder
	b.WriteString("crosscc gcc defaults v1\n") // bump when the meaning changes
	for _, role := range []string{"cc1", "cc1plus"} {
		if words, ok := r.Program(role); ok {
			fmt.Fprintf(&b, "%s %q\n", role, drivers.DefaultWords(words))
		}
	}
	for line := range strings.Lines(help) {
		if option, value := drivers.OptionRow(line); value != "" {
			fmt.Fprintf(&b, "option %s %s\n", option, value)
		}
	}
	return b.String()
}

// lookAround looks at the names of `-print-search-dirs` where gcc would find a
// specs file, or another assembler or compiler than the one it finds now.
func (p *prober) lookAround(dirs string) {
	seen := map[string]bool{}
	for line := range strings.Lines(dirs) {
		key, list, _ := strings.Cut(strings.TrimSpace(line), ": ")
		for dir := range strings.SplitSeq(strings.TrimPrefix(list, "="), ":") {
			dir = strings.TrimSuffix(p.Root.Plain(dir), "/")
			if !path.IsAbs(dir) || seen[key+dir] {
				continue
			}
			seen[key+dir] = true
			p.Look(dir + "/specs")
			if key != "programs" {
				continue
			}
			p.Look(dir + "/as")
			p.Look(dir + "/objcopy")
			for _, role := range toolchains.CompilerRoles() {
				p.Look(dir + "/" + role)
			}
		}
	}
}

// unasked is what is behind gccDefaults.
func unasked(r drivers.Report, help string) toolchains.Unasked {
	var c, cxx, rows []string
	if words, ok := r.Program("cc1"); ok {
		c = drivers.DefaultWords(words)
	}
	if words, ok := r.Program("cc1plus"); ok {
		cxx = drivers.DefaultWords(words)
	}
	for line := range strings.Lines(help) {
		if option, value := drivers.OptionRow(line); value != "" {
			rows = append(rows, option+" "+value)
		}
	}
	return toolchains.NewUnasked(c, cxx, rows)
}

// without is a report less the words by which a target is derived, on the lines
// of the compilers proper, and the name of the directory that they lead to.
func without(r drivers.Report, derived []string) drivers.Report {
	if len(derived) == 0 {
		return r
	}
	commands := r.Commands
	r.Commands = make([][]string, len(commands))
	for i, c := range commands {
		c = slices.DeleteFunc(slices.Clone(c), func(w string) bool { return slices.Contains(derived, w) })
		if at := slices.Index(c, "-imultilib"); at >= 0 && at+1 < len(c) {
			c = slices.Delete(c, at, at+2)
		}
		r.Commands[i] = c
	}
	return r
}

func digestText(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
