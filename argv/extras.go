package argv

import (
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv/option"
)

// Output is one file that a compile leaves.
type Output struct {
	Kind OutputKind
	// Name is the file's name as the command has it: as given, or as the driver makes it up.
	Name string
	// Job is its name in [Command.Whole] of the object's and dependencies' names that [Command.Outputs] was asked with.
	Job string
	// Written is where the compiler writes it in that form, "" for Job: the object then says that name, so the compiler
	// must be told it, and whoever runs it has that name lead to Job.
	Written string
	// Fresh says that a file of this name that is there is unlinked first, as if it were an object.
	Fresh bool
	// Varies says that no two runs make this file alike: it holds times.
	Varies bool
}

// OutputKind is what an Output is, and so how compilers write it.
type OutputKind int

// The kinds. All but objects are written over a file that is there; objects are unlinked first.
const (
	Object OutputKind = iota
	AssemblerText
	Dependencies
	Extra // any other: it is exact in tree form alone, and a compile that fails may leave anything in its place
)

// Outputs are all files that the command writes, the object (or the assembler text) last; object and depFile are what
// these two are called in a job.
//
// gcc makes up names as its manual says of -dumpdir and -dumpbase (gcc 11 and later; none of the kinds here was named
// otherwise before, but for a source's suffix): the output's name without its last suffix, then the file's own. Without
// -o it is the source's base name. clang's rule is the same.
func (c *Command) Outputs(object, depFile string) []Output {
	var out []Output
	if d, ok := c.Deps(); ok {
		out = append(out, Output{Kind: Dependencies, Name: d.File, Job: depFile})
	}
	for _, suffix := range c.suffixes() {
		o := Output{Kind: Extra, Name: c.auxName() + suffix, Job: stemOf(object) + suffix}
		if c.dumpName != nil {
			o.Written = *c.dumpName + suffix
		}
		o.Varies = suffix == traceSuffix
		o.Fresh = suffix == dwoSuffix && c.family != Clang // objcopy's, by BFD
		out = append(out, o)
	}
	for i, name := range c.named() {
		out = append(out, Output{Kind: Extra, Name: name, Job: namedFile(object, i)})
	}
	kind := Object
	if c.assembly {
		kind = AssemblerText
	}
	return append(out, Output{Kind: kind, Name: c.Output(), Job: object})
}

// stemOf is a file's name without its last suffix, with its directory.
func stemOf(name string) string {
	slash := strings.LastIndexByte(name, '/') + 1
	stem, _ := splitSuffix(name)
	return name[:slash] + stem
}

// namedFile is what the i-th output that a word names is called in a job.
func namedFile(object string, i int) string {
	return object[:strings.LastIndexByte(object, '/')+1] + "named" + string(rune('0'+i))
}

// maxNamed bounds such words, so that namedFile has a digit for each.
const maxNamed = 9

// auxName is what the names of further outputs begin with.
func (c *Command) auxName() string {
	if len(c.outputs) > 0 {
		return stemOf(c.Output())
	}
	stem, _ := splitSuffix(c.Source())
	return stem
}

// suffixes are those of the further outputs whose names follow from the output's.
func (c *Command) suffixes() []string {
	var out []string
	if c.has("-fstack-usage") {
		out = append(out, ".su")
	}
	if c.has("-fcallgraph-info") {
		out = append(out, ".ci")
	}
	if c.on("-fsave-optimization-record") {
		out = append(out, ".opt.yaml")
	}
	if c.notes() {
		out = append(out, ".gcno")
	}
	if c.splits() && !c.assembly {
		out = append(out, dwoSuffix)
	}
	if c.has("-ftime-trace") {
		out = append(out, traceSuffix)
	}
	return out
}

// traceSuffix is the suffix of clang's time traces.
const traceSuffix = ".json"

// dwoSuffix is the suffix of split debug information.
const dwoSuffix = ".dwo"

// splits reports whether debug information goes to a file of its own. gcc's driver has objcopy make one behind every
// assembler, whether there is debug information or not.
func (c *Command) splits() bool {
	return c.last("-gsplit-dwarf", "-gno-split-dwarf") == "-gsplit-dwarf"
}

// tracks reports whether gcc describes where variables are after optimisation. What it then writes into both halves of
// split debug information to tell that they belong together has addresses of its own memory in it (gcc 11, 12: measured).
func (c *Command) tracks() bool {
	may, does := c.tracking()
	return may && does
}

// SplitsSteadily reports whether split debug information is gcc's, and every run makes the same as long as the source does not
// ask for optimisation by itself (an attribute, a pragma).
func (c *Command) SplitsSteadily() bool {
	may, does := c.tracking()
	return c.family != Clang && c.splits() && may && !does
}

