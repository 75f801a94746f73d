// Package wire is what travels between a client and a server of the Remote
// Execution API, and what either believes of it: jobs as Action, Command and
// Directory messages, digests, platform properties, and errors as statuses.
//
// A newcomer starts with ActionOf and JobOf (action.go), which are each other's
// inverse, and StatusOf and JobError (errors.go), which are so for errors.
// Nothing that came from a peer is believed: each bound stands next to the read
// that it guards.
package wire

import (
	"errors"
	"fmt"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"

	"github.com/crosscc/crosscc/broker"
)

// Reasons of refusals made here.
const (
	// Rejected: what came is malformed, or is not a job that a helper can have.
	Rejected broker.Reason = "rejected"
	// NotUTF8: a name or a word of the job is not UTF-8, and REAPI's are.
	NotUTF8 broker.Reason = "not-utf8"
	// NotNative: the server can't be told what native means.
	NotNative broker.Reason = "native-helper"
)

// emptyHash is SHA-256 of nothing.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Empty reports whether d is the digest of nothing: that blob is always there.
func Empty(d broker.Digest) bool { return d.Size == 0 && d.Hash == emptyHash }

// Rejectf makes a Refusal of what is malformed.
func Rejectf(format string, args ...any) error {
	return broker.Refusef(Rejected, format, args...)
}

// A MissingError says which blobs a server lacks.
type MissingError struct{ Digests []broker.Digest }

func (e *MissingError) Error() string {
	if len(e.Digests) == 0 {
		return "inputs are missing"
	}
	return fmt.Sprintf("%d inputs are missing, the first is %s", len(e.Digests), e.Digests[0])
}

// DigestToProto words a digest.
func DigestToProto(d broker.Digest) *repb.Digest {
	return &repb.Digest{Hash: d.Hash, SizeBytes: d.Size}
}

// DigestFromProto reads a digest and believes nothing: it becomes a file name.
// A malformed one is a Refusal.
func DigestFromProto(p *repb.Digest) (broker.Digest, error) {
	if p == nil {
		return broker.Digest{}, Rejectf("digest is missing")
	}
	d := broker.Digest{Hash: p.Hash, Size: p.SizeBytes}
	if !d.Valid() || d.Size == 0 && !Empty(d) {
		return broker.Digest{}, Rejectf("digest %q of %d bytes is not a SHA-256 digest", p.Hash, p.SizeBytes)
	}
	return d, nil
}

// DigestsToProto words digests.
func DigestsToProto(ds []broker.Digest) []*repb.Digest {
	out := make([]*repb.Digest, 0, len(ds))
	for _, d := range ds {
		out = append(out, DigestToProto(d))
	}
	return out
}

// DigestsFromProto believes nothing either.
func DigestsFromProto(ps []*repb.Digest) ([]broker.Digest, error) {
	out := make([]broker.Digest, 0, len(ps))
	for _, p := range ps {
		d, err := DigestFromProto(p)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// CheckFunction refuses digests that are not SHA-256's. Clients of before 2.3
// do not say which function they use.
func CheckFunction(f repb.DigestFunction_Value) error {
	if f != repb.DigestFunction_UNKNOWN && f != repb.DigestFunction_SHA256 {
		return Rejectf("digest function %v is not served, SHA256 is", f)
	}
	return nil
}

// IsMissing finds a MissingError in err.
func IsMissing(err error) bool {
	_, ok := errors.AsType[*MissingError](err)
	return ok
}
