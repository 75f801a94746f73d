package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// This file does commands that an image defines (docs/pins.md): a project or the
// environment has pinned one for the target. Whatever the command is, it is done in the
// image at a helper or not at all: what the local compiler makes is not what was asked
// for. The client needs no compiler; of its files the project's own count, and where
// the image has its files the client's are not looked at.

// A pinned is one such command.
type pinned struct {
	a       *Agent
	s       *session
	set     settings
	pin     images.Pin
	driver  argv.Driver
	said    string // the target that the command's words say
	helpers []fleet.Imaged
	tc      toolchains.Toolchain // of the image
	task    *argv.Task
}

// pinOf finds the image that defines a command; false when the local compiler does.
func (a *Agent) pinOf(s *session) (*pinned, bool, error) {
	d, ok := argv.ParseDriver(path.Base(s.Request.Args[0]))
	if !ok {
		return nil, false, nil
	}
	set, err := a.settings(s)
	if err != nil && set.mayPin {
		return nil, true, &failure{text: err.Error(), hint: "mend it; CROSSCC_DISABLE=1 runs the local compiler", status: exitBadWords}
	}
	if err != nil || set.pins.None() {
		return nil, false, nil // prepare says what is wrong
	}
	said := saidTarget(d, s.Request.Args)
	pin, ok := set.pins.For(cmp.Or(said, machines[runtime.GOARCH])) // a bare name is this machine's
	return &pinned{a: a, s: s, set: set, pin: pin, driver: d, said: said}, ok, nil
}

// saidTarget is what a command compiles for as its words say it: by the compiler's name,
// or by clang's option; "" where they don't.
func saidTarget(d argv.Driver, words []string) string {
	target := d.Prefix
	for i, w := range words {
		if t, ok := strings.CutPrefix(w, "--target="); ok && d.Family != argv.GCC {
			target = t
		}
		if w == "-target" && d.Family != argv.GCC && i+1 < len(words) {
			target = words[i+1]
		}
	}
	return target
}

// machines are the targets of bare names, by Go's name of the processor.
var machines = map[string]string{
	"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "riscv64": "riscv64-linux-gnu", "386": "i686-linux-gnu",
	"arm": "arm-linux-gnueabihf", "ppc64le": "powerpc64le-linux-gnu", "s390x": "s390x-linux-gnu", "loong64": "loongarch64-linux-gnu",
}

// prepare finds helpers, the image's compiler, and what the command is.
func (p *pinned) prepare() error {
	ctx := p.s.Context()
	var err error
	if p.helpers, err = p.a.fleet.Imaged(ctx, p.set.hosts, p.pin.Digest.String()); err != nil {
		return p.lost(err, "crossctl status; a helper serves an image that its configuration names, or that crossctl image add has added there")
	}
	if err := p.choose(); err != nil {
		return err
	}
	p.task, err = argv.ReadTask(p.s.Request.Args[1:], argv.Env{
		Driver: p.driver, Family: p.tc.Family, Getenv: p.variable,
		ReadFile: func(name string) ([]byte, error) { return p.s.root.ReadFile(p.s.abs(name), maxWords) },
	})
	if err != nil {
		return p.cannot("%v", err)
	}
	for _, name := range []string{"GCC_EXEC_PREFIX", "COMPILER_PATH"} {
		if p.s.isSet(name) {
			return p.cannot("%s names programs of this machine, and the image's are used", name)
		}
	}
	return nil
}

// variable is the environment for the words of a command. What is preloaded into a
// compiler here reaches none in an image.
func (p *pinned) variable(key string) string {
	if key == "LD_PRELOAD" || key == "GLIBC_TUNABLES" || key == "GCC_ROOT" {
		return ""
	}
	return p.s.getenv(key)
}

