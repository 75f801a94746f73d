package helper

import (
	"context"
	"encoding/json"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/helper/catalog"
)

// This file runs jobs that an image defines (broker.Job.Image): the compiler sees all of
// the image with the client's tree laid over it, and links and questions run as well. The
// client names an image by its ID, so that no job is one of another platform's image of
// the same index; one that is not on the shelf is not got because of a job.

// pin reads a job of an image's as a command line again. What it refuses is what plan
// does, but for what an image's toolchain may do.
func (h *Helper) pin(j *broker.Job) (*plan, error) {
	if err := j.Validate(); err != nil {
		return nil, broker.Refusef(ReasonRejected, "%v", err)
	}
	if j.Form != broker.Tree || len(j.Native) > 0 || j.With != "" {
		return nil, broker.Refusef(ReasonRejected, "a job that an image defines is a tree, for no processor or toolchain of the client's")
	}
	d, _ := argv.ParseDriver(j.Name)
	t, err := task.ReadNamed(j.Name, j.Args, argv.Env{
		Family: j.Identity.Family, Job: true,
		ReadFile: func(string) ([]byte, error) { return nil, errors.New("a helper reads no response files") },
		Getenv:   func(string) string { return "" },
	})
	if err != nil {
		return nil, broker.Refusef(ReasonRejected, "%v", err)
	}
	for _, kv := range j.Env {
		if !allowedEnv(j, kv) {
			return nil, broker.Refusef(ReasonRejected, "the environment says %s, which is not honoured here", kv)
		}
	}
	p := &plan{job: j, cxx: d.CXX, env: append([]string{"TMPDIR=/tmp"}, j.Env...), root: j.Root}
	switch t.Kind {
	case task.Compile:
		if err := argv.AdmitWhole(t.Command); err != nil {
			return nil, broker.Refusef(ReasonRejected, "%v", err)
		}
		p.cmd = t.Command
		if err := p.write(); err != nil {
			return nil, err
		}
		if t.Verbose {
			p.args = append(p.args, task.VerboseWord)
		}
	case task.Parts:
		return nil, broker.Refusef(ReasonRejected, "not one plain compile: several sources")
	default:
		if err := p.writeTask(t); err != nil {
			return nil, err
		}
		p.begins(t)
	}
	if t.Stdin {
		if err := p.takeStdin(); err != nil {
			return nil, err
		}
	}
	return p, h.admitPinned(j, t)
}

// writeTask is write for what is no plain compile.
func (p *plan) writeTask(t *task.Task) error {
	names := map[string]string{}
	for i, o := range t.Outputs {
		names[o.Job] = outName(i, o)
	}
	p.args = t.Words(func(job string) string { return path.Join(outDir, names[job]) })
	for _, o := range t.Outputs {
		if o.Written == "" {
			continue
		}
		o.Job = path.Join(outDir, names[o.Job])
		if err := p.lead(o); err != nil {
			return err
		}
	}
	for _, o := range p.job.Outputs {
		if names[o] != "" && !slices.Contains(p.outs, names[o]) {
			p.outs = append(p.outs, names[o])
		}
	}
	if len(p.outs) != len(names) || len(p.outs) != len(p.job.Outputs) {
		return broker.Refusef(ReasonRejected, "outputs %q are not what the command makes", p.job.Outputs)
	}
	return nil
}

// admitPinned is admitTree for a tree that an image is below.
func (h *Helper) admitPinned(j *broker.Job, t *task.Task) error {
	if h.o.Sandbox == "none" {
		return broker.Refusef(ReasonTreeClosed, "without a sandbox no image is served")
	}
	closed := j.Root.Closed
	if t.Kind == task.Link || t.Kind == task.ToolRun {
		closed = j.Root.ClosedToLinks
	}
	if name, why := closed(); why != "" {
		return broker.Refusef(ReasonTreeClosed, "%s of the tree is closed: %s", name, why)
	}
	if why := broker.Closed(path.Join(j.Dir, "a")); why != "" {
		return broker.Refusef(ReasonTreeClosed, "working directory %s is closed: %s", j.Dir, why)
	}
	if _, e, ok := j.Root.Lookup(j.Dir); !ok || e.Dir == nil {
		return broker.Refusef(ReasonRejected, "working directory %s is not in the tree", j.Dir)
	}
	sources := t.Sources
	if t.Command != nil {
		sources = append(sources, t.Command)
	}
	for _, cmd := range sources {
		name := cmd.Source()
		if !path.IsAbs(name) {
			name = j.Dir + "/" + name // not cleaned: links and `..` are the tree's to say
		}
		if !cmd.Language().IsPreprocessed() || cmd.Language().Assembles() {
			continue
		}
		// By way of the image a name may lead to the client's file as well
		// (/usr/../home/me/a.i): what is not found has not been looked through.
		_, e, ok := j.Root.Lookup(name)
		if !ok || e.File == nil {
			return broker.Refusef(ReasonRejected, "the source %s is not in the tree", cmd.Source())
		}
		if err := h.opens(e.File, cmd); err != nil {
			return err
		}
	}
	return nil
}

