// Package words owns what crossctl says to people. Its rules:
//
//   - What was asked for goes to stdout; everything else goes to stderr.
//   - Each line on stderr starts with "crossctl: " and its kind: error, hint or
//     note. No capitals, no full stops.
//   - A hint is the next thing to type, or says where to look.
//   - Words that came from elsewhere (a helper's, an agent's) are shown without
//     the control characters that a terminal would obey.
//
// A newcomer starts with Report, which prints the error that a command ended with,
// and Page, which takes what was asked for.
package words

import (
	"errors"
	"fmt"
	"io"
)

// exit statuses of crossctl.
const (
	exitWell    = 0
	exitFinding = 1 // something is not as it should be
	exitUsage   = 2 // the command line cannot be done
)

// A Fault is an error with what to do about it: something is not as it should be,
// or the command line cannot be done.
type Fault struct {
	Text  string
	Hints []string
	Usage bool  // the command line cannot be done
	Err   error // what it wraps; may be nil
}

// Error is the text, which says what failed and with which input.
func (f *Fault) Error() string { return f.Text }

// Unwrap is what it wraps.
func (f *Fault) Unwrap() error { return f.Err }

// ErrFinding makes crossctl exit with 1 after it has said all that there is.
var ErrFinding = errors.New("a finding")

// Misused is the error of a command line that cannot be done; topic is the
// command whose help would tell, or "".
func Misused(topic, format string, args ...any) *Fault {
	hint := "crossctl --help"
	if topic != "" {
		hint = "crossctl " + topic + " --help"
	}
	return &Fault{Text: fmt.Sprintf(format, args...), Hints: []string{"see `" + hint + "`"}, Usage: true}
}

// Report prints err and returns the exit status that it means: 0 well, 1 a finding,
// 2 usage.
func Report(w io.Writer, err error) (exit int) {
	if err == nil {
		return exitWell
	}
	if errors.Is(err, ErrFinding) {
		return exitFinding
	}
	fmt.Fprintf(w, "crossctl: error: %s\n", Plain(err.Error()))
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		return exitFinding
	}
	for _, h := range f.Hints {
		fmt.Fprintf(w, "crossctl: hint: %s\n", Plain(h))
	}
	if f.Usage {
		return exitUsage
	}
	return exitFinding
}
