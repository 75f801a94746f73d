package helper

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/toolchains"
)

// outDir is where a job's outputs are written inside the sandbox: no client
// has a directory of that name at its root.
const outDir = "/.crosscc"

// JobTime is how long a helper lets one compile take, and each of its processes compute.
const JobTime = 15 * time.Minute

// limitsOf fills in what bounds one compile. The largest known single compiles
// (machine-made sources of some hundred thousand lines) stay below it.
func limitsOf(l sandbox.Limits) sandbox.Limits {
	l.Wall, l.CPU = cmp.Or(l.Wall, JobTime), cmp.Or(l.CPU, JobTime)
	l.Memory, l.Sum = cmp.Or(l.Memory, 8<<30), cmp.Or(l.Sum, 8<<30)
	l.FileSize, l.OutputSum = cmp.Or(l.FileSize, 2<<30), cmp.Or(l.OutputSum, 2<<30)
	return l
}

// localeUTF8 asks for a locale that is not inside of every C library.
const localeUTF8 = "LC_ALL=C.UTF-8"

// A plan is a job as this helper will run it.
type plan struct {
	job    *broker.Job
	cmd    *argv.Command
	cxx    bool                   // the C++ driver was called
	args   []string               // the words after the program, outputs below outDir
	env    []string               // but for PATH, which is the toolchain's
	outs   []string               // names below outDir, in the order of job.Outputs
	root   *broker.Dir            // what the compiler sees: the job's tree, and links to outDir
	stdin  []byte                 // what the compiler reads
	starts map[string]broker.Blob // what lies in the place of outputs, by their names below outDir
	tool   *toolRun               // of a job of an image's that runs a program beside the compiler
}

// run is the path of one job through the helper.
func (h *Helper) run(ctx context.Context, j *broker.Job) (broker.Result, error) {
	if j.Image != "" {
		return h.runPinned(ctx, j)
	}
	p, err := h.plan(j)
	if err != nil {
		return broker.Result{}, err
	}
	if err := h.Ready(ctx); err != nil {
		return broker.Result{}, err
	}
	tc, err := h.match(ctx, p)
	if err != nil {
		return broker.Result{}, err
	}
	return h.answer(ctx, p, tc, func() (catalog.Located, error) {
		now, err := h.catalog.Match(ctx, j, p.cmd.Language())
		if err == nil && catalog.Same(now.Toolchain, tc.Toolchain) {
			return tc, nil
		}
		if err != nil {
			return catalog.Located{}, err
		}
		return h.match(ctx, p)
	})
}

// answer is the kept result of a plan for a toolchain, or that of running it in a slot.
// The wait for one may be long, so again finds the toolchain behind it: what is run is
// what is keyed.
func (h *Helper) answer(ctx context.Context, p *plan, tc catalog.Located, again func() (catalog.Located, error)) (broker.Result, error) {
	key := keyOf(tc, p)
	if res, err := h.cached(key, p.job); err == nil {
		return res, nil
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return broker.Result{}, err
	}
	defer release()
	now, err := again()
	if err != nil {
		return broker.Result{}, err
	}
	if !catalog.Same(now.Toolchain, tc.Toolchain) {
		key = keyOf(now, p)
	}
	res, err := h.compile(ctx, now, p)
	if err == nil && res.ExitCode == 0 {
		h.keep(key, res)
	}
	return res, err
}

// match finds the toolchain for a plan, and refuses a tree that has files where
// that toolchain has its own.
func (h *Helper) match(ctx context.Context, p *plan) (catalog.Located, error) {
	tc, err := h.catalog.Match(ctx, p.job, p.cmd.Language())
	if err == nil && len(p.job.Native) > 0 {
		err = h.takesNative(ctx, tc)
	}
	if err != nil || p.job.Form != broker.Tree {
		return tc, err
	}
	own, err := h.catalog.PrivateOf(tc)
	if err != nil {
		return tc, err
	}
	return tc, admitPrivate(p.job, own)
}

// plan reads the job as a command line again and refuses what is not one plain
// compile, or what policy forbids: a client is not trusted.
func (h *Helper) plan(j *broker.Job) (*plan, error) {
	if err := j.Validate(); err != nil {
		return nil, broker.Refusef(ReasonRejected, "%v", err)
	}
	d, ok := argv.ParseDriver(j.Name)
	if !ok {
		return nil, broker.Refusef(ReasonRejected, "%q is not the name of a compiler", j.Name)
	}
	cmd := argv.Parse(j.Args, argv.Env{
		Driver: d, Family: j.Identity.Family, Job: true,
		ReadFile: func(string) ([]byte, error) { return nil, errors.New("a helper reads no response files") },
		Getenv:   func(string) string { return "" },
		Native:   len(j.Native) > 0,
	})
	if v := cmd.Verdict(); !v.Remote {
		return nil, broker.Refusef(ReasonRejected, "not one plain compile: %s", v.Detail)
	}
	if err := h.admit(j, cmd); err != nil {
		return nil, err
	}
	if err := admitNative(j, cmd); err != nil {
		return nil, err
	}
	p := &plan{job: j, cmd: cmd, cxx: d.CXX, env: append([]string{"TMPDIR=/tmp"}, j.Env...)}
	if err := p.write(); err != nil {
		return nil, err
	}
	return p, admitWritten(p.args)
}

