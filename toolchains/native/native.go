// Package native asks compilers what they find out by looking around: what
// -march=native means on this machine's CPU ([Ask]), and what else clang's driver
// makes of its surroundings ([ClangWords]). The answers are words that mean the same
// on any machine.
package native

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// An Answer is what -march=native and its kin mean to one compiler on one CPU, for
// one set of words. One of Specs and Words is empty.
type Answer struct {
	// Specs are the words that gcc's spec cc1_cpu comes to (X23). Where they stand
	// among the others is the specs' to say, so a helper's driver gets them for
	// that spec, and the command as it is.
	Specs []string
	// Words stand for native explicitly, behind all other words. clang's have all
	// that ClangWords are, too (X24).
	Words []string
}

// A Question asks a compiler for its Answer.
type Question struct {
	Path  string               // the driver
	Of    toolchains.Toolchain // what it was found to be
	CPU   string               // of [CPUs.Identity]
	Words []string             // of argv.Command.NativeWords
}

// specsName is the standard input as a file that gcc reads specs from: nothing is
// written anywhere for a question.
const specsName = "/proc/self/fd/0"

// Ask asks what native means. sys.Cache remembers it for as long as the compiler
// and the CPU stay the same: one process for each set of words, and one more for
// each gcc. sys.Run must give programs their input as a file, not as a pipe.
//
// The error says why it can't be known: the compiler knows no native, for one.
func Ask(ctx context.Context, sys drivers.System, q Question) (Answer, error) {
	ask := (*asker).clang
	if q.Of.Family != argv.Clang {
		specs, err := specs(ctx, sys, q.Path, q.Of)
		if err != nil {
			return Answer{}, fmt.Errorf("what native means: %w", err)
		}
		spec, err := cpuSpecOf(specs)
		if err != nil {
			return Answer{}, fmt.Errorf("what native means: %w", err)
		}
		ask = func(p *asker, ctx context.Context, q Question) (Answer, error) {
			p.Look(q.Path)
			if spec == "" {
				return p.self(ctx, q)
			}
			return p.specs(ctx, q, spec)
		}
	}
	question := slices.Concat([]string{"native", q.CPU, sys.Under(q.Words), q.Of.Digest(), q.Path}, q.Words)
	n, err := drivers.Recall(ctx, sys, question, func(a *drivers.Asker) (Answer, error) {
		return ask(&asker{a}, ctx, q)
	})
	return Answer{slices.Clone(n.Specs), slices.Clone(n.Words)}, err
}

// Taken reports whether a gcc takes a text of another's for the spec that asks the
// CPU, and asks it nowhere else: Answer.Specs of a client's compiler is then all
// that it knows of native. of is what the gcc at path was found to be.
func Taken(ctx context.Context, sys drivers.System, path string, of toolchains.Toolchain) (bool, error) {
	if of.Family != argv.GCC {
		return false, nil
	}
	dump, err := specs(ctx, sys, path, of)
	if err != nil {
		return false, err
	}
	_, others := splitSpecs(dump)
	return strings.Contains(others, "%("+cpuSpec+")") && !strings.Contains(others, detection), nil
}

// specs are gcc's built-in specs.
func specs(ctx context.Context, sys drivers.System, path string, of toolchains.Toolchain) (string, error) {
	return drivers.Recall(ctx, sys, []string{"specs", of.Digest(), path}, func(a *drivers.Asker) (string, error) {
		a.Look(path)
		out, err := a.Must(ctx, path, nil, "-dumpspecs")
		return string(out.Stdout), err
	})
}

// An asker puts the questions of this package.
type asker struct{ *drivers.Asker }

const (
	cpuSpec   = "cc1_cpu"            // gcc's name of the spec that asks the CPU
	detection = "%:local_cpu_detect" // the function in it that does
)

// specNames are the lines of -dumpspecs that begin a spec.
var specNames = regexp.MustCompile(`(?m)^\*([A-Za-z0-9_+-]+):\n`)

// specWords are what a percent sign begins in a spec: conditions on -m words, the
// removal of one, and the question for the CPU. A spec that depends on more is
// refused: -m words are all that is asked with.
var specWords = regexp.MustCompile(`(%\{|;)(!?m[A-Za-z0-9=_.+*-]*([|&]!?m[A-Za-z0-9=_.+*-]*)*[:}]|:)|%[<>]m|%:local_cpu_detect\(`)

