// Package reason says why a command is not done by a helper: it is the local
// compiler's (Local), it can't go as a tree (Treeless), or nobody does it (Failure).
// Each is an error, so that each step of a compile can say it. The tables are
// docs/reasons.md.
package reason

import (
	"fmt"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/helper"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// The agent's own reasons for a local compile; the others are argv's (what the
// command line says) and the fleet's (what the helpers lack).
const (
	NotCompiler broker.Reason = "not-a-compiler"
	Probe       broker.Reason = "probe-failed"
	Script      broker.Reason = "compiler-script"
	InBuild     broker.Reason = "compiler-in-build"
	Werror      broker.Reason = "werror"
	Preprocess  broker.Reason = "preprocessor"
	Text        broker.Reason = "text"
	Name        broker.Reason = "name"
	Diagnostics broker.Reason = "diagnostics"
	BadOutput   broker.Reason = "bad-output"
	Target      broker.Reason = "output-target"
	Unwritten   broker.Reason = "unwritten"
	Settings    broker.Reason = "settings"
	Source      broker.Reason = "source"
	Verify      broker.Reason = "verify"
	Unverified  broker.Reason = "unverified"
	Date        broker.Reason = "date"
	Asked       broker.Reason = "source-setting"
	Untellable  broker.Reason = "untellable"
)

// A Doc is a row of the reasons page.
type Doc struct {
	Reason broker.Reason
	Text   string
}

// All are the rows of docs/reasons.md but those of the command line.
func All() []Doc {
	return []Doc{
		{NotCompiler, "The program's name is not one of a compiler driver; crosscc runs it as it is and never asks it anything."},
		{Probe, "The compiler could not be asked what it is, or the environment gives it other libraries than those that it was asked with."},
		{Script, "The compiler or its assembler is a script: what it does depends on more than what it says of itself."},
		{InBuild, "The compiler lies in the working directory, or in the project or configured build that it is part of: it is being made or changed there, and only itself can say what it makes. One that is ready goes elsewhere."},
		{Werror, "There is no tree, and with -Werror a warning that preprocessed text can't give (-Wall's -Wmisleading-indentation, for one) would make the compile fail."},
		{Preprocess, "The preprocessor failed or printed something; the local compiler says the same in one piece."},
		{Text, "There is no tree, and preprocessed text does not say all that the source says: it tells the assembler to read a file (.incbin, .include), asks for its own columns (std::source_location), or has pragmas that move macros (#pragma GCC target)."},
		{Source, "The source is no regular file: it may be readable only once."},
		{Name, "A name in the command can't be said to a helper."},
		{Diagnostics, "The helper's compiler printed something that may not be what the local one prints: to a terminal that is too narrow or whose colours are not known, in another language, of a temporary file, or from preprocessed text that can't prove it."},
		{Verify, "The compile was done locally too (verify in the configuration), and what a helper had made was not the same. The log names the command."},
		{Unverified, "The compile was to be done locally too (verify in the configuration), and that came to no end that could be compared: it took more than six hours, was killed, or printed more than 16 MiB. It is the local compiler's alone, from the beginning."},
		{BadOutput, "What the helpers returned is not an object for the target; it was thrown away."},
		{Target, "The output's name is taken by something that is no regular file, by the source, or by another output of the command."},
		{Unwritten, "The output could not be written: the local compiler meets the same trouble and says it in its own words; or it is a file with several links that the compiler would write over."},
		{fleet.ReasonNoHost, "The host list names no helper."},
		{fleet.ReasonNoHelper, "No helper is up."},
		{fleet.ReasonNoMatch, "The helpers that are up have no toolchain like the local one."},
		{fleet.ReasonCalibrating, "A helper has a toolchain that may make the same objects, and is being compared with the local one for this set of options, which takes some seconds once; meanwhile jobs that nobody else can do are local."},
		{fleet.ReasonCalibration, "A helper's toolchain of the same version was compared with the local one under these options, or for an attribute or pragma that the source names, and made another object. `crossctl explain` names the sections and functions."},
		{fleet.ReasonDistrusted, "A compile of that helper's was done locally too and differed; it gets no more jobs for this toolchain until `crossctl verify --clear`."},
		{fleet.ReasonDebugInfo, "There is no tree, debug info was asked for, and from preprocessed source its line tables would differ; a host entry with debug=lines accepts that."},
		{fleet.ReasonLost, "Every helper that was tried failed: it went away, or its machine was in trouble."},
		{broker.ReasonTooLong, fmt.Sprintf("The compile took longer than a helper lets one take (%d minutes). It is not begun again at another.", helper.JobTime/time.Minute)},
		{helper.ReasonRejected, "The helper does not take the job: it is not one plain compile, a word of it is not allowed there, or it has thousands of them."},
		{helper.ReasonDraining, "The helper is going away."},
		{helper.ReasonLocale, "The compiler has something to say in C.UTF-8, a locale that the helper lacks (Debian has it in libc-bin)."},
		{wire.NotUTF8, "A name or a word of the job is not UTF-8, which REAPI can't say."},
		{wire.NotNative, "The server, or the helper's compiler, can't be told what -march=native means here."},
		{Settings, "crosscc's configuration has a mistake; `crossctl doctor` names it."},
	}
}

// Trees are the rows of docs/reasons.md for jobs that can't go as a tree.
// They go as preprocessed text; where that doesn't do either they are local, with
// a reason of their own or one of these.
func Trees() []Doc {
	return []Doc{
		{headers.Computed, "The name of a file that is asked for and not included is made by macros in a way that only a preprocessor can follow, or that of an included one is and pragmas of options may change the macros of a compile that makes further outputs; or `-D` has `__has_include` in it; or `##` may make `__TIME__` or `__has_include`."},
		{headers.AsmName, "The assembler reads a file (.incbin, .include) whose name is made by macros. No other form would hold it either: local."},
		{headers.Timestamp, "__TIMESTAMP__ is used."},
		{Date, "__DATE__ or __TIME__ is used without a SOURCE_DATE_EPOCH that this compiler honours."},
		{headers.Precompiled, "A precompiled header lies beside a header. Where the compiler takes it the compile is local: gcc's is an image of its own memory, which no helper takes from a client, and what clang makes of its may differ from what it makes of the headers. gcc's that is out of date does not matter."},
		{headers.Modules, "Header units or modules are imported."},
		{headers.Pragma, "A pragma or attribute changes what is read (#pragma GCC dependency, an alias for a header's name)."},
		{headers.Encoding, "A file's text is not ASCII's kin (UTF-16, say), a `#line` names a file with escapes, or another input charset is set."},
		{headers.Special, "A header is a FIFO, a device, or lies in /proc."},
		{headers.Unreadable, "A header or its directory can't be read."},
		{headers.TooLarge, "Too many files, directories or bytes for a tree."},
		{headers.Changed, "A file changed while it was read, twice in a row."},
		{headers.Option, "An option of the search path that the scanner does not know."},
		{headers.OneFolder, "One directory is mounted at two places of the search path."},
		{headers.Stale, "The compiler's own include directories changed while it was asked for them."},
		{helper.ReasonTreeClosed, "A file of the tree lies where a helper has its toolchain, its libraries or nothing on purpose, or has a name that programs look for by themselves (specs, *.gch, *.so, *.cfg, *.mo), or the helper runs without a sandbox."},
		{wire.NotUTF8, "A name is not UTF-8, which REAPI can't say."},
		{Name, "The working directory's name can't be said to a helper."},
		{Untellable, "In tree form the compiler would not say what it says of a word of this command: an -x behind the source (gcc), words that choose among include directories (clang)."},
		{Asked, "The configuration says source = \"preprocessed\"."},
	}
}

// A Local ends the way of a job to the helpers: it is the build's own
// compiler's. It is an error so that each step of a compile can say it.
type Local struct {
	Reason broker.Reason
	Text   string
	// Slot says that the compiler has work to do that is worth a slot.
	Slot bool
	// Helpers says that only a helper was missing: with CROSSCC_FALLBACK=0
	// the build wants to hear of that instead.
	Helpers bool
}

func (l *Local) Error() string { return l.Text }

// Stay makes a *Local for a compile.
func Stay(reason broker.Reason, format string, args ...any) error {
	return &Local{Reason: reason, Text: fmt.Sprintf(format, args...), Slot: true}
}

// A Treeless is why a job can't go as a tree. Another form may do.
type Treeless struct {
	Reason broker.Reason
	Text   string
	Local  bool // none will
}

func (t *Treeless) Error() string { return t.Text }

// A Failure is crosscc's own: no compiler says it.
type Failure struct {
	Text, Hint string
	Status     int // of distcc's exit statuses, 100 to 120
	// Lost says that a helper was lost on the way, and another may do it.
	Lost bool
}

func (f *Failure) Error() string { return f.Text }

// Exit statuses of crosscc's own, which are distcc's.
const (
	ExitBadWords   = 101
	ExitNoCompiler = 110
	ExitNoHosts    = 116
	ExitGeneral    = 100
)
