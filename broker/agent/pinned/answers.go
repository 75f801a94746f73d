package pinned

import (
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
)

// This file is about answers that say where something is.

// programName gives the answer to -print-prog-name the name by which builds call that program. Compilers say where it is in
// the image, and scripts run what they are told: libtool's takes ld by it, and one that is not there for none of GNU's; or
// this machine's own is there, which is not what was pinned. That name leads to crosscc as the compiler's does, and of
// a program that compilers don't find, its name is all that they say (find_a_program in gcc.cc).
func (p *Command) programName(res *broker.Result) {
	asks := func(w string) bool {
		return strings.HasPrefix(w, "-print-prog-name=") || strings.HasPrefix(w, "--print-prog-name=")
	}
	answer, whole := strings.CutSuffix(string(res.Stdout), "\n")
	if p.task.Kind != task.Question || !slices.ContainsFunc(p.s.Request.Args, asks) || !whole || !path.IsAbs(answer) || strings.Contains(answer, "\n") {
		return
	}
	name := path.Base(answer)
	tool, ok := task.ParseTool(name)
	if !ok {
		return // the image's alone
	}
	if tool.Prefix == "" && p.said != "" && !strings.HasPrefix(name, "llvm-") {
		name = p.said + "-" + name
	}
	res.Stdout = []byte(name + "\n")
}