// write lays out what the compiler is told: its outputs get names below outDir. Where
// the object says the name of another output, the compiler is told that name, and the
// tree has a link there that leads to outDir.
func (p *plan) write() error {
	object, dependencies := path.Join(outDir, "0"+path.Ext(p.cmd.Output())), path.Join(outDir, "1.d")
	makes := []argv.Output{{Name: p.cmd.Output(), Job: object}}
	if p.root = p.job.Root; p.job.Form == broker.Tree {
		makes = p.cmd.Outputs(object, dependencies)
		p.args = p.cmd.Whole(object, dependencies)
	} else {
		p.args = p.cmd.Compile(p.cmd.Source(), object)
	}
	names := map[string]string{}
	for _, o := range makes {
		names[o.Name] = path.Base(o.Job)
		if o.Written != "" {
			if err := p.lead(o); err != nil {
				return err
			}
		}
	}
	for _, o := range p.job.Outputs {
		if names[o] != "" && !slices.Contains(p.outs, names[o]) {
			p.outs = append(p.outs, names[o])
		}
	}
	if len(p.outs) != len(makes) || len(p.outs) != len(p.job.Outputs) {
		return broker.Refusef(ReasonRejected, "outputs %q are not what the command makes, %q", p.job.Outputs, slices.Sorted(maps.Keys(names)))
	}
	return nil
}

// lead makes the name that the compiler is told for an output lead to where it is
// taken from. The directory must be in the tree.
func (p *plan) lead(o argv.Output) error {
	name := o.Written
	if !path.IsAbs(name) {
		name = p.job.Dir + "/" + name // not cleaned: links and `..` are the tree's to say
	}
	dir, base := path.Split(name)
	real, e, ok := p.root.Lookup(dir)
	if !ok || e.Dir == nil {
		return broker.Refusef(ReasonRejected, "the directory of output %s is not in the tree", o.Written)
	}
	at := path.Join(real, base)
	if why := broker.Closed(at); why != "" {
		return broker.Refusef(ReasonTreeClosed, "output %s is closed: %s", o.Written, why)
	}
	root, err := p.root.WithLink(at, o.Job)
	if err != nil {
		return broker.Refusef(ReasonTreeClosed, "output %s: %v", o.Written, err)
	}
	p.root = root
	return nil
}

// compile runs the plan in the sandbox.
func (h *Helper) compile(ctx context.Context, tc catalog.Located, p *plan) (broker.Result, error) {
	at, err := h.catalog.Hold(ctx, tc)
	if err != nil {
		return broker.Result{}, err
	}
	defer at.Release()
	tree, done, err := h.view(ctx, p.root)
	if err != nil {
		return broker.Result{}, err
	}
	defer done()
	driver, shown, speaks := p.driver(tc.Toolchain), tc.Programs, true
	if slices.Contains(p.env, localeUTF8) {
		locale := at.LocaleFiles()
		shown, speaks = append(locale, shown...), len(locale) > 0
	}
	if p.tool != nil {
		if driver, err = toolOf(at, tc.Toolchain, p.tool); err != nil {
			return broker.Result{}, err
		}
		p.tool.program = driver
	}
	begun, over, err := p.begun()
	if err != nil {
		return broker.Result{}, err
	}
	defer over()
	pinned := p.job.Image != ""
	if pinned { // all of the image is seen, and speaks as it does
		shown, speaks = nil, true
	}
	out, err := h.o.Runner(ctx, &sandbox.Spec{
		// A driver's own messages begin with the name that it was called by.
		Path: driver, Args: slices.Concat([]string{p.job.Name}, nativeWords(p.job), p.args), Env: p.environ(tc), Dir: p.job.Dir,
		Programs: shown, Root: at.Dir, Tree: tree, Out: outDir, Outputs: p.outs, Begun: begun, Stdin: p.stdin, Limits: h.o.Limits,
		Texts: nativeTexts(p.job), Whole: pinned,
	})
	if err != nil {
		return broker.Result{}, p.refused(err)
	}
	defer out.Close()
	if err := h.doubt(ctx, tc.Toolchain, at); err != nil {
		return broker.Result{}, err
	}
	if len(out.Stderr) > 0 && !speaks {
		return broker.Result{}, broker.Refusef(ReasonLocale, "has no C.UTF-8 locale, and the compiler has something to say")
	}
	res := broker.Result{ExitCode: out.ExitCode, Stdout: p.printed(out.Stdout), Stderr: p.said(out.Stderr)}
	for _, f := range out.Outputs {
		name := p.job.Outputs[slices.Index(p.outs, f.Name)]
		d, err := h.o.Store.PutFile(f.File)
		if err != nil {
			return broker.Result{}, fmt.Errorf("keep output %s: %w", name, err)
		}
		res.Outputs = append(res.Outputs, broker.Output{Path: name, Blob: h.blob(d), Executable: f.Executable})
	}
	return res, nil
}