// splitSpecs takes the output of -dumpspecs apart.
func splitSpecs(dump string) (spec, others string) {
	starts := specNames.FindAllStringSubmatchIndex(dump, -1)
	for i, at := range starts {
		end := len(dump)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		text := strings.TrimRight(dump[at[1]:end], "\n")
		if dump[at[2]:at[3]] == cpuSpec {
			spec = text
		} else {
			others += "\n" + text
		}
	}
	return spec, others
}

// cpuSpecOf finds, in the output of -dumpspecs, the spec that asks the CPU: ""
// when gcc asks before any spec is read (aarch64, arm), or never.
func cpuSpecOf(dump string) (string, error) {
	spec, others := splitSpecs(dump)
	switch {
	case strings.Contains(others, detection):
		return "", fmt.Errorf("gcc asks its CPU elsewhere than in %s", cpuSpec)
	case !strings.Contains(spec, detection):
		return "", nil
	case !strings.Contains(others, "%("+cpuSpec+")"):
		return "", fmt.Errorf("gcc has no use for %s", cpuSpec)
	}
	if rest := specWords.ReplaceAllString(spec, ""); strings.ContainsAny(rest, "%{;|&\n\\") {
		return "", fmt.Errorf("gcc's spec %s has more in it than is known here: %.300q", cpuSpec, spec)
	}
	return spec, nil
}

// Marks around what cc1_cpu comes to.
const (
	specBegin = "-crosscc-begin"
	specEnd   = "-crosscc-end"
)

// specs has the driver itself work the spec out, between two marks.
func (p *asker) specs(ctx context.Context, q Question, spec string) (n Answer, err error) {
	text := fmt.Sprintf("*%s:\n%s %s %s\n\n", cpuSpec, specBegin, spec, specEnd)
	r, err := p.drive(ctx, q, []byte(text), append([]string{"-specs=" + specsName}, q.Words...)...)
	if err != nil {
		return n, err
	}
	words, _ := r.Program("cc1")
	from, to := slices.Index(words, specBegin), slices.Index(words, specEnd)
	switch {
	case len(r.Specs) != 1 || r.Specs[0] != specsName:
		return n, fmt.Errorf("what native means: gcc reads specs of its own, %q", r.Specs)
	case from < 0 || to < from:
		return n, fmt.Errorf("what native means: gcc does not say it: %.300q", words)
	case hasNative(words):
		return n, fmt.Errorf("what native means: gcc does not know it: %.300q", words)
	}
	if n.Specs = slices.Clone(words[from+1 : to]); len(n.Specs) == 0 {
		return n, fmt.Errorf("what native means: gcc does not ask its CPU for %q", q.Words)
	}
	return n, argv.AdmitNative(n.Specs)
}

// hasNative reports whether a word of a compiler proper's still says native.
func hasNative(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(w), "=native") })
}

// self asks a gcc that works native out before it reads specs: it takes
// the word away and puts the answer behind all others. That the answer, given so,
// comes to the same is asked as well, because such gccs work out more than that.
func (p *asker) self(ctx context.Context, q Question) (n Answer, err error) {
	r, err := p.drive(ctx, q, nil, q.Words...)
	if err != nil {
		return n, err
	}
	if len(r.Specs) > 0 {
		return n, fmt.Errorf("what native means: gcc reads specs of its own, %q", r.Specs)
	}
	explicit := slices.DeleteFunc(slices.Clone(q.Words), func(w string) bool { return hasNative([]string{w}) })
	given := slices.Clone(explicit)
	for _, w := range r.Options {
		if i := slices.Index(given, w); i >= 0 {
			given = slices.Delete(given, i, i+1)
		} else if strings.HasPrefix(w, "-m") {
			n.Words = append(n.Words, w)
		}
	}
	for _, c := range r.Commands {
		if hasNative(c) {
			return n, fmt.Errorf("what native means: gcc for %s does not know it", q.Of.Target)
		}
	}
	if err := argv.AdmitNative(n.Words); err != nil {
		return n, err
	}
	proof, err := p.drive(ctx, q, nil, append(explicit, n.Words...)...)
	if err != nil {
		return n, err
	}
	if !slices.EqualFunc(r.Commands, proof.Commands, slices.Equal[[]string]) {
		return n, fmt.Errorf("what native means: gcc makes %.300q of it, and %.300q of %q", r.Commands, proof.Commands, n.Words)
	}
	return n, nil
}