// tracking says whether gcc may describe where variables are after optimisation, and does so without being asked to optimise
// by the source.
func (c *Command) tracking() (may, does bool) {
	optimises, level, tracking := false, "", ""
	for _, w := range c.words {
		switch {
		case w.Name == "-O":
			optimises = w.Value != "0"
		case w.Name == "-g":
			level = w.Value
		case strings.HasPrefix(w.Text[0], "-fvar-tracking"), strings.HasPrefix(w.Text[0], "-fno-var-tracking"):
			tracking = w.Text[0]
		}
	}
	return level != "0" && level != "1" && tracking != "-fno-var-tracking", optimises || tracking != ""
}

// measures reports whether the object writes counters at run time, into a file whose name it holds, or has a .gcno file
// that belongs to it.
func (c *Command) measures() bool {
	return c.counts() || c.notes() || c.has("-fprofile-generate")
}

// counts reports whether -fprofile-arcs is in effect, and notes whether -ftest-coverage is. To --coverage no other word is
// an end: gcc's specs put what it stands for behind all others, clang asks for it apart.
func (c *Command) counts() bool { return c.covers() || c.on("-fprofile-arcs") }
func (c *Command) notes() bool  { return c.covers() || c.on("-ftest-coverage") }
func (c *Command) covers() bool { return c.has("--coverage") || c.has("-coverage") }

// on reports whether one of these options stands behind the first one's -fno- form, if that is there.
func (c *Command) on(names ...string) bool {
	no := "-fno-" + strings.TrimPrefix(names[0], "-f")
	last := c.last(append(names, no)...)
	return last != "" && last != no
}

// has reports whether an option of this name is there.
func (c *Command) has(name string) bool {
	return slices.ContainsFunc(c.words, func(w option.Word) bool { return w.Name == name })
}

// last is which of these options stands last; "" when none is there.
func (c *Command) last(names ...string) string {
	for _, w := range slices.Backward(c.words) {
		if slices.Contains(names, w.Name) {
			return w.Name
		}
	}
	return ""
}

