package sandbox

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

// A compiler driver whose compiler was killed, or that found the disk full,
// prints a line and exits with 1, as it does for a wrong program. So after a
// non-zero exit the machine is doubted first. A doubt that is wrong costs one
// local compile; a missing one shows the user an error that is not his.

// A sign is a text by which a program or its loader tells of the machine.
type sign struct {
	text  string
	kind  Kind
	notes string // who prints it
}

func signs() []sign {
	return []sign{
		{"No space left on device", Disk, "strerror(ENOSPC)"},
		{"Disk quota exceeded", Disk, "strerror(EDQUOT)"},
		{"File too large", Disk, "strerror(EFBIG): RLIMIT_FSIZE"},
		{"File size limit exceeded", Disk, "gcc: SIGXFSZ ended cc1"},
		{"CPU time limit exceeded", CPU, "gcc: SIGXCPU ended cc1"},
		{"out of memory", Memory, "cc1 (libiberty's xmalloc), LLVM ERROR, ld"},
		{"virtual memory exhausted", Memory, "cc1, as"},
		{"memory exhausted", Memory, "obstacks, bison's parsers"},
		{"Cannot allocate memory", Memory, "strerror(ENOMEM)"},
		{"std::bad_alloc", Memory, "an uncaught exception of libstdc++"},
		{"Resource temporarily unavailable", Processes, "gcc: vfork failed"},
		{"Too many open files", Processes, "strerror(EMFILE)"},
		{"signal terminated program", Killed, "gcc: cc1 or as was killed"},
		{"failed due to signal", Killed, "clang: its compiler was killed"},
		{"internal compiler error", Killed, "gcc: cc1 caught its own SIGSEGV; even where the source is the cause, its words name this machine"},
		{"PLEASE submit a bug report", Killed, "clang: the same"},
		{"error: unable to execute command", Killed, "clang: killed, or the program is gone"},
		{"error while loading shared libraries", Setup, "ld.so"},
		{"symbol lookup error", Setup, "ld.so"},
		{"cannot execute", Setup, "gcc: cc1 or as is gone"},
		{"Permission denied", Setup, "strerror(EACCES): what is shown is not readable for the sandbox's uid"},
		{"Read-only file system", Setup, "strerror(EROFS): it writes beside its outputs, as it could at home"},
		{"Input/output error", Disk, "strerror(EIO)"},
		{"Stale file handle", Disk, "strerror(ESTALE)"},
	}
}

// doubt looks for a cause of a non-zero exit outside the program's input.
func (e *ending) doubt(l Limits, stale func() error) *Failure {
	if err := stale(); err != nil {
		return &Failure{Kind: Setup, Detail: "toolchain", Err: err}
	}
	switch {
	case e.events.Killed > 0:
		return e.outOfMemory(l)
	case e.events.Refused > 0:
		return failf(Memory, "the whole run came to %d MiB", l.Sum>>20)
	case e.events.Unforked > 0:
		return failf(Processes, "the whole run came to %d processes", l.Processes)
	}
	for _, dir := range []*os.File{e.out, e.tmp} {
		if full(dir) {
			return failf(Disk, "no room left in %s", dir.Name())
		}
	}
	if f := readSigns(e.stderr); f != nil {
		return f
	}
	if e.nearMemory(l) {
		return failf(Memory, "%d MiB in use", e.usage.MaxRSS>>20)
	}
	return nil
}

// readSigns finds a sign in a message; one that says what was short goes before
// one that only says how it ended. Lines that quote the source ("   12 | …") may
// say anything.
func readSigns(stderr []byte) (found *Failure) {
	for line := range bytes.Lines(stderr) {
		if bytes.Contains(line, []byte(" | ")) {
			continue
		}
		for _, s := range signs() {
			if !bytes.Contains(line, []byte(s.text)) {
				continue
			}
			f := failf(s.kind, "%s", firstLine(line))
			if s.kind != Killed {
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
func (e *ending) nearMemory(l Limits) bool { return e.usage.MaxRSS >= l.Memory/4*3 }

// full tells whether the file system of dir has no block left.
func full(dir *os.File) bool {
	if dir == nil {
		return false
	}
	var st unix.Statfs_t
	return unix.Fstatfs(int(dir.Fd()), &st) == nil && st.Blocks > 0 && st.Bavail == 0
}