// drive asks a gcc driver what it would run for a source in C. -pipe keeps
// temporary names out of the answer.
func (p *asker) drive(ctx context.Context, q Question, stdin []byte, words ...string) (drivers.Report, error) {
	out, err := p.Must(ctx, q.Path, stdin, append(words, "-###", "-pipe", "-c", "-o", "/dev/null", "-x", "c", "/dev/null")...)
	if err != nil {
		return drivers.Report{}, fmt.Errorf("what native means: %w", err)
	}
	return drivers.ReadReport(string(out.Stderr)), nil
}

// clang reads the words of the -cc1 line that native decides. On x86 the
// final CPU is a value of -march, and all features are given after it; what they
// come to does not depend on what stands before, because each sets what it sets
// whatever was, and the list has the user's own at its end. Other targets differ
// in what a CPU's name brings along: there it is asked.
func (p *asker) clang(ctx context.Context, q Question) (n Answer, err error) {
	cc1, r, err := p.cc1(ctx, q, q.Words)
	if err != nil {
		return n, err
	}
	cpu, tune := operand(cc1, "-target-cpu"), operand(cc1, "-tune-cpu")
	arch, _, _ := strings.Cut(operand(cc1, "-triple"), "-")
	x86 := arch == "x86_64" || len(arch) == 4 && arch[0] == 'i' && strings.HasSuffix(arch, "86")
	option := "-mcpu="
	if x86 {
		option = "-march="
	}
	n.Words = []string{option + cpu}
	if tune != "" {
		n.Words = append(n.Words, "-mtune="+tune)
	}
	if err := argv.AdmitNative(n.Words); err != nil || cpu == "" {
		return n, fmt.Errorf("what native means: clang names the CPU %q: %w", cpu, err)
	}
	if !x86 {
		explicit := slices.DeleteFunc(slices.Clone(q.Words), func(w string) bool { return hasNative([]string{w}) })
		proof, _, err := p.cc1(ctx, q, append(explicit, n.Words...))
		if err != nil {
			return n, err
		}
		if !slices.Equal(cc1, proof) {
			return n, fmt.Errorf("what native means: clang makes %.300q of it, and %.300q of %q", cc1, proof, n.Words)
		}
	}
	n.Words = append(n.Words, foundOut(q.Words, r, cc1)...)
	return n, nil
}

// cc1 is the -cc1 line for words. A clang that has anything to say of native has
// to say it at home.
func (p *asker) cc1(ctx context.Context, q Question, words []string) ([]string, drivers.Report, error) {
	words = append(slices.Clone(words), "-v", "-###", "-c", "-o", "/dev/null", "-x", "c", "-")
	out, r, err := p.Clang(ctx, q.Path, words...)
	if err != nil {
		return nil, r, fmt.Errorf("what native means: run %s: %w", q.Path, err)
	}
	for line := range strings.Lines(string(out.Stderr)) {
		said := strings.Contains(line, ": error: ") || strings.Contains(line, ": warning: ") && strings.Contains(line, "native")
		if said && !strings.HasPrefix(line, " ") {
			return nil, r, fmt.Errorf("what native means: %s", drivers.FirstLine([]byte(line)))
		}
	}
	if out.Status != 0 {
		return nil, r, fmt.Errorf("what native means: %s: status %d: %s", q.Path, out.Status, drivers.FirstLine(out.Stderr))
	}
	for _, c := range r.Commands {
		if len(c) > 1 && c[1] == "-cc1" {
			if hasNative(c) {
				return nil, r, fmt.Errorf("what native means: clang does not know it: %.300q", c)
			}
			return c, r, nil
		}
	}
	return nil, r, fmt.Errorf("what native means: %s printed no -cc1 line", path.Base(q.Path))
}

// operand is the word behind a name in a compiler proper's line; "" without it.
func operand(words []string, name string) string {
	if i := slices.Index(words, name); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}
