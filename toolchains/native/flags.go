package native

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// Flags are the flags that say on any machine what native says on this one,
// for people to put into a configuration: of what n holds, what -march does not
// bring along by itself. q is the question that n answers; programs are run.
func Flags(ctx context.Context, sys drivers.System, q Question, n Answer) ([]string, error) {
	p := &asker{drivers.NewAsker(sys)}
	given := slices.DeleteFunc(slices.Clone(q.Words), func(w string) bool { return hasNative([]string{w}) })
	switch {
	case q.Of.Family == argv.Clang:
		return p.clangFlags(ctx, q.Path, given, n.Words)
	case len(n.Specs) > 0:
		return p.gccFlags(ctx, q.Path, given, n.Specs)
	}
	return n.Words, nil
}

// gccFlags leaves out what gcc's table of target options says of -march alone.
func (p *asker) gccFlags(ctx context.Context, driver string, given, specs []string) ([]string, error) {
	base := slices.Clone(given)
	for _, w := range specs {
		if strings.HasPrefix(w, "-march=") {
			base = append(base, w)
		}
	}
	out, err := p.Must(ctx, driver, nil, append(base, "-Q", "--help=target")...)
	if err != nil {
		return nil, fmt.Errorf("flags for native: %w", err)
	}
	brought := map[string]bool{}
	for line := range strings.Lines(string(out.Stdout)) {
		option, value := drivers.OptionRow(line)
		switch value {
		case "":
		case "[enabled]":
			brought[option] = true
		case "[disabled]":
			brought["-mno-"+strings.TrimPrefix(option, "-m")] = true
		default:
			brought[option+value] = true
		}
	}
	var flags []string
	for i, w := range specs {
		switch {
		case w == "--param":
		case i > 0 && specs[i-1] == "--param":
			flags = append(flags, "--param="+w)
		case strings.HasPrefix(w, "-march=") || !brought[w]:
			flags = append(flags, w)
		}
	}
	return flags, nil
}

// clangFlags says features as -m words. Those that have none are given as clang's
// own list does it.
func (p *asker) clangFlags(ctx context.Context, driver string, given, words []string) ([]string, error) {
	flags := words
	if i := slices.Index(words, "-Xclang"); i >= 0 {
		flags = words[:i] // the features stand behind them
	}
	want, err := p.finalFeatures(ctx, driver, append(slices.Clone(given), words...))
	if err != nil {
		return nil, err
	}
	have, err := p.finalFeatures(ctx, driver, append(slices.Clone(given), flags...))
	if err != nil {
		return nil, err
	}
	short, long := slices.Clone(flags), slices.Clone(flags)
	for _, f := range slices.Sorted(maps.Keys(want)) {
		if have[f] {
			continue
		}
		long = append(long, "-Xclang", "-target-feature", "-Xclang", f)
		if name, on := strings.CutPrefix(f, "+"); on {
			short = append(short, "-m"+name)
		} else {
			short = append(short, "-mno-"+strings.TrimPrefix(f, "-"))
		}
	}
	if got, err := p.finalFeatures(ctx, driver, append(slices.Clone(given), short...)); err == nil && maps.Equal(got, want) {
		return short, nil
	}
	return long, nil
}

var targetFeatures = regexp.MustCompile(`"target-features"="([^"]*)"`)

// finalFeatures are those of a function: what clang makes of a CPU's name and of
// words.
func (p *asker) finalFeatures(ctx context.Context, driver string, words []string) (map[string]bool, error) {
	out, err := p.Must(ctx, driver, []byte("void f(void) {}\n"), append(words, "-w", "-S", "-emit-llvm", "-o", "-", "-x", "c", "-")...)
	if err != nil {
		return nil, fmt.Errorf("flags for native: %w", err)
	}
	all := map[string]bool{}
	if m := targetFeatures.FindSubmatch(out.Stdout); m != nil {
		for f := range strings.SplitSeq(string(m[1]), ",") {
			all[f] = true
		}
	}
	return all, nil
}
