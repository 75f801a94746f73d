package headers

import (
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/headers/files"
)

// A searchPath is where names are looked up, in order.
type searchPath struct {
	dirs     []*files.Dir
	bracket  int  // <name> begins here, "name" at 0
	clang    bool // looks further after a miss, to say what was meant
	noSource bool // -I-: the directory of the including file is not searched
}

// chains are the four kinds of directories as the words name them.
type chains struct {
	quote, angle, system, after []string
	noSource                    bool
	first                       []string // -include and -imacros, in order
	macros                      []string // operands of -D
}

// readWords sorts the words for the preprocessor. Those that it does not know,
// or that change how text is read, are an *Unsound.
func readWords(src Source) (chains, error) {
	var c chains
	r := newWordReader(src.Cmd)
	r.chains = &c
	for _, o := range src.Cmd.Preprocessor() {
		if err := r.read(o); err != nil {
			return c, err
		}
	}
	if r.clang && slices.ContainsFunc(src.Cmd.CodegenWords(), func(w string) bool { return strings.HasPrefix(w, "-fms-") }) {
		return c, files.Unsoundf(Option, "-fms-… looks for headers in other places")
	}
	if src.Image {
		if err := r.imageRoot(); err != nil {
			return c, err
		}
	}
	cpath := pathList(src.getenv("CPATH"))
	if r.clang {
		c.angle, c.after = slices.Concat(c.angle, cpath, r.before), append(r.behind, c.after...)
	} else {
		c.angle = slices.Concat(c.angle, r.before, cpath)
	}
	c.system = append(c.system, pathList(src.getenv(languageVariable(src.Cmd.Language())))...)
	for _, d := range src.Defaults.Dirs {
		c.system = append(c.system, d.Name)
	}
	return c, nil
}

// A wordReader reads one word after the other.
type wordReader struct {
	*chains
	clang   bool
	sysroot string
	own     bool     // sysroot is from -isysroot, which goes before --sysroot
	prefix  *string  // of -iprefix
	before  []string // of -iwithprefixbefore: behind all -I
	behind  []string // of clang's -iwithprefix: before all -idirafter
}

// newWordReader finds the sysroot: the last one, wherever it stands.
func newWordReader(cmd *argv.Command) *wordReader {
	r := &wordReader{clang: cmd.Family() == argv.Clang}
	for _, o := range cmd.Preprocessor() {
		if o.Name == "-isysroot" || o.Name == "--sysroot" && !r.own {
			r.sysroot, r.own = o.Value, r.own || o.Name == "-isysroot"
		}
	}
	return r
}

// known are words without a meaning to a scan: what they do, the compiler does
// on the helper as well.
var known = []string{
	"-U", "-A", "-isysroot", "--sysroot", "--no-sysroot-suffix", "--gcc-toolchain=", "-gcc-toolchain",
	"--gcc-install-dir=", "--gcc-triple=", "-imultilib", "-imultiarch", "-stdlib=", "--stdlib=", "-nostdinc",
	"-nostdinc++", "-nostdlibinc", "-nobuiltininc", "-ibuiltininc", "-undef", "-trigraphs", "-ftrigraphs", "-H",
	"-fmax-include-depth=", "-ftrack-macro-expansion", "-fworking-directory", "-fno-working-directory", "-pipe",
	"-no-canonical-prefixes", "-canonical-prefixes", "-fintegrated-cc1", "-fno-integrated-cc1",
}

func (r *wordReader) read(o argv.Option) error {
	if strings.HasPrefix(o.Value, "=") && o.Name != "-D" && r.sysroot == "" && !r.clang {
		return files.Unsoundf(Option, "%s %s: the compiler's own sysroot is not known", o.Name, o.Value)
	}
	switch o.Name {
	case "-D":
		r.macros = append(r.macros, o.Value)
	case "-I":
		if len(r.before) > 0 {
			return files.Unsoundf(Option, "-I behind -iwithprefixbefore")
		}
		r.angle = append(r.angle, r.inSysroot(o.Value, true))
	case "-iquote":
		r.quote = append(r.quote, r.inSysroot(o.Value, false))
	case "-isystem":
		r.system = append(r.system, r.inSysroot(o.Value, false))
	case "-idirafter":
		r.after = append(r.after, r.inSysroot(o.Value, false))
	case "-iprefix":
		r.prefix = &o.Value
	case "-iwithprefix", "-iwithprefixbefore":
		return r.prefixed(o)
	case "-I-":
		return r.split()
	case "-include", "-imacros":
		r.first = append(r.first, o.Value)
	case "-finput-charset=":
		if !strings.EqualFold(o.Value, "utf-8") && !strings.EqualFold(o.Value, "utf8") {
			return files.Unsoundf(Encoding, "%s%s", o.Name, o.Value)
		}
	default:
		if !slices.Contains(known, o.Name) {
			return files.Unsoundf(Option, "%s %s", o.Name, o.Value)
		}
	}
	return nil
}

// inSysroot puts the sysroot in the place of "=", where the family does that.
func (r *wordReader) inSysroot(name string, isI bool) string {
	if r.sysroot == "" {
		return name
	}
	if rest, ok := strings.CutPrefix(name, "="); ok && (isI || !r.clang) {
		return r.sysroot + rest
	}
	if rest, ok := strings.CutPrefix(name, "$SYSROOT"); ok && !r.clang {
		return r.sysroot + rest
	}
	return name
}

