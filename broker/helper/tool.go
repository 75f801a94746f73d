package helper

import (
	"bytes"
	"io"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/toolchains"
)

// This file runs the programs beside an image's compiler: ar and its kin. Such a program may change a file, which it then finds
// among its outputs.

// A toolRun is one run of such a program.
type toolRun struct {
	tool    task.Tool
	program string   // where it is in the image
	names   []string // of the outputs, as the command says them
	outs    []string // the same below outDir
	prints  bool     // what it prints is of its input: content of the client's
}

// begins fills in what a plan for a task that is no plain compile has besides.
func (p *plan) begins(t *task.Task) {
	if tool, ok := task.ParseTool(p.job.Name); ok {
		p.tool = &toolRun{tool: tool, prints: t.Kind == task.ToolRun && len(t.Outputs) == 0}
	}
	p.starts = map[string]broker.Blob{}
	for i, o := range t.Outputs {
		if p.tool != nil {
			p.tool.names, p.tool.outs = append(p.tool.names, o.Name), append(p.tool.outs, outName(i, o))
		}
		if o.Kind == argv.Object || o.Kind == argv.AssemblerText {
			p.starts[outName(i, o)] = broker.BytesBlob([]byte(task.Untouched))
		}
		if !slices.Contains(t.Changed, o.Job) {
			continue
		}
		name := o.Name
		if !path.IsAbs(name) {
			name = p.job.Dir + "/" + name // not cleaned: links and `..` are the tree's to say
		}
		if _, e, ok := p.job.Root.Lookup(name); ok && e.File != nil {
			p.starts[outName(i, o)] = e.File.Blob
		}
	}
}

// begun is what lies among the outputs at the start. done is to be called behind the run.
func (p *plan) begun() (list []sandbox.Begun, done func(), err error) {
	var open []io.Closer
	done = func() {
		for _, c := range open {
			_ = c.Close() // it was only read from
		}
	}
	for _, name := range p.outs {
		blob, ok := p.starts[name]
		if !ok {
			continue
		}
		r, err := blob.Open()
		if err != nil {
			done()
			return nil, nil, err
		}
		open = append(open, r)
		list = append(list, sandbox.Begun{Name: name, Content: r})
	}
	return list, done, nil
}

// calledDir is in front of a program's own name, as these programs print it, where the sandbox has to give them the name that
// the build called them by.
const calledDir = outDir + "-argv0/"

// said is what a tool says, with the names that the command has for its outputs.
func (p *plan) said(text []byte) []byte {
	if p.tool == nil {
		return text
	}
	if p.tool.program != "" && bytes.HasPrefix(text, []byte(p.tool.program)) { // they print argv[0] as it is
		text = append([]byte(p.job.Name), text[len(p.tool.program):]...)
	}
	text = bytes.ReplaceAll(text, []byte("\n"+p.tool.program+": "), []byte("\n"+p.job.Name+": "))
	text = bytes.ReplaceAll(text, []byte(calledDir), nil)
	for i, name := range slices.Backward(p.tool.names) { // 11 before 1
		text = bytes.ReplaceAll(text, []byte(path.Join(outDir, p.tool.outs[i])), []byte(name))
	}
	return text
}

// printed is what a tool wrote to standard output. A member of an archive (ar p) and texts of a file (strings) are nobody's to
// change; how a tool is used says where it is.
func (p *plan) printed(text []byte) []byte {
	switch {
	case p.tool == nil || p.tool.prints:
		return text
	case len(p.tool.outs) == 0:
		text = bytes.ReplaceAll(text, []byte(" "+p.tool.program+" "), []byte(" "+p.job.Name+" "))
	}
	return p.said(text)
}

// toolOf finds a toolchain's program of that name: beside its driver, by the driver's target, or where gcc keeps it.
func toolOf(at *catalog.Place, tc toolchains.Toolchain, run *toolRun) (string, error) {
	for _, name := range toolPlaces(tc, run.tool, at.Path, at.Root.Real) {
		if st, err := at.Root.Stat(name); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o111 != 0 {
			return name, nil
		}
	}
	return "", broker.Refusef(ReasonNoMatch, "the image has no %s for %s", run.tool.Name, tc.Target)
}

// toolPlaces are where a program for a toolchain may be, the likeliest first. A name without a target is that of programs for
// the machine where they run. Of PATH those directories count that are the image's alone.
func toolPlaces(tc toolchains.Toolchain, tool task.Tool, search string, real func(string) (string, error)) []string {
	dirs := []string{path.Dir(tc.Driver())}
	if r, err := real(tc.Driver()); err == nil {
		dirs = append(dirs, path.Dir(r))
	}
	for _, dir := range strings.Split(search, ":") {
		// Elsewhere a client's files may lie beside the program, and it loads plugins from ../lib/bfd-plugins.
		if top, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(dir), "/"), "/"); broker.OfImage(top) {
			dirs = append(dirs, dir)
		}
	}
	d, _ := argv.ParseDriver(path.Base(tc.Driver()))
	var names []string
	add := func(name string, versions ...string) {
		for _, v := range versions {
			if v != "" {
				names = append(names, name+"-"+v)
			}
		}
		names = append(names, name)
	}
	dash := func(prefix string) string { return strings.TrimPrefix(prefix+"-", "-") }
	version, _, _ := strings.Cut(tc.Version, ".")
	switch tool.Kin {
	case argv.GCC:
		add(dash(d.Prefix)+"gcc-"+tool.Name, d.Suffix, version)
		if d.Prefix == "" {
			add(tc.Target+"-gcc-"+tool.Name, d.Suffix, version)
		}
	case argv.Clang:
		add("llvm-"+tool.Name, tool.Suffix, d.Suffix, version)
	default:
		if d.Prefix != "" || tc.Family == argv.GCC || tool.Prefix == "" {
			add(dash(d.Prefix) + tool.Name)
		}
		add(tc.Target + "-" + tool.Name)
		if tool.Prefix != "" && tc.Family == argv.Clang {
			add(tool.Prefix + "-" + tool.Name)
		}
		if tc.Family == argv.Clang && !strings.HasPrefix(tool.Name, "ld") && tool.Name != "as" {
			add("llvm-"+tool.Name, version)
		}
	}
	var list []string
	for _, name := range names {
		for _, dir := range dirs {
			if path.IsAbs(dir) {
				list = append(list, path.Join(dir, name))
			}
		}
	}
	if tool.Kin == argv.Unknown { // gcc's own directory of them
		list = append(list, path.Join(path.Dir(dirs[0]), tc.Target, "bin", tool.Name))
	}
	return list
}