// choose finds the compiler of the image that the command means: by family, target and
// version, or by its bare name.
func (p *pinned) choose() error {
	var has []string
	for _, h := range p.helpers {
		for _, tc := range h.Toolchains {
			if p.means(tc) {
				p.tc = tc
				return nil
			}
			has = append(has, path.Base(tc.Driver())+" ("+tc.Identity.String()+")")
		}
	}
	slices.Sort(has)
	return &failure{
		text: fmt.Sprintf("the image %s has no %s; it has %s", p.pin, path.Base(p.s.Request.Args[0]), strings.Join(slices.Compact(has), ", ")),
		hint: "call one that is there, or pin another image for this target", status: exitNoCompiler,
	}
}

// means reports whether the build's name for its compiler is one of a toolchain's.
func (p *pinned) means(tc toolchains.Toolchain) bool {
	d := p.driver
	if len(tc.Derived) > 0 {
		return false // nothing of that name is there, and the command has none of the words
	}
	if d.Family != argv.Unknown && d.Family != tc.Family || d.CXX && tc.CXXPath == "" && tc.Family != argv.Clang {
		return false
	}
	if d.Suffix != "" && tc.Version != d.Suffix && !strings.HasPrefix(tc.Version, d.Suffix+".") {
		return false
	}
	if d.Prefix != "" {
		return triple.Same(d.Prefix, tc.Target) || tc.Family == argv.Clang && tc.CanTarget(d.Prefix)
	}
	if p.said != "" {
		return tc.CanTarget(p.said) // clang is told
	}
	if !forThisMachine(tc.Target) {
		return false
	}
	// A bare name is the program of that name: another target's has its own in front.
	for _, name := range []string{tc.Path, tc.CXXPath} {
		if of, ok := argv.ParseDriver(path.Base(name)); ok && (of.Prefix == "" || triple.Same(of.Prefix, machines[runtime.GOARCH])) {
			return true
		}
	}
	return tc.Family == argv.Clang
}

// forThisMachine reports whether objects for a target are this machine's, whatever the
// library.
func forThisMachine(target string) bool {
	t, err := triple.Parse(triple.Canonical(target))
	own, errOwn := triple.Parse(machines[runtime.GOARCH])
	if err != nil || errOwn != nil {
		return true // nothing is known
	}
	of, known := t.Machine(nil)
	here, knownHere := own.Machine(nil)
	of.Target, here.Target = "", "" // for messages
	return of == here || !known || !knownHere
}

// A made is what a job of a command's gave.
type made struct {
	res     broker.Result
	outputs []argv.Output // names of the command, by names of the job; the object last
	removed []string      // what the compiler takes away when it fails
}

// pinned does a command that an image defines.
func (a *Agent) pinned(p *pinned) error {
	if err := p.prepare(); err != nil {
		return err
	}
	all, err := p.run()
	if err != nil {
		return err
	}
	fin, blobs, targets := together(all)
	files, err := carry(&fin, blobs, targets)
	defer closeAll(files)
	if err != nil {
		return p.lost(err, "")
	}
	wrote, err := p.s.Finish(p.s.Context(), fin, files...)
	if err != nil {
		return err
	}
	if wrote.Err != "" {
		return &failure{text: wrote.Err, status: exitGeneral}
	}
	for _, m := range all {
		a.counters.Remote(toolchains.Identical, m.res.Cached)
	}
	a.log.WithFields(logrus.Fields{"image": p.pin.String(), "task": p.task.Kind.String(), "helper": all[0].res.Helper, "exit": fin.Status >> 8}).Debug("job of an image's")
	return nil
}