// refused is what a client is told of an error of the sandbox: a *broker.Refusal where the job
// itself is to blame and not the machine, else the error.
func (p *plan) refused(err error) error {
	f, ok := errors.AsType[*sandbox.Failure](err)
	switch {
	case !ok:
		return err
	case f.Kind == sandbox.Conflict && p.job.Form == broker.Tree:
		return broker.Refusef(ReasonTreeClosed, "%s", f.Detail)
	case f.Kind == sandbox.BadOutput: // by the job's own words (gcc's -fhelp)
		return broker.Refusef(ReasonRejected, "%v", f)
	case f.Kind == sandbox.WallTime, f.Kind == sandbox.CPU:
		return broker.Refusef(broker.ReasonTooLong, "lets no job take longer: %s", f.Detail)
	}
	return err
}

// environ is the whole environment of the compiler.
func (p *plan) environ(tc catalog.Located) []string {
	return append([]string{"PATH=" + tc.SearchPath}, p.env...)
}

// driver is the program that runs: the driver of the language that was called.
func (p *plan) driver(tc toolchains.Toolchain) string {
	if p.cxx && tc.CXXPath != "" {
		return tc.CXXPath
	}
	return tc.Driver()
}

// doubt looks at the machine before a compiler's word is believed: what a
// toolchain says while it is being upgraded is nobody's.
func (h *Helper) doubt(ctx context.Context, tc toolchains.Toolchain, at *catalog.Place) error {
	now, err := h.catalog.Probe(ctx, at, tc.Driver())
	if err != nil {
		return fmt.Errorf("toolchain is gone: %w", err)
	}
	if !now.Fingerprint.Equal(tc.Fingerprint) {
		return fmt.Errorf("toolchain %s changed while a job ran", tc.Driver())
	}
	return nil
}

func (h *Helper) blob(d broker.Digest) broker.Blob {
	return broker.FileBlob(d, func() (io.ReadCloser, error) { return h.o.Store.Open(d) })
}

// A record is what the store keeps of a successful compile.
type record struct {
	Stdout, Stderr []byte
	Outputs        []recordOutput
}

type recordOutput struct {
	Digest     broker.Digest
	Executable bool
}

// cached is the kept result of an earlier job with this key. Any doubt about
// it, a lost output above all, is an error: the job is then run.
func (h *Helper) cached(key broker.Digest, j *broker.Job) (broker.Result, error) {
	data, err := h.o.Store.Action(key)
	if err != nil {
		return broker.Result{}, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return broker.Result{}, fmt.Errorf("record %s: %w", key.Hash, err)
	}
	if len(r.Outputs) != len(j.Outputs) {
		return broker.Result{}, fmt.Errorf("record %s has %d outputs, job %d", key.Hash, len(r.Outputs), len(j.Outputs))
	}
	res := broker.Result{Stdout: r.Stdout, Stderr: r.Stderr, Cached: true}
	for i, o := range r.Outputs {
		f, err := h.o.Store.Open(o.Digest)
		if err != nil {
			return broker.Result{}, err
		}
		f.Close()
		res.Outputs = append(res.Outputs, broker.Output{Path: j.Outputs[i], Blob: h.blob(o.Digest), Executable: o.Executable})
	}
	return res, nil
}

// keep remembers a successful result under its key. Where that fails the next
// client has to compile again, and nothing else.
func (h *Helper) keep(key broker.Digest, res broker.Result) {
	r := record{Stdout: res.Stdout, Stderr: res.Stderr}
	for _, o := range res.Outputs {
		r.Outputs = append(r.Outputs, recordOutput{Digest: o.Blob.Digest, Executable: o.Executable})
	}
	data, err := json.Marshal(r)
	if err == nil {
		err = h.o.Store.PutAction(key, data)
	}
	if err != nil {
		h.o.Log.WithError(err).Warn("result not kept")
	}
}
