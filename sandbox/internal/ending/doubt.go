package ending

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
)

// A compiler driver whose compiler was killed, or that found the disk full,
// prints a line and exits with 1, as it does for a wrong program. So after a
// non-zero exit the machine is doubted first. A doubt that is wrong costs one
// local compile; a missing one shows the user an error that is not his.

// A sign is a text by which a program or its loader tells of the machine.
type sign struct {
	text  string
	kind  sandbox.Kind
	notes string // who prints it
}

func signs() []sign {
	return []sign{
		{"No space left on device", sandbox.Disk, "strerror(ENOSPC)"},
		{"Disk quota exceeded", sandbox.Disk, "strerror(EDQUOT)"},
		{"File too large", sandbox.Disk, "strerror(EFBIG): RLIMIT_FSIZE"},
		{"File size limit exceeded", sandbox.Disk, "gcc: SIGXFSZ ended cc1"},
		{"CPU time limit exceeded", sandbox.CPU, "gcc: SIGXCPU ended cc1"},
		{"out of memory", sandbox.Memory, "cc1 (libiberty's xmalloc), LLVM ERROR, ld"},
		{"virtual memory exhausted", sandbox.Memory, "cc1, as"},
		{"memory exhausted", sandbox.Memory, "obstacks, bison's parsers"},
		{"Cannot allocate memory", sandbox.Memory, "strerror(ENOMEM)"},
		{"std::bad_alloc", sandbox.Memory, "an uncaught exception of libstdc++"},
		{"Resource temporarily unavailable", sandbox.Processes, "gcc: vfork failed"},
		{"Too many open files", sandbox.Processes, "strerror(EMFILE)"},
		{"signal terminated program", sandbox.Killed, "gcc: cc1 or as was killed"},
		{"terminated with signal", sandbox.Killed, "collect2, lto-wrapper: ld, or a compiler of its, was killed"},
		{"failed due to signal", sandbox.Killed, "clang: its compiler was killed"},
		{"internal compiler error", sandbox.Killed, "gcc: cc1 caught its own SIGSEGV; even where the source is the cause, its words name this machine"},
		{"PLEASE submit a bug report", sandbox.Killed, "clang: the same"},
		{"error: unable to execute command", sandbox.Killed, "clang: killed, or the program is gone"},
		{"error while loading shared libraries", sandbox.Setup, "ld.so"},
		{"symbol lookup error", sandbox.Setup, "ld.so"},
		{"cannot execute", sandbox.Setup, "gcc: cc1 or as is gone"},
		{"Permission denied", sandbox.Setup, "strerror(EACCES): what is shown is not readable for the sandbox's uid"},
		{"Read-only file system", sandbox.Setup, "strerror(EROFS): it writes beside its outputs, as it could at home"},
		{"Input/output error", sandbox.Disk, "strerror(EIO)"},
		{"Stale file handle", sandbox.Disk, "strerror(ESTALE)"},
	}
}

// doubt looks for a cause of a non-zero exit outside the program's input.
func (e *Ending) doubt(l sandbox.Limits, stale func() error) *sandbox.Failure {
	if err := stale(); err != nil {
		return &sandbox.Failure{Kind: sandbox.Setup, Detail: "toolchain", Err: err}
	}
	switch {
	case e.Events.Killed > 0:
		return e.outOfMemory(l)
	case e.Events.Refused > 0:
		return sandbox.Failf(sandbox.Memory, "the whole run came to %d MiB", l.Sum>>20)
	case e.Events.Unforked > 0:
		return sandbox.Failf(sandbox.Processes, "the whole run came to %d processes", l.Processes)
	}
	for _, dir := range []*os.File{e.Out, e.Tmp} {
		if full(dir) {
			return sandbox.Failf(sandbox.Disk, "no room left in %s", dir.Name())
		}
	}
	if f := readSigns(e.Stderr); f != nil {
		return f
	}
	if e.nearMemory(l) {
		return sandbox.Failf(sandbox.Memory, "%d MiB in use", e.Usage.MaxRSS>>20)
	}
	return nil
}

// readSigns finds a sign in a message; one that says what was short goes before
// one that only says how it ended. Lines that quote the source ("   12 | …") may
// say anything.
func readSigns(stderr []byte) (found *sandbox.Failure) {
	for line := range bytes.Lines(stderr) {
		if bytes.Contains(line, []byte(" | ")) {
			continue
		}
		for _, s := range signs() {
			if !bytes.Contains(line, []byte(s.text)) {
				continue
			}
			f := sandbox.Failf(s.kind, "%s", sandbox.FirstLine(line))
			if s.kind != sandbox.Killed {
				return f
			}
			if found == nil {
				found = f
			}
		}
	}
	return found
}

// nearMemory: an address space is never used to the last page, and where three
// quarters of it are, the next request is what failed.
func (e *Ending) nearMemory(l sandbox.Limits) bool { return e.Usage.MaxRSS >= l.Memory/4*3 }

// full tells whether the file system of dir has no block left.
func full(dir *os.File) bool {
	if dir == nil {
		return false
	}
	var st unix.Statfs_t
	return unix.Fstatfs(int(dir.Fd()), &st) == nil && st.Blocks > 0 && st.Bavail == 0
}
