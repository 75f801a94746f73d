package native

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// ClangWords gives words that make explicit what the driver of the clang at path
// finds out for words (a job's target and code words) by looking around (X3): the
// final list of the target's features, in order, and what -ffast-math makes of
// denormal numbers. They depend on the gcc installations beside clang (outline
// atomics, crtfastmath.o), which a sandbox does not have. of is the fingerprint of the
// toolchain that the clang at path is of: what it says depends on libraries that
// are its own and may change alone.
func ClangWords(ctx context.Context, sys drivers.System, of toolchains.Fingerprint, path string, words []string) ([]string, error) {
	question := append([]string{"clang words", fmt.Sprint(of), path, sys.Under(words)}, words...)
	found, err := drivers.Recall(ctx, sys, question, func(a *drivers.Asker) ([]string, error) {
		return (&asker{a}).clangWords(ctx, path, words)
	})
	return slices.Clone(found), err
}

func (p *asker) clangWords(ctx context.Context, driver string, words []string) ([]string, error) {
	asked := append(slices.Clone(words), "-v", "-###", "-c", "-x", "c", "-")
	out, r, err := p.Clang(ctx, driver, asked...)
	if err != nil {
		return nil, fmt.Errorf("what clang finds out: run %s %s: %w", driver, strings.Join(asked, " "), err)
	}
	if out.Status != 0 {
		return nil, fmt.Errorf("what clang finds out: %s %s: status %d: %s", driver, strings.Join(asked, " "), out.Status, drivers.FirstLine(out.Stderr))
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
