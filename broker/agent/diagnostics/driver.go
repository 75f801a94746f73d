package diagnostics

import (
	"bytes"
	"path"
	"regexp"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/agent/compile"
)

// DriverSpeaks finds words that are not one compile's: the driver says them once for all
// sources of a command.
func DriverSpeaks(c *compile.Compile, words []byte) bool {
	words = escapes.ReplaceAll(words, nil)
	if c.Toolchain.Family == argv.Clang && clangSpeaks.Match(words) {
		return true
	}
	name := []byte(path.Base(c.Session.Request.Args[0]) + ": ")
	for line := range bytes.Lines(words) {
		if bytes.HasPrefix(line, name) {
			return true
		}
	}
	return false
}

// clangSpeaks is the beginning of a line that clang's driver prints: its name is that
// of the file behind all links.
var clangSpeaks = regexp.MustCompile(`(?m)^[^ :\n]*clang[^ :\n]*: `)