// prefixed reads -iwithprefix, which gcc's manual and code put in different
// places; this is the code's.
func (r *wordReader) prefixed(o argv.Option) error {
	if r.prefix == nil {
		return files.Unsoundf(Option, "%s %s without -iprefix", o.Name, o.Value)
	}
	name := *r.prefix + o.Value
	switch {
	case o.Name == "-iwithprefixbefore":
		r.before = append(r.before, name)
	case r.clang:
		r.behind = append(r.behind, name)
	default:
		r.system = append(r.system, name)
	}
	return nil
}

// split does -I-.
func (r *wordReader) split() error {
	if r.clang || len(r.quote) > 0 || r.noSource {
		return files.Unsoundf(Option, "-I- beside what it does not go with")
	}
	r.quote, r.angle, r.noSource = r.angle, nil, true
	return nil
}

// findPath finds the directories and leaves out those that the compiler does.
func findPath(v *files.View, src Source, c chains) (searchPath, error) {
	if n := len(c.quote) + len(c.angle) + len(c.system) + len(c.after); n > maxPath {
		return searchPath{}, files.Unsoundf(TooLarge, "%d include directories are searched", n)
	}
	lists := [][]string{c.quote, c.angle, c.system, c.after}
	found := make([][]*files.Dir, len(lists))
	for i, names := range lists {
		for _, name := range names {
			d, err := searchDir(v, name)
			if err != nil {
				return searchPath{}, err
			}
			if d != nil {
				found[i] = append(found[i], d)
			}
		}
	}
	if err := check(v, src.Defaults, found); err != nil {
		return searchPath{}, err
	}
	p := searchPath{noSource: c.noSource}
	if src.Cmd.Family() == argv.Clang {
		p.clang = true
		p.asClang(found)
	} else {
		p.asGCC(found)
	}
	return p, nil
}

// searchDir finds one directory; nil when it does not exist. A file in its place
// is an error for gcc, and may be a header map for clang.
func searchDir(v *files.View, name string) (*files.Dir, error) {
	if name == "" {
		return nil, nil // no directory to either compiler
	}
	d, err := v.DirAt(v.Cwd, name)
	if d != nil || err != nil {
		return d, err
	}
	if h, err := v.Find(v.Cwd, name); err != nil || h.File != nil {
		if err == nil {
			err = files.Unsoundf(Option, "include directory %s is a file", name)
		}
		return nil, err
	}
	return nil, nil
}

// check finds a file system that changed since the compiler was asked, and one
// directory at two places: compilers tell directories by their inodes, which in
// a tree are two.
func check(v *files.View, d Defaults, found [][]*files.Dir) error {
	places := map[files.Inode]*files.Dir{}
	for _, dirs := range found {
		for _, d := range dirs {
			if other := places[d.ID]; other != nil && other != d {
				return files.Unsoundf(OneFolder, "%s and %s are one directory", other.Name, d.Name)
			}
			places[d.ID] = d
		}
	}
	for _, name := range d.Gone {
		if found, err := searchDir(v, name); err != nil || found != nil {
			return files.Unsoundf(Stale, "%s exists now", name)
		}
	}
	for _, name := range d.Same {
		if found, err := searchDir(v, name); err != nil || found == nil || places[found.ID] == nil {
			return files.Unsoundf(Stale, "%s is no longer another name of a default directory", name)
		}
	}
	if d.Family == argv.Clang {
		return nil // leaves out what is absent by itself; Ask says what its choice rests on
	}
	for _, dir := range d.Dirs {
		if found, err := searchDir(v, dir.Name); err != nil || found == nil {
			return files.Unsoundf(Stale, "%s exists no longer", dir.Name)
		}
	}
	return nil
}

// asGCC is merge_include_chains of gcc's incpath.cc.
func (p *searchPath) asGCC(found [][]*files.Dir) {
	system := unique(append(slices.Clone(found[2]), found[3]...), nil, nil)
	angle := append(unique(found[1], system, system), system...)
	quote := unique(found[0], system, angle)
	p.bracket = len(quote)
	p.dirs = append(quote, angle...)
}

// unique leaves out of a chain what is in the system chain, what came before in
// the chain, and a last one that the next chain begins with.
func unique(chain, system, next []*files.Dir) []*files.Dir {
	var out []*files.Dir
	for i, d := range chain {
		last := i == len(chain)-1 && len(next) > 0 && next[0] == d
		if !slices.Contains(system, d) && !slices.Contains(out, d) && !last {
			out = append(out, d)
		}
	}
	return out
}

// asClang is InitHeaderSearch::Realize: quoted directories are made unique by
// themselves, the others together, and there a system directory goes before
// one of the user's.
func (p *searchPath) asClang(found [][]*files.Dir) {
	quote := unique(found[0], nil, nil)
	system := append(slices.Clone(found[2]), found[3]...)
	var rest []*files.Dir
	for _, d := range found[1] {
		if !slices.Contains(rest, d) && !slices.Contains(system, d) {
			rest = append(rest, d)
		}
	}
	p.bracket = len(quote)
	p.dirs = append(quote, append(rest, unique(system, nil, nil)...)...)
}
