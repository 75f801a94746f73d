// Package diagnostics tells whether what a helper's compiler said is what the local one
// would have said: then the build hears it, else the local compiler speaks for itself.
// OfTree and OfText judge a result; at a terminal the compiler is told what it would
// make up there (TerminalWords).
package diagnostics

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/preprocessed"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
)

// OfTree keeps words of a tree's compile at bay that the compiler would not say at home.
func OfTree(c *compile.Compile, got broker.Result) error {
	switch {
	case got.ExitCode != 0 && c.MakesMore():
		return reason.Stay(broker.Reason(option.ExtraOutput), "the compile fails, and may leave parts of its further outputs")
	case got.ExitCode != 0 && len(got.Stderr) == 0: // no source is wrong without a word
		return reason.Stay(reason.Diagnostics, "the compile fails with status %d, and the compiler says nothing", got.ExitCode)
	case len(got.Stdout) == 0 && len(got.Stderr) == 0:
		return nil
	case temporary.Match(got.Stderr): // a client's TMPDIR may be another, and its name is a random one
		return reason.Stay(reason.Diagnostics, "the compiler speaks of a temporary file")
	case !exact(c):
		return reason.Stay(reason.Diagnostics, "the compiler has something to say in a language that a helper may not have, or in colours of the build's")
	case got.ExitCode == 0:
		return nil
	}
	for _, sign := range [...]string{
		"Assembler messages:", "<inline asm>", // it may lack a file whose name no scan could see
		"clang: error: ", // the driver's: nothing was begun, and nothing is removed
		// Files that no word of the command made us expect: at a helper they can't be made.
		"cannot open ", "unable to open ", "Read-only file system", "Permission denied",
	} {
		if bytes.Contains(got.Stderr, []byte(sign)) {
			return reason.Stay(reason.Diagnostics, "the compiler failed with words that begin with %q", sign)
		}
	}
	return nil
}

// temporary is a name that gcc's driver makes up on a helper.
var temporary = regexp.MustCompile(`/tmp/cc[A-Za-z0-9]{6}\.`)

// exactWords reports whether what a compiler prints at a helper is what it would
// print at home.
func exactWords(c *compile.Compile) bool { return exact(c) && !c.Session.Request.Terminal }

// exact is exactWords but for what a terminal changes.
func exact(c *compile.Compile) bool {
	if c.Cmd.Colour() == "always" && (c.Session.IsSet("GCC_COLORS") || c.Session.IsSet("GCC_URLS")) {
		return false
	}
	links := slices.ContainsFunc(c.Cmd.Words(), func(w string) bool { return strings.HasPrefix(w, "-fdiagnostics-urls") })
	if links && (c.Session.IsSet("GCC_URLS") || c.Session.IsSet("TERM_URLS")) { // how they end
		return false
	}
	return c.Settings.ExactLocale
}

// OfText keeps results of preprocessed text at bay whose words may not be the local
// compiler's. source is nil where it could not be read.
func OfText(c *compile.Compile, source, text []byte, res broker.Result) error {
	if len(res.Stdout) > 0 {
		return reason.Stay(reason.Diagnostics, "the compiler prints to standard output")
	}
	if (len(res.Stderr) > 0 || res.ExitCode != 0) && !believable(c, source, text, res) {
		return reason.Stay(reason.Diagnostics, "the compiler has something to say that depends on more than preprocessed text")
	}
	return nil
}

// believable reports whether what the compiler printed is what it would have
// printed at home.
func believable(c *compile.Compile, source, text []byte, res broker.Result) bool {
	return c.Toolchain.Family == argv.GCC && exactWords(c) && source != nil &&
		preprocessed.Provable(c.Cmd.Source(), source, text, res.Stderr, c.Settings.Locale == session.LocaleUTF8)
}
