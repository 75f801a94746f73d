package wire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker"
)

func TestErrorsSurviveTheWire(t *testing.T) {
	missing := &MissingError{}
	for i := range 3 {
		missing.Digests = append(missing.Digests, broker.DigestOf([]byte{byte(i)}))
	}
	tests := map[string]struct {
		err     error
		code    codes.Code
		refusal broker.Reason
		text    string
	}{
		"refusal":  {broker.Refusef("no-match", "has gcc 11"), codes.FailedPrecondition, "no-match", "has gcc 11"},
		"rejected": {fmt.Errorf("tree: %w", Rejectf("is bad")), codes.InvalidArgument, Rejected, "tree: is bad"},
		"missing":  {missing, codes.FailedPrecondition, "", "3 inputs are missing"},
		"deadline": {context.DeadlineExceeded, codes.DeadlineExceeded, "", "deadline"},
		"machine":  {errors.New("disk is full"), codes.Unavailable, "", "disk is full"},
		"status":   {status.Error(codes.ResourceExhausted, "no room"), codes.ResourceExhausted, "", "no room"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := StatusOf(tt.err)
			if s.Code() != tt.code {
				t.Errorf("status %v, want %v", s.Code(), tt.code)
			}
			back := JobError(status.FromProto(s.Proto()))
			r, ok := errors.AsType[*broker.Refusal](back)
			if ok != (tt.refusal != "") || ok && r.Reason != tt.refusal || !strings.Contains(back.Error(), tt.text) {
				t.Errorf("came back as %#v, want reason %q and text %q", back, tt.refusal, tt.text)
			}
			if m, ok := errors.AsType[*MissingError](back); ok != (name == "missing") || ok && len(m.Digests) != 3 {
				t.Errorf("came back as %v", back)
			}
		})
	}
}

func TestViolationsFitHeaders(t *testing.T) {
	m := &MissingError{Digests: make([]broker.Digest, 50_000)}
	for i := range m.Digests {
		m.Digests[i] = broker.DigestOf([]byte(fmt.Sprint(i)))
	}
	s := StatusOf(m)
	if !IsMissing(JobError(s)) {
		t.Error("does not say what is missing")
	}
	if n := len(s.Proto().String()); n > 16<<10 {
		t.Errorf("status of %d bytes", n)
	}
}

func TestCallErrorsReadWell(t *testing.T) {
	tests := []struct {
		code       codes.Code
		text, want string
	}{
		{codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`,
			"transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused (Unavailable)"},
		{codes.Unavailable, `connection error: desc = "error reading server preface: EOF"`, "no gRPC server answers there: error reading server preface: EOF"},
		{codes.Unimplemented, "unknown service", "no remote-execution server answers there: unknown service"},
	}
	for _, tt := range tests {
		if got := CallError(status.New(tt.code, tt.text)).Error(); got != tt.want {
			t.Errorf("CallError(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestWatched(t *testing.T) {
	ctx, touch, stop := Watched(context.Background(), 500*time.Millisecond)
	defer stop()
	for range 5 {
		time.Sleep(150 * time.Millisecond)
		touch()
	}
	if ctx.Err() != nil {
		t.Fatal("ended though it was touched")
	}
	<-ctx.Done()
	if err := Failed(ctx, status.Error(codes.Canceled, "x")); !strings.Contains(err.Error(), "silent for 500ms") {
		t.Errorf("error %v, want why", err)
	}
}
