package diagnostics

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
)

// TerminalWords are what a compiler makes up for itself at the client's terminal; why
// says that this is not known.
func TerminalWords(c *compile.Compile) (words []string, why string) {
	explicit := c.Cmd.Colour()
	for _, w := range c.Cmd.Words() {
		if strings.HasPrefix(w, "-fdiagnostics-urls") || strings.HasPrefix(w, "-fdiagnostics-plain") || strings.HasPrefix(w, "-fmessage-length") ||
			w == "-fansi-escape-codes" {
			return nil, w + " is given"
		}
	}
	if c.Toolchain.Family == argv.Clang {
		return clangWords(c, explicit)
	}
	for _, name := range []string{"GCC_COLORS", "GCC_URLS", "TERM_URLS"} {
		if c.Session.IsSet(name) {
			return nil, name + " is set"
		}
	}
	if c.Major() < 10 {
		return nil, "it is older than gcc 10, which had no links"
	}
	if !c.Session.IsSet("TERM") || c.Session.Getenv("TERM") == "dumb" {
		return nil, "" // explicit or not: should_colorize in gcc's diagnostic-color.cc rules links too
	}
	if explicit != "never" { // which does not speak of links
		words = append(words, "-fdiagnostics-color=always")
	}
	if links(c) {
		words = append(words, "-fdiagnostics-urls=always")
	}
	return words, ""
}

// links is auto_enable_urls in gcc's diagnostic-color.cc.
func links(c *compile.Compile) bool {
	switch c.Session.Getenv("COLORTERM") {
	case "xfce4-terminal", "gnome-terminal":
		return false
	case "":
		term := c.Session.Getenv("TERM")
		return c.Session.IsSet("COLORTERM") || term != "xterm" && term != "linux" && term != "vt100"
	}
	return true
}

// colourful are terminals that every terminfo has with colours.
var colourful = regexp.MustCompile(`^(xterm|screen|tmux|linux|rxvt|konsole|gnome|vte|putty|cygwin|alacritty|xterm-kitty|foot)(-[0-9a-z]+)*$`)

// clangWords: clang asks terminfo for colours, and wraps lines where COLUMNS is
// set.
func clangWords(c *compile.Compile, explicit string) (words []string, why string) {
	switch term := c.Session.Getenv("TERM"); {
	case explicit == "always", explicit == "never":
	case term == "" || term == "dumb":
	case !colourful.MatchString(term):
		return nil, "whether " + term + " has colours is not known"
	default:
		words = append(words, "-fcolor-diagnostics")
	}
	if n, err := strconv.Atoi(c.Session.Getenv("COLUMNS")); err == nil && n > 0 {
		words = append(words, "-fmessage-length="+strconv.Itoa(n))
	}
	return words, ""
}

// escapes are colours and links.
var escapes = regexp.MustCompile("\x1b\\[[0-9;]*[mK]|\x1b\\]8;;[^\x07\x1b]*(?:\x07|\x1b\\\\)")

// Fits keeps words at home that gcc would cut to the width of the terminal.
func Fits(c *compile.Compile, words []byte) error {
	width := c.Session.Request.Columns
	if n, err := strconv.Atoi(c.Session.Getenv("COLUMNS")); err == nil && n > 0 {
		width = n
	}
	if width == 0 || c.Toolchain.Family == argv.Clang {
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
