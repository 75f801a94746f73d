package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// referenceTarget is the target for which clang's defaults are compared. The
// driver knows it in every build; no compiler for it is needed.
const referenceTarget = "x86_64-unknown-linux-gnu"

// maxConfig bounds one of clang's configuration files: lines of options.
const maxConfig = 64 << 10

// askClang fills in what only clang is asked for. Neither Defaults nor Libm
// depend on the target: clang is one compiler with all its targets.
func (p *prober) askClang(ctx context.Context, s survey, t *toolchains.Toolchain) error {
	return parallel(
		func() error {
			out, err := p.Must(ctx, s.Path, nil, surveyWords(referenceTarget)...)
			if err != nil {
				return err
			}
			configs, err := p.configs(s)
			t.Defaults = digestText(clangDefaults(drivers.ReadReport(string(out.Stderr))) + configs)
			return err
		},
		func() error {
			out, err := p.Must(ctx, s.Path, nil, "--print-targets")
			t.Targets = clangTargets(string(out.Stdout))
			return err
		},
		func() error {
			out, err := p.Must(ctx, s.Path, []byte(foldSource()), "-x", "c", "-O2", "-S", "-emit-llvm", "-w", "-o", "-", "-")
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
	for _, name := range drivers.ConfigNames(s.Path, s.Commands[0][0], s.Target) {
		p.Look(name)
	}
	if len(s.Configs) == 0 {
		return "", nil
	}
	var b strings.Builder
	for _, file := range s.Configs {
		p.Look(file)
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
