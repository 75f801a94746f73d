package argv

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/crosscc/crosscc/argv/option"
)

// This file is about -march=native, -mtune=native and -mcpu=native: the value stands for the CPU of whoever runs the
// compiler, so a helper has to be told what it means at home (X22 to X24).
//
// There are two ways. gcc for x86 asks its CPU in the spec cc1_cpu (gcc -dumpspecs), in front of all other -m words and
// wherever the word stood; so argv stays as it is ([Env.Native]) and the helper's driver is given the answer for that
// spec: words that [AdmitNative] admits. Everything else gets explicit words behind the others, native gone
// ([Command.Explicit]).

// Native reports whether a word says native and no later one of its name overrides it.
func (c *Command) Native() bool { return c.nativeWord() != nil }

func (c *Command) nativeWord() *option.Word {
	last := map[string]*option.Word{}
	for i := range c.words {
		last[c.words[i].Name] = &c.words[i]
	}
	for _, name := range option.NativeNames {
		if w := last[name]; w != nil && w.Native() {
			return w
		}
	}
	return nil
}

// drops reports whether a word stays out of what a helper and a probe are told: native, which at a helper would be
// another CPU, unless it is told what that means.
func (c *Command) drops(w *option.Word) bool { return w.Native() && !c.keepsNative }

// NativeWords are what the meaning of native depends on, native among them, for asking the client's compiler: -m words,
// and with clang all that [Command.FeatureWords] are.
func (c *Command) NativeWords() []string {
	asked := *c
	asked.keepsNative = true
	if c.family == Clang {
		return asked.FeatureWords()
	}
	return asked.TargetWords()
}

// Explicit is the whole command line without native and with other words behind what the user said, for [Parse].
func (c *Command) Explicit(words ...string) []string {
	var out []string
	for rest := c.given; len(rest) > 0; {
		w, n := option.Read(rest, c.family)
		if !w.Native() {
			out = append(out, rest[:n]...)
		}
		rest = rest[n:]
	}
	return append(out, words...)
}

// Bounds of what native may mean: gcc 12 has 90 words for it.
const (
	maxNative     = 400
	maxNativeWord = 100
)

var (
	nativePermitted = regexp.MustCompile(`^-m[a-z0-9][A-Za-z0-9_.+-]*(=[A-Za-z0-9_.+-]+)?$`)
	nativeParam     = regexp.MustCompile(`^[a-z0-9-]+=[0-9]+$`)
)

// AdmitNative says whether words may be what native means to gcc: -m words, and --param with a number, which a helper
// writes into a specs file. There a blank, a percent sign, a brace or a line's end would mean more than itself. The
// error names the word.
func AdmitNative(words []string) error {
	if len(words) > maxNative {
		return fmt.Errorf("native means %d words, at most %d are believed", len(words), maxNative)
	}
	for i, w := range words {
		ok := nativePermitted.MatchString(w) && !strings.HasPrefix(w, "-mllvm") && !strings.HasPrefix(w, "-mdevices") && !strings.HasSuffix(w, "=native")
		if w == "--param" {
			ok = i+1 < len(words) && nativeParam.MatchString(words[i+1])
		} else if i > 0 && words[i-1] == "--param" {
			ok = nativeParam.MatchString(w)
		}
		if !ok || len(w) > maxNativeWord {
			return fmt.Errorf("%.100q is no word that native may mean", w)
		}
	}
	return nil
}
