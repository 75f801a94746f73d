package helper

import (
	"context"
	"fmt"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
)

// This file has gcc take a client's word for what -march=native means (X23).
//
// gcc's driver asks the CPU in one spec, cc1_cpu. A specs file gives it another
// text: the words that the spec came to at the client's, where it was worked out
// for the very same -m words. So they stand in cc1's line where they stand at
// home, the words with native are taken away as the spec would have done it, and
// nothing here looks at this machine's CPU.
//
// The attack: a specs file makes gcc run any program. A client sends words, never
// a file; argv.AdmitNative is the list of what they may be, and the file is
// written here, where no client's file can be.

// nativeFile is where the specs file is inside: no client has a name like that
// (broker.Closed, and the sandbox puts it over the tree).
const nativeFile = "/.crosscc-native"

// admitNative refuses what does not belong together. Words that nobody uses would
// only be another key for the same object.
func admitNative(j *broker.Job, cmd *argv.Command) error {
	switch {
	case len(j.Native) == 0:
		return nil
	case cmd.Family() != argv.GCC || !cmd.Native():
		return broker.Refusef(ReasonRejected, "the job says what native means, and no word of it is native")
	}
	if err := argv.AdmitNative(j.Native); err != nil {
		return broker.Refusef(ReasonRejected, "%v", err)
	}
	return nil
}

// takesNative refuses a gcc of which a specs file can't keep the question for the
// CPU away: one that asks before it reads specs, or in other specs as well.
func (h *Helper) takesNative(ctx context.Context, tc catalog.Located) error {
	at, err := h.catalog.Hold(ctx, tc)
	if err != nil {
		return err
	}
	defer at.Release()
	ok, err := h.catalog.AsksNative(ctx, at, tc)
	if err != nil {
		return fmt.Errorf("ask %s for its specs: %w", tc.Driver(), err)
	}
	if !ok {
		return broker.Refusef(ReasonNative, "has %s, which can't be told what native means at the client's", tc.Identity)
	}
	return nil
}

// nativeWords are the driver's words for a job that says native.
func nativeWords(j *broker.Job) []string {
	if len(j.Native) == 0 {
		return nil
	}
	return []string{"-specs=" + nativeFile}
}

// nativeTexts is the file that nativeWords name. "%>mtune=native" keeps the word
// from cc1, as gcc's own spec does once it is answered.
func nativeTexts(j *broker.Job) map[string]string {
	if len(j.Native) == 0 {
		return nil
	}
	text := "*cc1_cpu:\n%>march=native %>mtune=native " + strings.Join(j.Native, " ") + "\n\n"
	return map[string]string{nativeFile: text}
}