// planPinned is a job of an image's with its toolchain.
func (h *Helper) planPinned(ctx context.Context, j *broker.Job) (*plan, catalog.Located, error) {
	p, err := h.pin(j)
	if err == nil {
		err = h.Ready(ctx)
	}
	if err != nil {
		return nil, catalog.Located{}, err
	}
	tc, err := h.catalog.Pinned(j)
	if err != nil {
		return nil, catalog.Located{}, err
	}
	own, err := h.catalog.PrivateOf(tc)
	if err == nil {
		err = admitPrivate(j, own)
	}
	return p, tc, err
}

// runPinned is run for a job of an image's. Nothing in an image changes, so what was
// found before the wait for a slot is true behind it.
func (h *Helper) runPinned(ctx context.Context, j *broker.Job) (broker.Result, error) {
	if j.Form == broker.Headers {
		return h.headers(ctx, j)
	}
	p, tc, err := h.planPinned(ctx, j)
	if err != nil {
		return broker.Result{}, err
	}
	return h.answer(ctx, p, tc, func() (catalog.Located, error) { return tc, nil })
}

// headers tells the names that the headers of an image include, which are found once.
func (h *Helper) headers(ctx context.Context, j *broker.Job) (broker.Result, error) {
	if err := h.Ready(ctx); err != nil {
		return broker.Result{}, err
	}
	tc, ok := h.catalog.OfImage(j.Image)
	if !ok {
		return broker.Result{}, broker.Refusef(ReasonNoMatch, "does not serve the image %s", j.Image)
	}
	key := broker.DigestOf([]byte("crosscc image headers v1\n" + tc.Digest + "\n"))
	if data, err := h.o.Store.Action(key); err == nil {
		var r record
		if json.Unmarshal(data, &r) == nil {
			return broker.Result{Stdout: r.Stdout, Cached: true}, nil
		}
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return broker.Result{}, err
	}
	defer release()
	at, err := h.catalog.Hold(ctx, tc)
	if err != nil {
		return broker.Result{}, err
	}
	defer at.Release()
	text, err := headers.NamesOf(ctx, at.Dir)
	if err != nil {
		return broker.Result{}, err
	}
	res := broker.Result{Stdout: text}
	h.keep(key, res)
	return res, nil
}

// pinnedVariables are the directories that a compiler and its linker take from their environment.
var pinnedVariables = []string{"CPATH=", "C_INCLUDE_PATH=", "CPLUS_INCLUDE_PATH=", "OBJC_INCLUDE_PATH=", "OBJCPLUS_INCLUDE_PATH=", "LIBRARY_PATH=", "LD_RUN_PATH="}

func pinnedVariable(kv string) bool {
	return slices.ContainsFunc(pinnedVariables, func(name string) bool { return strings.HasPrefix(kv, name) })
}

// maxStdin bounds what a compiler reads from its standard input.
const maxStdin = 16 << 20

// takeStdin takes standard input out of the tree: a file of that name would be quoted in messages, as one that is piped is not.
func (p *plan) takeStdin() error {
	f, ok := p.job.Root.File(path.Join(p.job.Dir, task.StdinName))
	if !ok {
		return broker.Refusef(ReasonRejected, "the tree has no standard input")
	}
	if f.Blob.Digest.Size > maxStdin {
		return broker.Refusef(ReasonRejected, "standard input has %d bytes, at most %d are read", f.Blob.Digest.Size, maxStdin)
	}
	var err error
	p.stdin, err = f.Blob.Bytes(maxStdin)
	p.root = p.root.Without(path.Join(p.job.Dir, task.StdinName))
	return err
}

// outName is what the i-th output of a task is called below outDir.
func outName(i int, o argv.Output) string { return strconv.Itoa(i) + path.Ext(o.Job) }
