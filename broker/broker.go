// Package broker holds the words that every part below it shares: a Job is one
// compile that may leave the machine, a Result is what the compiler said of it,
// and a Runner is anything that turns the one into the other: a helper in this
// process, a helper across a connection, a remote-execution engine.
//
// A newcomer starts with Job and Runner here, then follows one compile through
// broker/agent (the client's side), broker/reapi (the wire) and broker/helper
// (the side that compiles).
package broker

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/toolchains"
)

// A Form says how the source of a job travels (design: two forms of the source).
type Form int

const (
	// Preprocessed jobs carry the text that the client's own compiler made
	// with -E. Code and data are exact; line tables are not.
	Preprocessed Form = iota + 1
	// Tree jobs carry the source and every header at the client's paths.
	Tree
	// Headers is no compile: the question which names the headers of an image
	// include, answered on standard output (headers.NamesOf).
	Headers
)

func (f Form) String() string {
	switch f {
	case Preprocessed:
		return "preprocessed"
	case Tree:
		return "tree"
	case Headers:
		return "headers"
	}
	return fmt.Sprintf("Form(%d)", int(f))
}

// A Job is one compile: one source, one language, one target, its outputs. It
// is made once, by the agent or by a door, and never changed after.
type Job struct {
	// Name is the compiler's base name as the build called it. It is a name
	// to match and to show; nobody runs it.
	Name string
	// Identity is what the client's compiler is; the helper's must match it.
	Identity toolchains.Identity
	// Fingerprint tells whether two compilers are one build; it may be empty
	// when the client is not one of ours.
	Fingerprint toolchains.Fingerprint
	// With is the digest (toolchains.Toolchain.Digest) of the one toolchain of the
	// helper's that was found to make the same objects as the client's. A helper
	// runs the job with that one or not at all; "" asks for an identical one.
	With string
	// Image is the digest of the image that defines the job, sha256:…; "" when the
	// client's own compiler does. Identity and Fingerprint are then of the toolchain
	// in it. Such a job may be all that task.Read reads, and is a tree.
	Image string
	// Args are the words after the program, as argv.Command.Compile made them.
	Args []string
	// Native is what native in Args means at the client's: the words that gcc's
	// spec cc1_cpu comes to there (native.Answer.Specs in toolchains/native), which argv.AdmitNative
	// admits. Empty when nothing in Args says native.
	Native []string
	// Dir is the client's working directory: absolute and clean.
	Dir string
	// Env is the whole environment of the compiler, sorted K=V words.
	Env []string
	// Root is what the compiler may see, at the client's names.
	Root *Dir
	// Outputs are the names to bring back, as Args say them, relative to Dir.
	Outputs []string
	Form    Form
	// Debug says that debug info was asked for (argv.Command.Debug).
	Debug bool
	// Peer is the name of who sent the job (Peer.Name), as the door knows it, when
	// that peer has sent packs: only it is served by them. "" has sent none.
	Peer string
}

// A Result is what the compiler said, whoever ran it.
type Result struct {
	// ExitCode is the compiler's own exit status. A compiler that died of a
	// signal is an error of the Runner, not a Result.
	ExitCode       int
	Stdout, Stderr []byte
	// Outputs are in the order of Job.Outputs. A compile that failed may have some:
	// gcc leaves the dependencies.
	Outputs []Output
	// Cached says that no compiler ran: an earlier result was handed out.
	Cached bool
	// Helper is the address of who answered, for people.
	Helper string
}

// An Output is one file that the compiler made.
type Output struct {
	Path       string // as in Job.Outputs
	Blob       Blob
	Executable bool
}

// A Runner runs one job. A Runner:
//   - returns a Result with a non-zero ExitCode when the compiler ran and said no;
//   - returns a *Refusal when it will not run this job, but is good for others;
//   - returns any other error only when it cannot say what the compiler would
//     have said (the caller then asks another helper, or compiles locally);
//   - leaves no process behind when it returns, whatever ctx does.
type Runner func(ctx context.Context, j *Job) (Result, error)

// A Reason is a short fixed word for why something was not done remotely. It is
// counted in status and explained in docs/reasons.md.
type Reason string

// ReasonTooLong: the job took longer than a helper lets one take. It would elsewhere, too:
// nobody else is asked, or a build would wait as long once more for each helper.
const ReasonTooLong Reason = "too-long"

// A Refusal is a helper's no to one job. The helper stays good for others.
type Refusal struct {
	Reason Reason
	Text   string // one line for people, without the helper's address
}

func (r *Refusal) Error() string { return r.Text }

// Refusef makes a *Refusal.
func Refusef(reason Reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// MaxArgs bounds the words of a job: bubblewrap takes 9000, its own among them.
const MaxArgs = 6000

// Validate says what is malformed in a job. Both sides call it: the agent to
// find its own mistakes, a door before it believes a word.
func (j *Job) Validate() error {
	if j.Name == "" || strings.ContainsAny(j.Name, "/\x00") {
		return fmt.Errorf("compiler name %q is not a base name", j.Name)
	}
	if !path.IsAbs(j.Dir) || path.Clean(j.Dir) != j.Dir {
		return fmt.Errorf("working directory %q is not an absolute clean path", j.Dir)
	}
	if len(j.Args) > MaxArgs {
		return fmt.Errorf("%d words for the compiler, at most %d are run", len(j.Args), MaxArgs)
	}
	if len(j.Outputs) == 0 && j.Image == "" {
		return fmt.Errorf("job names no output")
	}
	for _, o := range j.Outputs {
		if !CleanRelative(o) {
			return fmt.Errorf("output %q is not a clean relative path", o)
		}
	}
	if !slices.IsSorted(j.Env) {
		return fmt.Errorf("environment is not sorted")
	}
	if j.Root == nil {
		return fmt.Errorf("job has no tree")
	}
	return j.Root.Validate()
}

// CleanRelative reports whether name is a clean path that stays below the
// directory that it starts from.
func CleanRelative(name string) bool {
	return name != "" && name != "." && !path.IsAbs(name) && path.Clean(name) == name &&
		name != ".." && !strings.HasPrefix(name, "../") && !strings.ContainsRune(name, 0)
}

// hidden are where no file of a job may lie: there a helper's sandbox has its
// programs, their libraries and what these read, or nothing on purpose. A client
// that could put a file there would have its own code run (X20: a specs file; the
// loader's preload list).
var hidden = [...]string{
	"/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/opt", "/etc", "/proc", "/dev", "/sys", "/run", "/var", "/tmp", "/.crosscc",
}

// Hidden reports whether name, an absolute clean path, is one where no file or
// working directory of a job may lie. Agents send none; helpers refuse them.
func Hidden(name string) bool {
	return name == "/" || slices.ContainsFunc(hidden[:], func(h string) bool { return name == h || strings.HasPrefix(name, h+"/") })
}
