package reapi

import (
	"context"
	"fmt"
	"slices"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// maxText bounds what a compiler wrote to stdout or stderr, in bytes.
const maxText = 16 << 20

// resultOf takes a result in, outputs and all, and checks that it is an answer
// to this job.
func (c *Client) resultOf(ctx context.Context, j *broker.Job, r *repb.ActionResult) (broker.Result, error) {
	res := broker.Result{ExitCode: int(r.ExitCode)}
	var err error
	if res.Stdout, err = c.text(ctx, r.StdoutRaw, r.StdoutDigest); err != nil {
		return broker.Result{}, fmt.Errorf("stdout: %w", err)
	}
	if res.Stderr, err = c.text(ctx, r.StderrRaw, r.StderrDigest); err != nil {
		return broker.Result{}, fmt.Errorf("stderr: %w", err)
	}
	files, err := c.filesOf(j, r)
	if err != nil {
		return broker.Result{}, err
	}
	for _, path := range j.Outputs {
		if files[path] == nil { // of a compile that failed
			continue
		}
		blob, err := c.output(ctx, files[path])
		if err != nil {
			return broker.Result{}, fmt.Errorf("output %s: %w", path, err)
		}
		res.Outputs = append(res.Outputs, broker.Output{Path: path, Blob: blob, Executable: files[path].IsExecutable})
	}
	return res, nil
}

// filesOf are the outputs of a result by name: those that the job names, each
// there, together within the bound. A compile that failed has those that it got to:
// gcc writes the dependencies before it finds an error.
func (c *Client) filesOf(j *broker.Job, r *repb.ActionResult) (map[string]*repb.OutputFile, error) {
	files := make(map[string]*repb.OutputFile, len(r.OutputFiles))
	room := c.o.MaxOutputs
	for _, f := range r.OutputFiles {
		if !slices.Contains(j.Outputs, f.Path) {
			return nil, fmt.Errorf("output %q was not asked for", f.Path)
		}
		d, err := wire.DigestFromProto(f.Digest)
		if err != nil { // not a Refusal: it is the server that is wrong
			return nil, fmt.Errorf("output %s: %v", f.Path, err)
		}
		if d.Size > room {
			return nil, fmt.Errorf("outputs are over %d bytes", c.o.MaxOutputs)
		}
		room -= d.Size
		files[f.Path] = f
	}
	for _, path := range j.Outputs {
		if files[path] == nil && r.ExitCode == 0 {
			return nil, fmt.Errorf("output %s did not come", path)
		}
	}
	return files, nil
}

// output is the content of one output, verified.
func (c *Client) output(ctx context.Context, f *repb.OutputFile) (broker.Blob, error) {
	want := broker.Digest{Hash: f.Digest.Hash, Size: f.Digest.SizeBytes}
	if len(f.Contents) == 0 && !wire.Empty(want) {
		return c.storage.Read(ctx, want)
	}
	blob := broker.BytesBlob(f.Contents)
	if blob.Digest != want {
		return broker.Blob{}, fmt.Errorf("content is %s, the server said %s", blob.Digest, want)
	}
	return blob, nil
}

// text is what a compiler wrote, carried or to be fetched.
func (c *Client) text(ctx context.Context, raw []byte, p *repb.Digest) ([]byte, error) {
	if len(raw) > 0 || p == nil {
		return raw, nil
	}
	d := broker.Digest{Hash: p.Hash, Size: p.SizeBytes}
	if !d.Valid() || d.Size > maxText {
		return nil, fmt.Errorf("digest %s is malformed or over %d bytes", d, maxText)
	}
	if wire.Empty(d) {
		return nil, nil
	}
	blob, err := c.storage.Read(ctx, d)
	if err != nil {
		return nil, err
	}
	return blob.Bytes(maxText)
}