// together is what all jobs made and said. The object comes first: the wrapper gives
// names in the reverse order, and make looks at the object's.
func together(all []made) (fin local.Finish, blobs []broker.Output, targets []local.Output) {
	status := 0
	for _, m := range all {
		fin.Stdout, fin.Stderr = append(fin.Stdout, m.res.Stdout...), append(fin.Stderr, m.res.Stderr...)
		status = max(status, m.res.ExitCode)
		for _, o := range slices.Backward(m.outputs) {
			i := slices.IndexFunc(m.res.Outputs, func(got broker.Output) bool { return got.Path == o.Job })
			if o.Name == "/dev/null" || i < 0 {
				continue
			}
			blobs = append(blobs, m.res.Outputs[i])
			targets = append(targets, local.Output{Path: o.Name, Keep: o.Kind != argv.Object, File: -1, Executable: m.res.Outputs[i].Executable})
		}
		if m.res.ExitCode != 0 {
			fin.Remove = append(fin.Remove, m.removed...)
		}
	}
	fin.Status = status << 8
	return fin, blobs, targets
}

// run does the job, or the jobs of a command with several sources. As the driver does,
// the others are compiled when one does not compile.
func (p *pinned) run() ([]made, error) {
	switch p.task.Kind {
	case argv.TaskCompile:
		m, err := p.compile(p.task.Command)
		return []made{m}, err
	case argv.TaskParts:
		var all []made
		for _, cmd := range p.task.Sources {
			m, err := p.compile(cmd)
			if err != nil {
				return nil, err
			}
			all = append(all, m)
		}
		return all, nil
	}
	m, err := p.whole()
	return []made{m}, err
}

// compile does one plain compile.
func (p *pinned) compile(cmd *argv.Command) (made, error) {
	c := &compile{s: p.s, settings: p.set, driver: p.driver, cmd: cmd, toolchain: p.tc}
	if t := c.targetWord(); t != "" && p.tc.Family == argv.Clang {
		c.toolchain = p.tc.For(t) // what the object must be for
	}
	outputs := c.outputs()
	if err := p.writable(outputs); err != nil {
		return made{}, err
	}
	also, ok := cmd.Reads(p.s.Request.Dir)
	if !ok {
		return made{}, p.cannot("where the compiler looks for a profile is not known")
	}
	args := func() []string {
		return cmd.Whole(c.object(), depsName, cmd.NameWords(p.s.Request.Dir)...)
	}
	res, err := p.send(func() (*broker.Job, error) {
		tree, err := p.tree([]*argv.Command{cmd}, also, c.writtenIn(), false)
		if err != nil {
			return nil, err
		}
		j := p.job(tree, outputs)
		j.Args, j.Debug = args(), cmd.Debug()
		return j, nil
	}, c.checkOutputs)
	return made{res: res, outputs: outputs, removed: c.removed(res)}, err
}

// whole does a link, a run of the preprocessor, or a question.
func (p *pinned) whole() (made, error) {
	t := p.task
	if err := p.writable(t.Outputs); err != nil {
		return made{}, err
	}
	build := func() (*broker.Job, error) {
		tree, err := p.inputs()
		if err != nil {
			return nil, err
		}
		j := p.job(tree, t.Outputs)
		j.Args = t.Words(nil)
		if t.Kind == argv.TaskQuestion {
			j.Dir = "/"
		}
		return j, nil
	}
	res, err := p.send(build, func(j *broker.Job, res broker.Result) error {
		for _, o := range res.Outputs {
			if !slices.Contains(j.Outputs, o.Path) {
				return broker.Refusef(reasonBadOutput, "returned %s, which was not asked for", o.Path)
			}
		}
		if res.ExitCode == 0 && len(res.Outputs) != len(j.Outputs) {
			return broker.Refusef(reasonBadOutput, "returned %d outputs instead of %d", len(res.Outputs), len(j.Outputs))
		}
		return nil
	})
	if err == nil {
		err = p.nameInMap(&res)
	}
	m := made{res: res, outputs: t.Outputs}
	for _, o := range t.Outputs {
		back := slices.ContainsFunc(res.Outputs, func(got broker.Output) bool { return got.Path == o.Job })
		if o.Kind == argv.Object && o.Name != "/dev/null" && !back {
			m.removed = append(m.removed, o.Name)
		}
	}
	return m, err
}

