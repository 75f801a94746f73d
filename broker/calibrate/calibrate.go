package calibrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
)

// A Unit is one translation unit for both sides.
type Unit struct {
	Language argv.Language // C, CXX, ObjC or ObjCXX
	Source   []byte
	Words    []string // behind those of the set of options
}

// An Outcome is what a compiler made of a Unit.
type Outcome struct {
	Object []byte // when Status is 0
	Status int
	Stderr []byte
}

// A Compiler is one side: the client's compiler at home, or the helper's, with the
// set of options that is in question. Its error says that it could not be asked.
type Compiler func(ctx context.Context, u Unit) (Outcome, error)

// A Result is what calibration found of two toolchains under one set of options.
type Result struct {
	// Same: not one byte differed, .comment included.
	Same bool
	// Refused is why the pair does not serve these options; "" when it does.
	Refused string
	// Avoid are the attributes and pragmas in which the two differ: what names one
	// of them is not for this pair.
	Avoid []string
	// Avoided says how the first of them differs.
	Avoided string
	// Omitted are the pieces that the client's own compiler does not take with
	// these options.
	Omitted []string
}

// maxRounds bounds how often a corpus is cut down to what a set of options allows:
// of some errors gcc says one at a time.
const maxRounds = 40

// plainWords go with every unit: warnings are nobody's here, and no header is
// read, not even the implicit one.
var plainWords = []string{"-w", "-nostdinc"}

// Calibrate compares two compilers of one family. The error says that nothing was
// found out: a compile could not be done or ctx has ended.
func Calibrate(ctx context.Context, family argv.Family, lang argv.Language, home, away Compiler) (Result, error) {
	c := comparer{lang: lang, home: home, away: away}
	r, err := c.run(ctx, family)
	if err != nil {
		return Result{}, fmt.Errorf("calibrate: %w", err)
	}
	return r, nil
}

// A comparer is one calibration.
type comparer struct {
	lang       argv.Language
	home, away Compiler
	result     Result
}

// errRefused ends a comparison with a reason that result holds.
var errRefused = errors.New("refused")

func (c *comparer) run(ctx context.Context, family argv.Family) (Result, error) {
	c.result.Same = true
	err := c.pieces(ctx)
	if err == nil {
		err = c.macros(ctx, family)
	}
	if errors.Is(err, errRefused) {
		c.result.Same = false
		return c.result, nil
	}
	return c.result, err
}

func (c *comparer) refuse(format string, args ...any) error {
	c.result.Refused = fmt.Sprintf(format, args...)
	return errRefused
}

// pieces compares the whole corpus at once, and looks closer where it differs.
func (c *comparer) pieces(ctx context.Context) error {
	all, object, err := c.allowed(ctx, Corpus(c.lang))
	if err != nil {
		return err
	}
	found, err := c.against(ctx, all, object)
	if err != nil || found.Equal {
		c.result.Same = c.result.Same && found.Same
		return err
	}
	c.result.Same = false
	plain := slices.DeleteFunc(slices.Clone(all), func(p Piece) bool { return len(p.Words) > 0 })
	named := slices.ContainsFunc(all, func(p Piece) bool { return len(p.Words) > 0 && p.defines(found.Functions) })
	if !named || slices.ContainsFunc(plain, func(p Piece) bool { return p.defines(found.Functions) }) {
		// What any source may have seems to differ, and can't be kept away: one compile
		// says so, or that it only moved.
		of, err := c.compare(ctx, plain)
		if err != nil {
			return err
		}
		if !of.Equal {
			return c.refuse("%v", of)
		}
	}
	return c.avoid(ctx, all, found)
}

// avoid finds the pieces of attributes and pragmas that differ, and proves that
// the rest does not. Pieces whose functions differ are looked at first, and only
// where that was not enough all the others.
func (c *comparer) avoid(ctx context.Context, all []Piece, found Comparison) error {
	looked := map[string]bool{}
	for range maxRounds {
		hinted := func(p Piece) bool { return p.defines(found.Functions) }
		if !slices.ContainsFunc(all, func(p Piece) bool { return c.candidate(p, looked) && hinted(p) }) {
			hinted = func(Piece) bool { return true }
		}
		before := len(looked)
		for _, p := range all {
			if !c.candidate(p, looked) || !hinted(p) {
				continue
			}
			looked[p.Name] = true
			of, err := c.compare(ctx, []Piece{p})
			if err != nil {
				return err
			}
			if !of.Equal {
				c.keepAway(p, of)
			}
		}
		if len(looked) == before {
			break // what differs has no name
		}
		var err error
		found, err = c.compare(ctx, slices.DeleteFunc(slices.Clone(all), c.avoids))
		if err != nil || found.Equal {
			return err
		}
	}
	c.result.Avoid, c.result.Avoided = nil, ""
	return c.refuse("%v", found)
}

// candidate reports whether a piece may be what differs.
func (c *comparer) candidate(p Piece, looked map[string]bool) bool {
	return len(p.Words) > 0 && !looked[p.Name] && !c.avoids(p)
}

func (c *comparer) keepAway(p Piece, of Comparison) {
	c.result.Avoid = append(c.result.Avoid, p.Words...)
	slices.Sort(c.result.Avoid)
	c.result.Avoid = slices.Compact(c.result.Avoid)
	if c.result.Avoided == "" {
		c.result.Avoided = of.String()
	}
}

