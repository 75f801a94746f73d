package toolchains

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/crosscc/crosscc/toolchains/drivers"
)

// referenceTarget is the target for which clang's defaults are compared. The
// driver knows it in every build; no compiler for it is needed.
const referenceTarget = "x86_64-unknown-linux-gnu"

// maxConfig bounds one of clang's configuration files: lines of options.
const maxConfig = 64 << 10

// askClang fills in what only clang is asked for. Neither Defaults nor Libm
// depend on the target: clang is one compiler with all its targets.
func (p *prober) askClang(ctx context.Context, s survey, t *Toolchain) error {
	return parallel(
		func() error {
			out, err := p.must(ctx, s.Path, nil, surveyWords(referenceTarget)...)
			if err != nil {
				return err
			}
			configs, err := p.configs(s)
			t.Defaults = digestText(clangDefaults(drivers.ReadReport(string(out.Stderr))) + configs)
			return err
		},
		func() error {
			out, err := p.must(ctx, s.Path, nil, "--print-targets")
			t.Targets = clangTargets(string(out.Stdout))
			return err
		},
		func() error {
			out, err := p.must(ctx, s.Path, []byte(foldSource()), "-x", "c", "-O2", "-S", "-emit-llvm", "-w", "-o", "-", "-")
			t.Libm = digestText(foldResults(string(out.Stdout)))
			return err
		},
	)
}

// clangDefaults is the text whose digest begins Identity.Defaults: the words of
// the cc1 lines for C and C++.
func clangDefaults(r drivers.Report) string {
	var b strings.Builder
	b.WriteString("crosscc clang defaults v1\n") // bump when the meaning changes
	for _, c := range r.Commands {
		i := slices.Index(c, "-x")
		if i >= 0 && i+1 < len(c) && (c[i+1] == "c" || c[i+1] == "c++") {
			fmt.Fprintf(&b, "%s %q\n", c[i+1], drivers.DefaultWords(c))
		}
	}
	return b.String()
}

// configs tells of the configuration files that clang reads for the very target
// that is asked about. They change what it does unasked for that target alone,
// and a helper does not have them: where there are any, the defaults differ
// from those of a clang without.
func (p *prober) configs(s survey) (string, error) {
	for _, name := range configNames(s.Path, s.Commands[0][0], s.Target) {
		p.look(name)
	}
	if len(s.Configs) == 0 {
		return "", nil
	}
	var b strings.Builder
	for _, file := range s.Configs {
		p.look(file)
		text, err := p.Root.ReadFile(file, maxConfig)
		if err != nil {
			return "", fmt.Errorf("configuration of clang: %w", err)
		}
		fmt.Fprintf(&b, "config %q\n", text)
	}
	return b.String() + clangDefaults(s.Report), nil
}

// clangTargets reads the names from --print-targets.
func clangTargets(out string) []string {
	var names []string
	for line := range strings.Lines(out) {
		if name, _, ok := strings.Cut(line, " - "); ok && strings.HasPrefix(line, "  ") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	slices.Sort(names)
	return names
}

// ClangWords gives words that make explicit what the driver of the clang at path
// finds out for words (a job's target and code words) by looking around (X3): the
// final list of the target's features, in order, and what -ffast-math makes of
// denormal numbers. They depend on the gcc installations beside clang (outline
// atomics, crtfastmath.o), which a sandbox does not have.
//
// Callers who ask more than once use [Cache.ClangWords].
func ClangWords(ctx context.Context, sys drivers.System, path string, words []string) ([]string, error) {
	return newProber(sys, nil).clangWords(ctx, path, words)
}

func (p *prober) clangWords(ctx context.Context, driver string, words []string) ([]string, error) {
	asked := append(slices.Clone(words), "-v", "-###", "-c", "-x", "c", "-")
	out, r, err := p.askDriver(ctx, drivers.Program{Path: driver, Args: asked, Env: plainEnv()})
	if err != nil {
		return nil, fmt.Errorf("what clang finds out: run %s %s: %w", driver, strings.Join(asked, " "), err)
	}
	if out.Status != 0 {
		return nil, fmt.Errorf("what clang finds out: %s %s: status %d: %s", driver, strings.Join(asked, " "), out.Status, firstLine(out.Stderr))
	}
	for _, c := range r.Commands {
		if len(c) > 1 && c[1] == "-cc1" {
			return foundOut(words, r, c), nil
		}
	}
	return nil, fmt.Errorf("what clang finds out: %s printed no -cc1 line for %q", driver, asked)
}

// denormals begin cc1's words for what becomes of denormal numbers.
const denormals = "-fdenormal-fp-math"

// foundOut are ClangWords of the -cc1 line that the driver makes of words. Where
// -ffast-math found no crtfastmath.o, that is said as well, in the words of a
// clang that knows pairs of them (10).
func foundOut(words []string, r drivers.Report, cc1 []string) []string {
	list := []string{}
	fast := slices.ContainsFunc(words, func(w string) bool {
		return w == "-ffast-math" || w == "-Ofast" || w == "-funsafe-math-optimizations"
	})
	for i := 1; i < len(cc1); i++ {
		switch {
		case cc1[i-1] == "-target-feature":
			list = append(list, "-Xclang", "-target-feature", "-Xclang", cc1[i])
		case strings.HasPrefix(cc1[i], denormals):
			list = append(list, "-Xclang", cc1[i])
			fast = fast && !strings.HasPrefix(cc1[i], denormals+"=")
		}
	}
	major, _, _ := strings.Cut(r.Version, ".")
	if n, err := strconv.Atoi(major); fast && err == nil && n >= 10 {
		list = append(list, "-Xclang", denormals+"=ieee,ieee")
	}
	return list
}