// maxMap bounds a linker's map.
const maxMap = 256 << 20

// mapOutput is where a map says which file was linked: at a helper that is a place of
// the helper's.
var mapOutput = regexp.MustCompile(`(?m)^OUTPUT\(/\.crosscc/[0-9]+(\.[^ /]*)? `)

// nameInMap has a linker's map say the name that the build's command says.
func (p *pinned) nameInMap(res *broker.Result) error {
	at := slices.IndexFunc(p.task.Outputs, func(o argv.Output) bool { return o.Job == argv.MapOutput })
	i := slices.IndexFunc(res.Outputs, func(o broker.Output) bool { return o.Path == argv.MapOutput })
	if at < 0 || i < 0 {
		return nil
	}
	text, err := res.Outputs[i].Blob.Bytes(maxMap)
	if err != nil {
		return p.lost(err, "")
	}
	name := p.task.Outputs[len(p.task.Outputs)-1].Name
	text = mapOutput.ReplaceAllLiteral(text, []byte("OUTPUT("+name+" "))
	res.Outputs[i].Blob = broker.BytesBlob(text)
	return nil
}

// job is a job of the image's with a tree.
func (p *pinned) job(tree *headers.Tree, outputs []argv.Output) *broker.Job {
	j := &broker.Job{
		Name: path.Base(p.s.Request.Args[0]), Identity: p.tc.Identity, Fingerprint: p.tc.Fingerprint, Image: p.pin.Digest.String(),
		Dir: p.s.Request.Dir, Env: p.environ(tree), Root: tree.Root, Form: broker.Tree,
	}
	for _, o := range outputs {
		j.Outputs = append(j.Outputs, o.Job)
	}
	slices.Sort(j.Outputs)
	return j
}

// environ is what a compiler of an image gets of the client's environment. A text that
// says when it was compiled says the client's time, by the one variable that can say it;
// so such a result is nobody else's.
func (p *pinned) environ(tree *headers.Tree) []string {
	env := []string{"LC_ALL=" + p.set.locale}
	for _, name := range []string{"CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "OBJCPLUS_INCLUDE_PATH", "LIBRARY_PATH", "LD_RUN_PATH"} {
		if v := p.s.getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	epoch := p.s.getenv("SOURCE_DATE_EPOCH")
	switch {
	case epochDigits.MatchString(epoch):
		env = append(env, "SOURCE_DATE_EPOCH="+epoch)
	case dated(tree):
		env = append(env, "SOURCE_DATE_EPOCH="+strconv.FormatInt(time.Now().Unix(), 10))
	}
	slices.Sort(env)
	return env
}

var epochDigits = regexp.MustCompile(`^[0-9]{1,12}$`)

// send has a helper do a job. A file that changed while it was sent is read once more.
func (p *pinned) send(build func() (*broker.Job, error), check func(*broker.Job, broker.Result) error) (broker.Result, error) {
	var prospects []fleet.Prospect
	for _, h := range p.helpers {
		prospects = append(prospects, h.Prospect)
	}
	for again := false; ; again = true {
		j, err := build()
		if err != nil {
			return broker.Result{}, err
		}
		if n := len(j.Args); n > broker.MaxArgs {
			return broker.Result{}, p.cannot("%d words are more than a helper runs", n)
		}
		res, _, err := p.a.fleet.Run(p.s.Context(), prospects, j, func(res broker.Result) error { return check(j, res) })
		if _, changed := errors.AsType[*broker.ChangedError](err); changed && !again {
			continue
		}
		if err != nil {
			return broker.Result{}, p.lost(err, "crossctl status")
		}
		return res, nil
	}
}

// names are those that the image's headers include.
func (p *pinned) names() (*headers.Names, error) {
	key := p.pin.Digest.String()
	names, err := p.a.imageNames.get(p.s.Context(), key, nil, func() (*headers.Names, error) {
		j := &broker.Job{Name: "gcc", Image: key, Dir: "/", Root: new(broker.Dir), Form: broker.Headers, Identity: p.tc.Identity}
		res, err := p.send(func() (*broker.Job, error) { return j, nil }, func(*broker.Job, broker.Result) error { return nil })
		if err != nil {
			return nil, err
		}
		return headers.ReadNames(res.Stdout)
	})
	if _, ok := errors.AsType[*failure](err); err != nil && !ok {
		err = p.lost(err, "")
	}
	return names, err
}

// tree is what sources read, and files besides.
func (p *pinned) tree(sources []*argv.Command, also, beside []string, linked bool) (*headers.Tree, error) {
	dir := p.s.Request.Dir
	if path.Clean(dir) != dir || !path.IsAbs(dir) || !utf8.ValidString(dir) {
		return nil, p.cannot("the working directory's name %q can't be said to a helper", dir)
	}
	if ofImage(dir) {
		return nil, p.cannot("the working directory %s is where the image has its own files; build elsewhere, below /home, /srv or /tmp", dir)
	}
	src := headers.Source{
		Dir: dir, Getenv: p.s.getenv, Also: also, Beside: beside, Image: true,
		Open: func(name string) (io.ReadCloser, error) { return p.s.root.Open(name) },
	}
	if len(sources) == 0 {
		return p.scan(src, linked)
	}
	var err error
	if src.Names, err = p.names(); err != nil {
		return nil, err
	}
	var all *headers.Tree
	for _, cmd := range sources {
		one := src
		one.Cmd = cmd
		if cmd.Source() == "/dev/null" {
			one.Cmd = nil
		}
		tree, err := p.scan(one, linked)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = tree
			continue
		}
		if all, err = all.With(tree); err != nil {
			return nil, p.cannot("%v; compile with -c first", err)
		}
	}
	return all, nil
}

