package wire

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
)

const (
	maxAction  = 64 << 10 // bytes of an Action: digests and platform
	maxCommand = 4 << 20  // bytes of a Command: 30,000 words have room
	maxFields  = 100_000  // fields of one message of an action
)

// A Source is where the blobs of an action are read from.
type Source struct {
	// Open returns the verified content of d, or a *MissingError.
	Open func(d broker.Digest) (io.ReadCloser, error)
	// Missing returns those of ds that Open would not find. It neither keeps
	// nor changes ds.
	Missing func(ds []broker.Digest) []broker.Digest
	// Folders remembers the directories that were read; nil is for none.
	Folders *Folders
}

// A Request is a job with what its action says beside it.
type Request struct {
	Job *broker.Job
	// Timeout of the compile; 0 means none of its own.
	Timeout time.Duration
	// DoNotCache forbids to hand its result to a later request.
	DoNotCache bool
}

// JobOf reads the job of an action back and checks it as a door must: a
// malformed one, or one that is not a compile, is a *broker.Refusal with the
// reason Rejected; a *MissingError names the blobs that from lacks. The job's
// files are read from the source when they are needed.
func JobOf(action broker.Digest, from Source) (*Request, error) {
	message, err := from.Read(action, maxAction)
	if err != nil {
		return nil, fmt.Errorf("action: %w", err)
	}
	var a repb.Action
	if err := decode(message, &a); err != nil {
		return nil, fmt.Errorf("action: %w", err)
	}
	named, err := DigestFromProto(a.CommandDigest)
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	command, err := from.Read(named, maxCommand)
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	return jobOf(&a, command, from)
}

// JobFrom is JobOf for an action whose messages came with the call.
func JobFrom(action, command []byte, from Source) (*Request, error) {
	if len(action) > maxAction || len(command) > maxCommand {
		return nil, Rejectf("action of %d bytes with a command of %d, at most %d and %d are served", len(action), len(command), maxAction, maxCommand)
	}
	var a repb.Action
	if err := decode(action, &a); err != nil {
		return nil, fmt.Errorf("action: %w", err)
	}
	if got := broker.DigestOf(command); a.CommandDigest.GetHash() != got.Hash || a.CommandDigest.GetSizeBytes() != got.Size {
		return nil, Rejectf("command is %s, the action names %s/%d", got, a.CommandDigest.GetHash(), a.CommandDigest.GetSizeBytes())
	}
	return jobOf(&a, command, from)
}

func jobOf(a *repb.Action, command []byte, from Source) (*Request, error) {
	var c repb.Command
	if err := decode(command, &c); err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	j, err := jobOfCommand(a, &c)
	if err != nil {
		return nil, err
	}
	if err := readTree(j, a.InputRootDigest, from); err != nil {
		return nil, err
	}
	r := &Request{Job: j, DoNotCache: a.DoNotCache}
	if a.Timeout != nil {
		r.Timeout = max(a.Timeout.AsDuration(), time.Nanosecond)
	}
	return r, nil
}

// jobOfCommand is everything of a job but its files.
func jobOfCommand(a *repb.Action, c *repb.Command) (*broker.Job, error) {
	if len(c.Arguments) == 0 {
		return nil, Rejectf("command has no words")
	}
	for _, w := range c.Arguments {
		if strings.ContainsRune(w, 0) {
			return nil, Rejectf("word %q of the command holds a NUL", w)
		}
	}
	j := &broker.Job{
		// A name to match, never a path to run.
		Name: path.Base(c.Arguments[0]),
		Args: c.Arguments[1:],
		Dir:  "/" + c.WorkingDirectory,
	}
	if c.WorkingDirectory != "" && !broker.CleanRelative(c.WorkingDirectory) {
		return nil, Rejectf("working directory %q is not a clean relative path", c.WorkingDirectory)
	}
	var err error
	if j.Outputs, err = sortedOutputs(c); err != nil {
		return nil, err
	}
	if j.Env, err = environmentOf(c.EnvironmentVariables); err != nil {
		return nil, err
	}
	if err := readPlatform(requirementsOf(a, c), j); err != nil {
		return nil, err
	}
	return j, checkCompile(j)
}

// sortedOutputs are the outputs that a command names, each once.
func sortedOutputs(c *repb.Command) ([]string, error) {
	named, err := outputsOf(c)
	if err != nil {
		return nil, err
	}
	outputs := slices.Sorted(slices.Values(named))
	for i, o := range outputs {
		if i > 0 && o == outputs[i-1] {
			return nil, Rejectf("output %q is named twice", o)
		}
	}
	return outputs, nil // Job.Validate looks at each
}

// checkCompile refuses what is not one plain compile and fills in what the
// words say. Policy, which words may run, is the runner's (argv.Admit).
func checkCompile(j *broker.Job) error {
	env := argv.Env{
		Family: j.Identity.Family, Job: true,
		ReadFile: func(string) ([]byte, error) { return nil, errors.New("a server reads no response files") },
		Getenv:   func(string) string { return "" }, // environmentOf refused what would matter
		Native:   len(j.Native) > 0,
	}
	if j.Form == broker.Headers && j.Image == "" {
		return Rejectf("a question for the headers of no image")
	}
	if j.Form == broker.Headers {
		return nil
	}
	if j.Image != "" {
		t, err := task.ReadNamed(j.Name, j.Args, env)
		if err != nil {
			return Rejectf("%v", err)
		}
		j.Debug = t.Command != nil && t.Command.Debug()
		return nil
	}
	var ok bool
	if env.Driver, ok = argv.ParseDriver(j.Name); !ok {
		return Rejectf("%q is not the name of a compiler", j.Name)
	}
	c := argv.Parse(j.Args, env)
	if v := c.Verdict(); !v.Remote {
		return Rejectf("not one plain compile: %s", v.Detail)
	}
	j.Debug = c.Debug()
	return nil
}

// decode reads one message of an action.
func decode(data []byte, m proto.Message) error {
	// Two bytes on the wire can become a hundred in memory: count first.
	if n := Fields(data); n > maxFields {
		return Rejectf("message has %d fields, at most %d are served", n, maxFields)
	}
	if err := proto.Unmarshal(data, m); err != nil {
		return Rejectf("message is malformed")
	}
	return nil
}

// Read returns the whole of d, which must not be over limit bytes. The content
// is as long as declared and, from a verifying Open, as digested.
func (s Source) Read(d broker.Digest, limit int64) ([]byte, error) {
	switch {
	case !d.Valid():
		return nil, Rejectf("digest %q is not a SHA-256 digest", d.Hash)
	case d.Size > limit:
		return nil, Rejectf("%s is over the limit of %d bytes", d, limit)
	case Empty(d):
		return nil, nil
	}
	f, err := s.Open(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, d.Size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("read %s: %w", d, err)
	}
	return data, nil
}

// Fields counts the fields of a message, those of nested messages left out.
func Fields(data []byte) int {
	n := 0
	for len(data) > 0 {
		_, _, size := protowire.ConsumeField(data)
		if size < 0 {
			return n // malformed: Unmarshal says so
		}
		data = data[size:]
		n++
	}
	return n
}
