// Package sandbox runs one program on files that strangers chose, and hands
// back what it wrote: a [Spec] goes in, an [Outcome] or an error comes out.
//
// It is the room between a helper that has decided what to run and the kernel:
// it knows programs, libraries, mounts, limits and descriptors, and nothing
// about compilers, jobs or peers. This package is the contract alone: start with
// [Runner]. Three packages keep it:
//
//   - sandbox/bubblewrap, without root and without a service: the default;
//   - sandbox/docker, in warm containers of a Docker Engine;
//   - sandbox/direct, without walls.
//
// They share what is shown to a program (internal/closure, internal/view), what is
// around its process (internal/process, internal/seccomp, sandbox/groups), and how
// its end is judged (internal/ending). Package sandbox/prove is what a helper calls
// before it takes its first job.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Spec says what to run, what it may see and how much it may use.
type Spec struct {
	// Path is the program inside, and Args its words, argv[0] included;
	// Args[0] may differ from Path, and only its base name is sure to arrive.
	Path string
	Args []string
	// Env is the whole environment, K=V. PWD is always Dir, whatever Env says,
	// so Dir has the spelling that the program should see.
	Env []string
	// Dir is the working directory inside, absolute. Links of the tree may be on
	// its way; then it must be in the tree.
	Dir string
	// Programs are the host's programs to show, with their links, interpreters
	// and libraries, file by file and read-only. A file that may not be executed
	// is shown as it is (a table of the C library's). What the tree has under
	// the same name is not seen.
	Programs []string
	// Root is the host directory that Programs are below, with all their links
	// and libraries: an unpacked image. "" means "/".
	Root string
	// Whole shows everything below Root, which must not be "/", but for what is
	// the sandbox's own (/dev, /proc, /run, /sys and Out). Such a Spec has no
	// Programs. A Tree is laid over it: what Root has under the same name, but for a
	// directory, is a Conflict.
	Whole bool
	// Brief says that the program is only asked something, as many others are: it
	// will be over in a moment. A runner for which it is costly to show programs may do so
	// in a way that is cheap for one run; what is seen is the same.
	Brief bool
	// Tree is a host directory made by the caller: each of its entries appears
	// read-only at /. "" means none. It must be readable for the uid that the
	// runner uses, and free of anything that a peer can still change.
	Tree string
	// Texts are small read-only files of the caller's own, by absolute clean place.
	// What the tree has under the same name is not seen.
	Texts map[string]string
	// Out is an absolute directory inside that is empty but for what is Begun,
	// writable and taken from; "" means none. Outputs are the names below it to take. Each must be
	// there when the program exits 0.
	Out     string
	Outputs []string
	// Begun are outputs that are there when the program starts.
	Begun []Begun
	// Stdin is what the program reads, to its end.
	Stdin  []byte
	Limits Limits
}

// Limits bound one run. A zero field means the default given beside it.
type Limits struct {
	Wall      time.Duration // from start to end: 10 minutes
	CPU       time.Duration // of each process, rounded up to seconds: 10 minutes
	Memory    int64         // address space of each process, bytes: 8 GiB
	Sum       int64         // memory of all processes and of Out and /tmp together, bytes, where that can be bounded: 8 GiB
	FileSize  int64         // of each file written, bytes: 1 GiB
	OutputSum int64         // of everything in Out, bytes: 1 GiB
	Temp      int64         // of everything in /tmp, bytes: 1 GiB
	Stdout    int64         // bytes: 16 MiB
	Stderr    int64         // bytes: 16 MiB
	Processes int           // processes and threads at one time: 64
}

// OrDefaults is l with each zero field as it is documented.
func (l Limits) OrDefaults() Limits {
	l.Wall = or(l.Wall, 10*time.Minute)
	l.CPU = or(l.CPU, 10*time.Minute)
	l.Memory = or(l.Memory, 8<<30)
	l.Sum = or(l.Sum, 8<<30)
	l.FileSize = or(l.FileSize, 1<<30)
	l.OutputSum = or(l.OutputSum, 1<<30)
	l.Temp = or(l.Temp, 1<<30)
	l.Stdout = or(l.Stdout, 16<<20)
	l.Stderr = or(l.Stderr, 16<<20)
	l.Processes = or(l.Processes, 64)
	return l
}

func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// An Outcome is what the program itself said and left.
type Outcome struct {
	ExitCode       int
	Stdout, Stderr []byte
	// Outputs are in the order of Spec.Outputs. After a non-zero exit they are
	// those that are there: a compiler that says no may have written what the
	// source depends on.
	Outputs []File
	Usage   Usage
}

// A File is an output: a regular file opened for reading, at its beginning. It
// has no name on the host any more; it lives until it is closed.
type File struct {
	Name       string
	File       *os.File
	Size       int64
	Executable bool
}

// Usage is what a run cost, the sandbox's own set-up included.
type Usage struct {
	Wall, User, System time.Duration
	MaxRSS             int64 // bytes, of the largest process; 0 when it can't be known
}

