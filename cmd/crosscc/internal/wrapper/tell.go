package wrapper

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Everything of ours that a user sees is printed here. One line each, to
// stderr, never to stdout; "crosscc: " goes before it, to tell it from the
// compiler's words. ccache keeps a compile's stderr and prints it again, so
// below ccache our words go to the descriptor that it names in
// UNCACHED_ERR_FD. Notes, which are no errors, go to CROSSCC_LOG where set.

const usage = `usage: crosscc COMPILER ARGS...     run one compiler command, on a helper where that is exact
       crosscc --help | --version
       COMPILER ARGS...             with COMPILER a link to crosscc, first on PATH

COMPILER is a name on PATH or a path. Links to crosscc, ccache, distcc, icecc
and sccache are passed over.

  CROSSCC_HOSTS       helpers to use; without any, this machine
  CROSSCC_DIR         state, socket and log of the agent (default: the user's XDG directories)
  CROSSCC_DISABLE=1   run the compiler at once, as if crosscc were not there
  CROSSCC_FALLBACK=0  fail where no helper can serve, instead of compiling here
  CROSSCC_LOG=FILE    where notes go (default: stderr)

The exit status is the compiler's; crosscc's own are
  101 bad arguments       103 no agent, and CROSSCC_FALLBACK=0
  110 compiler not found  111 crosscc calls itself

Example: build for arm64, three jobs at once
  make -j3 CC="crosscc aarch64-linux-gnu-gcc"
`

// printUsage prints text: on stdout when it was asked for.
func printUsage(env Env, args []string, text string) int {
	if len(args) < 2 {
		_, _ = env.Stderr.WriteString(text)
		return exitUsage
	}
	if text == "" {
		w := &wrapper{Env: env}
		return w.fail(exitUsage, "the first word must be a compiler: "+strconv.Quote(args[1]), "crosscc --help")
	}
	if _, err := env.Stdout.WriteString(text); err != nil {
		return exitUsage
	}
	return 0
}

// fail prints an error and returns the status to exit with.
func (w *wrapper) fail(status int, message, hint string) int {
	text := "crosscc: error: " + oneLine(message) + "\n"
	if hint != "" {
		text += "crosscc: hint: " + oneLine(hint) + "\n"
	}
	if fd, ok := w.uncached(); ok {
		_, _ = syscall.Write(fd, []byte(text))
	} else {
		_, _ = w.Stderr.WriteString(text)
	}
	if status < 1 || status > 255 {
		status = 1 // an agent that fails with success must not be believed
	}
	return status
}

// note prints one line that is no error. CROSSCC_LOG_LEVEL=error silences it.
func (w *wrapper) note(message string) {
	switch w.getenv("CROSSCC_LOG_LEVEL") {
	case "error", "fatal", "panic":
		return
	}
	text := "crosscc: " + oneLine(message) + "\n"
	if fd, ok := w.uncached(); ok {
		_, _ = syscall.Write(fd, []byte(text))
		return
	}
	if name := w.getenv("CROSSCC_LOG"); name != "" {
		if f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666); err == nil {
			defer f.Close()
			_, _ = f.WriteString(text)
			return
		}
	}
	_, _ = w.Stderr.WriteString(text)
}

// uncached is the descriptor that ccache left for us, if it is open.
func (w *wrapper) uncached() (fd int, ok bool) {
	fd, err := strconv.Atoi(w.getenv("UNCACHED_ERR_FD"))
	var st syscall.Stat_t
	return fd, err == nil && fd >= 0 && syscall.Fstat(fd, &st) == nil
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' ' // a helper's words are not for the terminal to obey
		}
		return r
	}, strings.TrimSpace(s))
}