// named are the further outputs that words name.
func (c *Command) named() []string {
	var out []string
	for i := range c.words {
		if name := c.words[i].OutputName(); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// extras judges further outputs: those whose name or number can't be told, and those that two runs of one compiler would
// not make alike.
func (c *Command) extras(env Env) Verdict {
	w := c.first(option.KindExtra)
	if w == nil {
		return Verdict{}
	}
	switch {
	case strings.HasPrefix(c.Output()[strings.LastIndexByte(c.Output(), '/')+1:], "."):
		return local(option.ExtraOutput, w.Text[0]+" with a hidden output")
	case c.measures() && c.family != Clang && !c.has("-frandom-seed="):
		return local(option.Profile, w.Text[0]+" without -frandom-seed=")
	case c.splits() && c.family != Clang && c.LTO():
		return local(option.ExtraOutput, "-gsplit-dwarf with -flto")
	case c.splits() && c.family != Clang && c.tracks():
		return local(option.ExtraOutput, "-gsplit-dwarf with optimisation: no two runs of gcc make one identification (DWO id)")
	case c.splits() && c.family == Clang && (!c.Debug() || c.assembly || len(c.outputs) == 0):
		return local(option.ExtraOutput, "-gsplit-dwarf without -g, -c and -o")
	case c.splits() && (slices.Contains(c.Words(), "-gline-directives-only") || slices.Contains(c.Words(), "-fsplit-dwarf-inlining")):
		return local(option.ExtraOutput, "-gsplit-dwarf, which clang may drop")
	case c.family != Clang && c.LTO() && (c.has("-fstack-usage") || c.has("-fcallgraph-info")):
		return local(option.ExtraOutput, w.Text[0]+" with -flto, which leaves that to the link")
	case c.language.Assembles():
		return local(option.ExtraOutput, w.Text[0]+" of an assembler source")
	}
	return Verdict{}
}

// recorded names what in the command makes gcc write its words into the output: their files must not be called otherwise.
func (c *Command) recorded() string {
	switch {
	case c.family == Clang:
		return ""
	case c.Debug():
		return "-g"
	case c.LTO():
		return "-flto"
	case c.has("-frecord-gcc-switches"):
		return "-frecord-gcc-switches"
	case c.has("-fverbose-asm"):
		return "-fverbose-asm"
	}
	return ""
}

// namedOutputs judges outputs that words name.
func (c *Command) namedOutputs(Env) Verdict {
	names := c.named()
	infos := 0
	for _, w := range c.words {
		if w.Kind == option.KindOptInfo {
			infos++
		}
	}
	switch {
	case infos > 1:
		return local(option.ExtraOutput, "several -fopt-info")
	case len(names) > maxNamed:
		return local(option.ExtraOutput, "more than nine further outputs are named")
	case len(names) > 0 && c.language.Assembles():
		return local(option.ExtraOutput, names[0]+" of an assembler source")
	case len(names) > 0 && c.recorded() != "":
		return local(option.ExtraOutput, names[0]+" with "+c.recorded()+", which records the name")
	case c.has("-aux-info") && c.language != C && c.language != CPPOutput:
		return local(option.ExtraOutput, "-aux-info of another language than C")
	}
	for i, name := range names {
		if name == "-" || strings.HasPrefix(name, "/dev/") || strings.HasPrefix(name, "-") {
			return local(option.ExtraOutput, "output "+name)
		}
		if slices.Contains(names[:i], name) || name == c.Output() {
			return local(option.AmbiguousOutput, name)
		}
	}
	return Verdict{}
}

// dumpNames reads the words that NameWords adds to a job of gcc's. A user's own are local: they have rules of their own for
// each version.
func (c *Command) dumpNames(env Env) Verdict {
	w := c.first(option.KindDump)
	if w == nil {
		return Verdict{}
	}
	values := map[string][]string{}
	for _, w := range c.words {
		if w.Kind == option.KindDump {
			values[w.Name] = append(values[w.Name], w.Value)
		}
	}
	dirs, bases, exts := values["-dumpdir"], values["-dumpbase"], values["-dumpbase-ext"]
	if !env.Job || len(dirs) != 1 || len(bases) != 1 || len(exts) != 1 || strings.ContainsRune(bases[0], '/') || !strings.HasSuffix(bases[0], exts[0]) {
		return local(option.ExtraOutput, strings.Join(w.Text, " "))
	}
	name := dirs[0] + strings.TrimSuffix(bases[0], exts[0])
	c.dumpName = &name
	return Verdict{}
}

// NameWords are the words that tell the compiler of a job the names that the object says of files beside it, as the
// driver would say them at home, in the working directory dir: of run-time counters, of split debug information. They are
// extra words for [Command.Whole].
func (c *Command) NameWords(dir string) []string {
	if c.family == Clang {
		return c.clangNameWords(dir)
	}
	if !c.measures() && !c.splits() && !c.has("-fprofile-use") && !c.has("-fprofile-use=") {
		return nil
	}
	aux := c.auxName()
	slash := strings.LastIndexByte(aux, '/') + 1
	ext := ""
	if _, suffix := splitSuffix(c.Source()); suffix != "" {
		ext = "." + suffix
	}
	return []string{"-dumpdir", aux[:slash], "-dumpbase", aux[slash:] + ext, "-dumpbase-ext", ext}
}

// clangNameWords override what clang's driver says to -cc1 (addPGOAndCoverageFlags, SplitDebugName).
func (c *Command) clangNameWords(dir string) []string {
	var out []string
	if c.splits() {
		out = append(out, "-Xclang", "-split-dwarf-file", "-Xclang", c.auxName()+dwoSuffix)
	}
	if c.counts() {
		name := c.auxName() + ".gcda"
		if !strings.HasPrefix(name, "/") {
			name = strings.TrimSuffix(dir, "/") + "/" + name
		}
		out = append(out, "-Xclang", "-coverage-data-file", "-Xclang", name)
	}
	return out
}

// Reads are the files, besides source and headers, that the compile reads in the working directory dir, whether they are there
// or not: profiles, lists of sanitizers. false where that can't be said.
func (c *Command) Reads(dir string) ([]string, bool) {
	var out []string
	for _, w := range c.words {
		if w.Kind != option.KindReads {
			continue
		}
		switch use := strings.HasPrefix(w.Name, "-fprofile-use"); {
		case !use:
			out = append(out, w.Value, w.Value+"/default.profdata")
		case c.family == Clang && w.Value == "":
			out = append(out, "default.profdata")
		case c.family == Clang:
			out = append(out, w.Value, w.Value+"/default.profdata")
		case w.Value == "":
			out = append(out, c.auxName()+".gcda")
		default:
			name, ok := mangled(c.auxName()+".gcda", dir)
			if !ok {
				return nil, false
			}
			out = append(out, w.Value+"/"+name)
		}
	}
	return out, true
}

// mangled is the name of a profile in a directory that is given for profiles: mangle_path in gcc's coverage.cc, for a name
// that is clean.
func mangled(name, dir string) (string, bool) {
	if !strings.HasPrefix(name, "/") {
		name = strings.TrimSuffix(dir, "/") + "/" + name
	}
	return strings.ReplaceAll(name, "/", "#"), path.Clean(name) == name
}

// OnlyTree says why nothing but the tree form is exact; "" when preprocessed text may do.
func (c *Command) OnlyTree() (Reason, string) {
	switch {
	case c.LTO():
		return option.LTO, "-flto"
	case c.language.Assembles():
		return option.Assembler, "assembler text"
	}
	for _, w := range c.words {
		switch w.Kind {
		case option.KindTree, option.KindExtra, option.KindNamed, option.KindOptInfo, option.KindDump, option.KindReads:
			return w.Reason, strings.Join(w.Text, " ")
		}
	}
	return "", ""
}