func ofImage(name string) bool {
	top, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return broker.OfImage(top)
}

func (p *pinned) scan(src headers.Source, linked bool) (*headers.Tree, error) {
	tree, err := p.a.scanner.Scan(p.s.Context(), p.s.root.FD(), src)
	if u, ok := errors.AsType[*headers.Unsound](err); ok {
		return nil, p.cannot("%s (%s)", u.Text, u.Reason)
	}
	if err != nil {
		return nil, p.lost(err, "")
	}
	closed := tree.Root.Closed
	if linked {
		closed = tree.Root.ClosedToLinks
	}
	if name, why := closed(); why != "" {
		return nil, p.cannot("%s can't be sent: %s", name, why)
	}
	if tree.NotUTF8 {
		return nil, p.cannot("a file's name is not UTF-8")
	}
	return tree, nil
}

// writable refuses outputs in places that the wrapper should not write over.
func (p *pinned) writable(outputs []argv.Output) error {
	c := &compile{s: p.s, cmd: argv.Parse(nil, argv.Env{})}
	for _, o := range outputs {
		if o.Name == "/dev/null" {
			continue
		}
		if l, ok := errors.AsType[*localJob](c.checkTarget(o.Name)); ok {
			return p.cannot("%s", l.text)
		}
	}
	return nil
}

// cannot is a command that no image's toolchain is asked to do.
func (p *pinned) cannot(format string, args ...any) error {
	return &failure{
		text: "the toolchain is pinned (" + p.set.pinnedBy + "), and " + fmt.Sprintf(format, args...),
		hint: "CROSSCC_DISABLE=1 runs the local compiler, which makes something else", status: exitBadWords,
	}
}

// lost is a command that no helper did.
func (p *pinned) lost(err error, hint string) error {
	if p.s.gone() != nil {
		return p.s.gone()
	}
	if _, ok := errors.AsType[*failure](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	return &failure{text: fmt.Sprintf("the toolchain is pinned (%s), and no helper can do this: %v", p.set.pinnedBy, err), hint: hint, status: exitNoHosts}
}
