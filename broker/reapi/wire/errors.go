package wire

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/crosscc/crosscc/broker"
)

const (
	errorDomain = "crosscc" // of the ErrorInfo that carries a Refusal
	missingType = "MISSING" // of a violation, as REAPI has it
	// maxViolations bounds the missing blobs that a status names: it travels
	// in headers, of which some peers take 8 KiB. A client asks
	// FindMissingBlobs for the rest.
	maxViolations = 64
)

// StatusOf is what a server answers for err:
//   - a Refusal of what is malformed: INVALID_ARGUMENT;
//   - any other Refusal: FAILED_PRECONDITION, with its reason as a detail;
//   - missing blobs: FAILED_PRECONDITION, with a violation each;
//   - a failure of this machine: UNAVAILABLE, so that the client goes elsewhere.
func StatusOf(err error) *status.Status {
	if s, ok := status.FromError(err); ok { // nil as well
		return s
	}
	if r, ok := errors.AsType[*broker.Refusal](err); ok {
		if r.Reason == Rejected {
			return status.New(codes.InvalidArgument, err.Error())
		}
		return detailed(codes.FailedPrecondition, r.Text, &errdetails.ErrorInfo{
			Domain: errorDomain, Reason: string(r.Reason), Metadata: map[string]string{"text": r.Text},
		})
	}
	if m, ok := errors.AsType[*MissingError](err); ok {
		return detailed(codes.FailedPrecondition, m.Error(), violations(m))
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, err.Error())
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, err.Error())
	}
	return status.New(codes.Unavailable, err.Error())
}

// detailed is a status with a detail; one that can't be encoded is left out.
func detailed(code codes.Code, text string, detail protoadapt.MessageV1) *status.Status {
	s := status.New(code, text)
	if with, err := s.WithDetails(detail); err == nil {
		return with
	}
	return s
}

func violations(m *MissingError) *errdetails.PreconditionFailure {
	f := &errdetails.PreconditionFailure{}
	for _, d := range m.Digests[:min(len(m.Digests), maxViolations)] {
		f.Violations = append(f.Violations, &errdetails.PreconditionFailure_Violation{
			Type: missingType, Subject: "blobs/" + d.String(),
		})
	}
	return f
}

// JobError is what a client makes of a server's no to a job: a *broker.Refusal,
// a *MissingError, or a plain error for everything that says nothing about it.
func JobError(s *status.Status) error {
	switch s.Code() {
	case codes.InvalidArgument:
		return broker.Refusef(Rejected, "%s", s.Message())
	case codes.FailedPrecondition:
		for _, detail := range s.Details() {
			switch d := detail.(type) {
			case *errdetails.ErrorInfo:
				if d.Domain == errorDomain {
					return &broker.Refusal{Reason: broker.Reason(d.Reason), Text: d.Metadata["text"]}
				}
			case *errdetails.PreconditionFailure:
				if m := missingOf(d); m != nil {
					return m
				}
			}
		}
	}
	return CallError(s)
}

// missingOf is the MissingError that violations say, or nil. The digests may
// be fewer than are missing.
func missingOf(f *errdetails.PreconditionFailure) error {
	m := &MissingError{}
	for _, v := range f.Violations {
		if v.Type != missingType {
			return nil
		}
		name := strings.TrimPrefix(v.Subject, "blobs/")
		if d, err := broker.ParseDigest(name); err == nil {
			m.Digests = append(m.Digests, d)
		}
	}
	if len(f.Violations) == 0 {
		return nil
	}
	return m
}

// CallError words a failed call for people.
func CallError(s *status.Status) error {
	text := innermost(s.Message())
	switch {
	case strings.Contains(s.Message(), "server preface"):
		// grpc's word for a first answer that is not HTTP/2's.
		return fmt.Errorf("no gRPC server answers there: %s", text)
	case s.Code() == codes.Unimplemented:
		return fmt.Errorf("no remote-execution server answers there: %s", text)
	}
	return fmt.Errorf("%s (%s)", text, s.Code())
}

// innermost unpacks what grpc wraps in layers of `desc = "…"`.
func innermost(text string) string {
	for {
		_, inner, ok := strings.Cut(text, "desc = ")
		if !ok {
			return text
		}
		if plain, err := strconv.Unquote(inner); err == nil {
			inner = plain
		}
		text = inner
	}
}