// avoids reports whether every source that could have what the piece has is kept
// away already.
func (c *comparer) avoids(p Piece) bool {
	return len(p.Words) > 0 && !slices.ContainsFunc(p.Words, func(w string) bool { return !slices.Contains(c.result.Avoid, w) })
}

// defines reports whether one of the symbols is in the piece's text, by its plain
// name.
func (p Piece) defines(symbols []string) bool {
	return slices.ContainsFunc(identifiers.FindAllString(p.Code, -1), func(name string) bool {
		return strings.Contains(name, "_") && !strings.HasPrefix(name, "__") &&
			slices.ContainsFunc(symbols, func(s string) bool { return strings.Contains(s, name) })
	})
}

var identifiers = regexp.MustCompile(`[A-Za-z_][A-Za-z_0-9]*`)

// compare compiles pieces on both sides.
func (c *comparer) compare(ctx context.Context, pieces []Piece) (Comparison, error) {
	out, err := c.home(ctx, c.unit(source(pieces)))
	if err != nil {
		return Comparison{}, err
	}
	if out.Status != 0 {
		return Comparison{}, c.refuse("the corpus can't be compiled with these options: %s", firstError(out.Stderr))
	}
	return c.against(ctx, pieces, out.Object)
}

// against compares the client's object of pieces with the helper's.
func (c *comparer) against(ctx context.Context, pieces []Piece, object []byte) (Comparison, error) {
	out, err := c.away(ctx, c.unit(source(pieces)))
	if err != nil {
		return Comparison{}, err
	}
	if out.Status != 0 {
		return Comparison{}, c.refuse("the helper's compiler does not take what the local one takes: %s", firstError(out.Stderr))
	}
	return Compare(object, out.Object), nil
}

func (c *comparer) unit(source []byte, words ...string) Unit {
	return Unit{Language: c.lang, Source: source, Words: append(slices.Clone(plainWords), words...)}
}

// allowed are the pieces that the client's compiler takes with these options
// (-mgeneral-regs-only takes no floating point), and its object of them.
func (c *comparer) allowed(ctx context.Context, pieces []Piece) ([]Piece, []byte, error) {
	for range maxRounds {
		out, err := c.home(ctx, c.unit(source(pieces)))
		if err != nil {
			return nil, nil, err
		}
		if out.Status == 0 {
			return pieces, out.Object, nil
		}
		bad := complaints(out.Stderr)
		left := slices.DeleteFunc(slices.Clone(pieces), func(p Piece) bool { return bad[p.Name] })
		if len(left) == len(pieces) || len(left) == 0 {
			return nil, nil, c.refuse("the corpus can't be compiled with these options: %s", firstError(out.Stderr))
		}
		for _, p := range pieces {
			if bad[p.Name] {
				c.result.Omitted = append(c.result.Omitted, p.Name)
			}
		}
		pieces = left
	}
	return nil, nil, c.refuse("these options leave nothing of the corpus")
}

// complaint is an error of gcc's or clang's that names a piece.
var complaint = regexp.MustCompile(`(?m)^([a-z][A-Za-z0-9_-]*):\d+:(?:\d+:)? (?:fatal error|error|sorry, unimplemented): `)

// complaints are the pieces that a compiler complains of.
func complaints(stderr []byte) map[string]bool {
	names := map[string]bool{}
	for _, m := range complaint.FindAllSubmatch(stderr, -1) {
		names[string(m[1])] = true
	}
	return names
}

// firstError is the first line that says what is wrong.
func firstError(stderr []byte) string {
	first := ""
	for line := range strings.Lines(string(stderr)) {
		line = strings.TrimSpace(line)
		if first == "" {
			first = line
		}
		if strings.Contains(strings.ToLower(line), "error") {
			first = line
			break
		}
	}
	return first[:min(len(first), 200)]
}

// macros compares the macros that both define unasked: a header may choose by any.
func (c *comparer) macros(ctx context.Context, family argv.Family) error {
	words := []string{"-g3", "-gz=none", "-gno-record-gcc-switches"}
	if family == argv.Clang {
		words = []string{"-g", "-fdebug-macro", "-gz=none"}
	}
	u := c.unit([]byte(macroSource), words...)
	here, err := c.defined(ctx, c.home, u)
	if err != nil {
		return err
	}
	there, err := c.defined(ctx, c.away, u)
	if err != nil {
		return err
	}
	for _, lists := range [][2][]string{{there, here}, {here, there}} {
		for _, m := range lists[0] {
			if !slices.Contains(lists[1], m) {
				return c.refuse("predefined macros differ: %.60q", m)
			}
		}
	}
	return nil
}

func (c *comparer) defined(ctx context.Context, by Compiler, u Unit) ([]string, error) {
	out, err := by(ctx, u)
	if err != nil {
		return nil, err
	}
	if out.Status != 0 {
		return nil, c.refuse("macros can't be compared with these options: %s", firstError(out.Stderr))
	}
	list, err := macros(out.Object)
	if err != nil {
		return nil, c.refuse("%v", err)
	}
	return list, nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
