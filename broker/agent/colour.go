package agent

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
)

// A compiler at a terminal speaks in colour, gcc with links, and as wide as the terminal.
// At a helper it is told so, but only where it has something to say at all: the job is
// done once more, and its words are taken from there. The rest is the first one's, which
// it shares with compiles without a terminal (and gcc writes down some of these words in
// debug info).

// inColour gives got the words that the compiler says at the terminal.
func (a *Agent) inColour(c *compile, j *broker.Job, got answer) (answer, error) {
	words, why := c.terminalWords()
	if why != "" {
		return got, reason.Stay(reason.Diagnostics, "the compiler has something to say to a terminal: %s", why)
	}
	if len(words) == 0 {
		return got, c.fits(got.Stderr)
	}
	again := *j
	again.Args = append(slices.Clone(j.Args), words...)
	coloured, err := a.send(c, c.prospects, &again)
	if err != nil {
		return got, c.refused(err)
	}
	if coloured.ExitCode != got.ExitCode || !bytes.Equal(coloured.Stdout, got.Stdout) {
		return got, reason.Stay(reason.Diagnostics, "in colour the compiler says something else")
	}
	got.Stderr = coloured.Stderr
	return got, c.fits(got.Stderr)
}

// terminalWords are what a compiler makes up for itself at the client's terminal; why
// says that this is not known.
func (c *compile) terminalWords() (words []string, why string) {
	explicit := c.cmd.Colour()
	for _, w := range c.cmd.Words() {
		if strings.HasPrefix(w, "-fdiagnostics-urls") || strings.HasPrefix(w, "-fdiagnostics-plain") || strings.HasPrefix(w, "-fmessage-length") ||
			w == "-fansi-escape-codes" {
			return nil, w + " is given"
		}
	}
	if c.toolchain.Family == argv.Clang {
		return c.clangTerminalWords(explicit)
	}
	for _, name := range []string{"GCC_COLORS", "GCC_URLS", "TERM_URLS"} {
		if c.s.IsSet(name) {
			return nil, name + " is set"
		}
	}
	if major(c.toolchain.Identity.Version) < 10 {
		return nil, "it is older than gcc 10, which had no links"
	}
	if !c.s.IsSet("TERM") || c.s.Getenv("TERM") == "dumb" {
		return nil, "" // explicit or not: should_colorize in gcc's diagnostic-color.cc rules links too
	}
	if explicit != "never" { // which does not speak of links
		words = append(words, "-fdiagnostics-color=always")
	}
	if c.links() {
		words = append(words, "-fdiagnostics-urls=always")
	}
	return words, ""
}

// links is auto_enable_urls in gcc's diagnostic-color.cc.
func (c *compile) links() bool {
	switch c.s.Getenv("COLORTERM") {
	case "xfce4-terminal", "gnome-terminal":
		return false
	case "":
		term := c.s.Getenv("TERM")
		return c.s.IsSet("COLORTERM") || term != "xterm" && term != "linux" && term != "vt100"
	}
	return true
}

// colourful are terminals that every terminfo has with colours.
var colourful = regexp.MustCompile(`^(xterm|screen|tmux|linux|rxvt|konsole|gnome|vte|putty|cygwin|alacritty|xterm-kitty|foot)(-[0-9a-z]+)*$`)

// clangTerminalWords: clang asks terminfo for colours, and wraps lines where COLUMNS is
// set.
func (c *compile) clangTerminalWords(explicit string) (words []string, why string) {
	switch term := c.s.Getenv("TERM"); {
	case explicit == "always", explicit == "never":
	case term == "" || term == "dumb":
	case !colourful.MatchString(term):
		return nil, "whether " + term + " has colours is not known"
	default:
		words = append(words, "-fcolor-diagnostics")
	}
	if n, err := strconv.Atoi(c.s.Getenv("COLUMNS")); err == nil && n > 0 {
		words = append(words, "-fmessage-length="+strconv.Itoa(n))
	}
	return words, ""
}

// escapes are colours and links.
var escapes = regexp.MustCompile("\x1b\\[[0-9;]*[mK]|\x1b\\]8;;[^\x07\x1b]*(?:\x07|\x1b\\\\)")

// fits keeps words at home that gcc would cut to the width of the terminal.
func (c *compile) fits(words []byte) error {
	width := c.s.Request.Columns
	if n, err := strconv.Atoi(c.s.Getenv("COLUMNS")); err == nil && n > 0 {
		width = n
	}
	if width == 0 || c.toolchain.Family == argv.Clang {
		return nil
	}
	// A quoted line is cut by its own width, and stands behind its number.
	const margin = 16
	for line := range bytes.Lines(escapes.ReplaceAll(words, nil)) {
		if len(line) > width-margin && bytes.Contains(line, []byte(" | ")) {
			return reason.Stay(reason.Diagnostics, "the compiler quotes lines that are wider than the terminal")
		}
	}
	return nil
}

// major is the first number of a version.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(first) // none: 0
	return n
}

// maxEpoch is the last second of the year 9999, gcc's own bound.
const maxEpoch = 253402300799

// epoch is the date that stands for now, where this compiler honours that: gcc does since
// 7, clang since 16.
func (c *compile) epoch() (string, bool) {
	value := c.s.Getenv("SOURCE_DATE_EPOCH")
	honoured := 7
	if c.toolchain.Family == argv.Clang {
		honoured = 16
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil || n > maxEpoch || major(c.toolchain.Identity.Version) < honoured {
		return "", false
	}
	return value, true
}
