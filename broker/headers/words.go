package headers

import (
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
)

// Words are what a helper's compiler is given behind all words of the user, so
// that it searches the client's directories and none of its own: what the
// client's variables said, then the client's defaults, then what switches the
// helper's defaults off (X6, X7, X8). The variables are cleared on the helper.
// tree is what Scan found: gcc warns of the user's directories that don't exist,
// but not of the variables', so those stay out.
func (s Source) Words(tree *Tree) []string {
	if s.Cmd.Language().IsPreprocessed() {
		return nil
	}
	var out []string
	for _, dir := range pathList(s.getenv("CPATH")) {
		if s.searches(tree, dir) {
			out = append(out, "-I", literal(dir))
		}
	}
	for _, dir := range pathList(s.getenv(languageVariable(s.Cmd.Language()))) {
		if s.searches(tree, dir) {
			out = append(out, "-isystem", literal(dir))
		}
	}
	return append(out, s.Defaults.words()...)
}

// searches reports whether a directory of a variable's is handed on: if it exists,
// and so is in the tree. To clang all are the user's.
func (s Source) searches(tree *Tree, dir string) bool {
	w := walker{links: maxLinks}
	at, _ := w.walk([]*broker.Dir{tree.Root}, s.Dir)
	if at == nil || s.Cmd.Family() == argv.Clang {
		return true
	}
	w.links = maxLinks
	at, _ = w.walk(at, dir)
	return at != nil
}

// Expand puts the sysroot in the place of "=" in the directories that a command
// line names, because Words sends another sysroot along. It goes over the words
// of the user before a helper gets them.
func (s Source) Expand(words []string) []string {
	r := newWordReader(s.Cmd)
	out := slices.Clone(words)
	for i, w := range out {
		for _, name := range []string{"-I", "-iquote", "-isystem", "-idirafter"} {
			if i > 0 && words[i-1] == name {
				out[i] = r.inSysroot(w, name == "-I")
			} else if dir, ok := strings.CutPrefix(w, name); ok && dir != "" {
				out[i] = name + r.inSysroot(dir, name == "-I")
			}
		}
	}
	return out
}

// literal keeps gcc from reading "=" at the beginning of a name as the sysroot;
// names from variables don't have that meaning.
func literal(dir string) string {
	if strings.HasPrefix(dir, "=") || strings.HasPrefix(dir, "$SYSROOT") {
		return "./" + dir
	}
	return dir
}

func (d Defaults) words() []string {
	var out []string
	if d.Family == argv.Clang {
		out = append(out, "-nostdinc")
		for _, dir := range d.Dirs {
			word := "-internal-isystem"
			if dir.ExternC {
				word = "-internal-externc-isystem"
			}
			out = append(out, "-Xclang", word, "-Xclang", dir.Name)
		}
		return out
	}
	for _, dir := range d.Dirs {
		out = append(out, "-isystem", dir.Name)
	}
	if d.CXX {
		out = append(out, "-nostdinc++")
	}
	// Not -nostdinc: gcc would no longer read stdc-predef.h unasked.
	return append(out, "-isysroot", "/.none")
}

// languageVariable is the variable with system directories for one language.
func languageVariable(l argv.Language) string {
	switch l {
	case argv.CXX:
		return "CPLUS_INCLUDE_PATH"
	case argv.ObjC:
		return "OBJC_INCLUDE_PATH"
	case argv.ObjCXX:
		return "OBJCPLUS_INCLUDE_PATH"
	}
	return "C_INCLUDE_PATH"
}

// pathList splits a variable; an empty element is the working directory, an
// empty variable nothing.
func pathList(value string) []string {
	if value == "" {
		return nil
	}
	list := strings.Split(value, ":")
	for i := range list {
		if list[i] == "" {
			list[i] = "."
		}
	}
	return list
}