// Close closes the outputs. It may be called twice.
func (o *Outcome) Close() {
	for _, f := range o.Outputs {
		f.File.Close()
	}
	o.Outputs = nil
}

// A Runner runs one Spec. A Runner:
//   - returns an Outcome, with a non-zero ExitCode too, when the program ran
//     and ended by itself; the caller closes the Outcome;
//   - returns an error only when it cannot say what the program would have
//     said: a *[Failure], or the cause of ctx;
//   - returns no Outputs that are not regular files, and follows no link that
//     the program made;
//   - leaves no process and no file behind when it returns, whatever ctx does
//     and whatever the program does;
//   - may be called from many goroutines, and does not change the Spec.
type Runner func(ctx context.Context, s *Spec) (*Outcome, error)

// Kind says why there is no Outcome. Its values are stable: they are counted.
type Kind string

const (
	Setup     Kind = "setup"      // the sandbox, the program or its libraries could not be started
	Conflict  Kind = "conflict"   // the tree wants a name that the toolchain or the sandbox has
	Killed    Kind = "killed"     // a signal ended the program or a part of it
	Memory    Kind = "memory"     // it ran out of memory
	Disk      Kind = "disk"       // it ran out of room for files
	CPU       Kind = "cpu"        // it used more CPU time than allowed
	WallTime  Kind = "wall-time"  // it took longer than allowed
	Processes Kind = "processes"  // it could not start a process
	TooMuch   Kind = "too-much"   // it printed more than allowed
	BadOutput Kind = "bad-output" // an output is absent, too large, or no regular file
)

// A Failure is an error of a Runner's: the machine's fault or a limit's, never
// a verdict about the program's input.
type Failure struct {
	Kind   Kind
	Detail string // one line, without the kind
	Err    error  // the cause, or nil
}

func (f *Failure) Error() string {
	s := "sandbox: " + string(f.Kind) + ": " + f.Detail
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

func (f *Failure) Unwrap() error { return f.Err }

// Failf makes a Failure without a cause.
func Failf(k Kind, format string, args ...any) *Failure {
	return &Failure{Kind: k, Detail: fmt.Sprintf(format, args...)}
}

// FirstLine shortens what a program said to what fits into a Failure's Detail.
func FirstLine(said []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	if line == "" {
		return "no message"
	}
	return line[:min(len(line), 500)]
}

// Check refuses a Spec that a caller got wrong. Runners call it before anything is
// made.
func (s *Spec) Check() error {
	switch {
	case !filepath.IsAbs(s.Path):
		return fmt.Errorf("sandbox: program %q is not an absolute path", s.Path)
	case len(s.Args) == 0:
		return errors.New("sandbox: no argv[0]")
	case !filepath.IsAbs(s.Dir):
		return fmt.Errorf("sandbox: working directory %q is not absolute", s.Dir)
	case s.Root != "" && (!filepath.IsAbs(s.Root) || path.Clean(s.Root) != s.Root):
		return fmt.Errorf("sandbox: root %q is not a clean absolute path", s.Root)
	case s.Whole && !s.Foreign():
		return errors.New("sandbox: all of this machine's own root is not for a sandbox to show")
	case s.Whole && len(s.Programs) > 0:
		return errors.New("sandbox: a whole root has all of its programs")
	}
	if err := s.checkOut(); err != nil {
		return err
	}
	for name := range s.Texts {
		if !filepath.IsAbs(name) || path.Clean(name) != name || name == "/" {
			return fmt.Errorf("sandbox: place %q of a text is not a clean absolute path below /", name)
		}
	}
	for _, w := range slices.Concat(s.Env, s.Args) {
		if strings.IndexByte(w, 0) >= 0 {
			return fmt.Errorf("sandbox: NUL in %q", w)
		}
	}
	return s.checkEnv()
}

// Foreign reports whether the programs are below another root than this machine's.
func (s *Spec) Foreign() bool { return s.Root != "" && s.Root != "/" }

func (s *Spec) checkOut() error {
	if s.Out == "" && len(s.Outputs) > 0 {
		return errors.New("sandbox: outputs without a directory for them")
	}
	if s.Out != "" && (!filepath.IsAbs(s.Out) || path.Clean(s.Out) != s.Out || s.Out == "/") {
		return fmt.Errorf("sandbox: output directory %q is not a clean absolute path below /", s.Out)
	}
	for _, name := range s.Outputs {
		if !filepath.IsLocal(name) || path.Clean(name) != name || name == "." {
			return fmt.Errorf("sandbox: output %q is not a clean relative name", name)
		}
	}
	return s.checkBegun()
}

func (s *Spec) checkEnv() error {
	for _, kv := range s.Env {
		if strings.IndexByte(kv, '=') < 1 {
			return fmt.Errorf("sandbox: environment entry %q is not K=V", kv)
		}
	}
	return nil
}
