// Package headers finds everything that a compile will read, without running a
// compiler: the source, each header, and what the assembler copies in. The
// answer is a Tree; where it can't be known, an *Unsound that says why.
//
// It is sound because of one argument. A helper looks each name up in the same
// directories in the same order as the compiler would at home, in a tree that
// holds nothing that is not at home. So it finds the same file as long as the
// tree has that one file, and a file too many changes nothing. The scan
// therefore follows every name in every branch of every #if, resolves it as the
// compiler does, and takes in the first hit.
//
// A newcomer starts with Scanner.Scan (scan.go). Below it:
//
//   - lex: what the text of one file names. It knows no file system.
//   - ask.go: the compiler's own directories, asked once; words.go: what a
//     helper's compiler is told so that it has them and none of its own.
//   - search.go: the user's directories and those, in the order and with the
//     omissions of gcc and clang.
//   - files: the client's files as the kernel walks them, and their texts, kept
//     between scans by what stat says. Its comment has the argument why what is
//     remembered can be trusted.
//   - resolve.go: what one name leads to; plan.go: which led where, kept between
//     scans.
//   - settle.go: names that are macros.
//   - image.go: names that the headers of an image include, when one defines the compile.
//   - tree.go: the result; deps.go: whether a compile read what it predicts.
package headers

import (
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers/files"
)

// A Source is one compile as the scanner needs it.
type Source struct {
	// Cmd is the compile; nil: nothing is compiled, and Also is all that is read.
	Cmd *argv.Command
	// Stdin is the text of a source that has no file: one that Cmd names and that is not
	// looked for. What it includes is looked for from Dir. nil: the source is a file.
	Stdin []byte
	// Dir is the client's working directory: absolute, in the spelling that
	// the compiler sees (PWD), links and all.
	Dir string
	// Defaults is what Ask said for this command.
	Defaults Defaults
	// Also are files that the compile reads besides, whether they are there or not.
	Also []string
	// Beside are directories that must be in the tree where they exist: something is
	// written there.
	Beside []string
	// Told is what the compiler itself says that the compile reads (its list of
	// dependencies, -M), which it was asked for at Asked: names that only macros
	// make are among them. Scan says which compiles need it (Unsound.Askable).
	Told  []string
	Asked time.Time
	// Image: an image defines the compile. What the client has where the image's files
	// are (broker.OfImage) is not looked at, and Names are those that the image's
	// headers include, which may be found in the client's directories.
	Image bool
	Names *Names
	// Getenv answers for the variables that hold search paths. nil: none is
	// set.
	Getenv func(string) string
	// Open opens a file of the client's by its absolute name, without links in
	// it: that is how the blobs of the Tree are read, after the scan. nil is
	// for who only looks at a Tree.
	Open files.Open
}

// getenv is Getenv, or an empty environment.
func (s Source) getenv(key string) string {
	if s.Getenv == nil {
		return ""
	}
	return s.Getenv(key)
}

// Unsound says that a tree can't be known to be enough, and why.
type Unsound = files.Unsound

// Why a tree can't be known to be enough. Reasons are counted, and explained in
// docs/reasons.md.
const (
	Computed    broker.Reason = "computed-include" // the name of a file is made by macros
	AsmName     broker.Reason = "incbin"           // the assembler reads a file whose name can't be seen
	Timestamp   broker.Reason = "timestamp"        // __TIMESTAMP__
	Precompiled broker.Reason = "precompiled"      // a precompiled header lies beside a header
	Modules     broker.Reason = "header-modules"   // header units
	Pragma      broker.Reason = "header-pragma"    // a pragma that changes what is read
	Encoding    broker.Reason = "source-encoding"  // text that is not ASCII's kin
	Special                   = files.Special
	Unreadable                = files.Unreadable
	TooLarge                  = files.TooLarge
	Changed                   = files.Changed
	Option      broker.Reason = "search-option"    // a search path that the scanner does not know
	OneFolder   broker.Reason = "one-folder-twice" // one directory mounted at two places
	Stale       broker.Reason = "stale-defaults"   // the compiler's directories changed: Ask again
)

// maxPath bounds the directories to search for one name; files has the other
// bounds.
const maxPath = 1000
