package headers

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/headers/files"
	"github.com/crosscc/crosscc/broker/headers/lex"
)

// A Scanner finds what compiles read, and remembers the texts of files and the
// names in directories between scans. Its methods may be called at once; it
// keeps no descriptor. Make it with New.
type Scanner struct {
	cache *files.Cache
	slots chan struct{} // a scan holds one: more at a time than processors only hold descriptors
}

// New makes a Scanner. clock is for tests; nil means time.Now.
func New(clock func() time.Time) *Scanner {
	return &Scanner{cache: files.NewCache(clock), slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// Reads is how many files were read (not only looked at) since New.
func (s *Scanner) Reads() int64 { return s.cache.Reads() }

// Scan finds all that the compile reads. root is a descriptor of the client's
// root directory (O_PATH is enough); it stays the caller's and must be open
// until Scan returns.
//
// The error is an *Unsound when the tree can't be known to be enough, or the
// cause of ctx. A header that does not exist is no error: what is not there is
// not in the tree, and the compiler says so.
func (s *Scanner) Scan(ctx context.Context, root int, src Source) (*Tree, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	chains, err := readWords(src)
	if err != nil {
		return nil, err
	}
	v, err := s.cache.View(ctx, root, src.Dir)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	sc := &scan{
		view: v, src: src, words: map[string]struct{}{},
		angle: make(map[string]place, 512), quote: map[quoteKey]place{}, next: map[nextKey]place{},
	}
	if sc.search, err = findPath(v, src, chains); err != nil {
		return nil, err
	}
	if err := sc.run(chains); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return sc.tree()
}

// Where a file was found, when not in a directory of the search path.
const (
	beside = -1 // in the directory of the file that names it
	direct = -2 // by an absolute name, or given on the command line
)

// A place is a hit with the index of the search directory that it was made in.
type place struct {
	files.Hit
	index int
}

type quoteKey struct {
	from *files.Dir
	name string
}

type nextKey struct {
	after int
	name  string
}

// A state is a file in the circumstances that decide what its names lead to.
type state struct {
	place
	as files.Reading
}

// A scan is one Scan at work.
type scan struct {
	view   *files.View
	src    Source
	search searchPath
	main   *files.File

	angle map[string]place
	quote map[quoteKey]place
	next  map[nextKey]place

	seen   map[state]struct{}
	queue  []state
	read   []*lex.Facts // of all files read as source
	macros []pending
	words  map[string]struct{}
}

// run follows all names until none is new.
func (s *scan) run(c chains) error {
	s.seen = make(map[state]struct{}, 512)
	main, err := s.view.Find(s.view.Cwd, s.src.Cmd.Source())
	if err != nil {
		return err
	}
	if main.File == nil {
		return files.Unsoundf(Unreadable, "%s: no such file", s.src.Cmd.Source())
	}
	s.main = main.File
	s.add(place{main, direct}, s.language())
	if err := s.commandLine(c.first); err != nil {
		return err
	}
	for {
		if err := s.drain(); err != nil {
			return err
		}
		if err := s.settle(c.macros); err != nil {
			return err
		}
		if len(s.queue) == 0 {
			return nil
		}
	}
}

func (s *scan) language() files.Reading {
	switch s.src.Cmd.Language() {
	case argv.Asm:
		return files.AsAsm
	case argv.AsmCPP:
		return files.AsAsmSource
	}
	return files.AsSource
}

// commandLine follows -include, -imacros, and what gcc includes unasked.
func (s *scan) commandLine(names []string) error {
	for _, name := range names {
		if err := s.precompiledBy(name); err != nil {
			return err
		}
		r := lex.Ref{Kind: lex.Include, Form: lex.Quote, Early: true, Name: name}
		if err := s.resolve(state{place{files.Hit{From: s.view.Cwd}, direct}, s.language()}, r); err != nil {
			return err
		}
	}
	if s.src.Cmd.Family() == argv.Clang || s.src.Cmd.Language().IsPreprocessed() {
		return nil
	}
	p, err := s.angled("stdc-predef.h")
	if err == nil && p.File != nil {
		s.add(p, s.language())
	}
	return err
}

// precompiledBy finds what clang puts in the place of -include X: X.pch or
// X.gch. (gcc's own rule is in precompiled.)
func (s *scan) precompiledBy(name string) error {
	for _, suffix := range []string{".pch", ".gch"} {
		if h, err := s.view.Find(s.view.Cwd, name+suffix); err != nil || h.File != nil {
			return orElse(err, files.Unsoundf(Precompiled, "%s%s exists", name, suffix))
		}
	}
	return nil
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// add queues a file to be read, once for each state.
func (s *scan) add(p place, as files.Reading) {
	st := state{p, as}
	if _, ok := s.seen[st]; !ok {
		s.seen[st] = struct{}{}
		s.queue = append(s.queue, st)
	}
}

func (s *scan) drain() error {
	for len(s.queue) > 0 {
		st := s.queue[len(s.queue)-1]
		s.queue = s.queue[:len(s.queue)-1]
		if err := s.open(st); err != nil {
			return err
		}
	}
	return nil
}

// open reads a file and follows the names in it.
func (s *scan) open(st state) error {
	t, err := s.take(st.File, st.as)
	if err != nil {
		return err
	}
	for _, r := range t.Facts.Refs {
		if r.Early && st.File != s.main {
			r.Early = false
		}
		if err := s.resolve(st, r); err != nil {
			return err
		}
	}
	return nil
}

// take makes a file part of the tree, read in one way.
func (s *scan) take(f *files.File, as files.Reading) (*files.Text, error) {
	t, first, err := s.view.Text(f, as)
	if err != nil || !first || t.Facts == nil {
		return t, err
	}
	return t, s.note(f, t.Facts)
}

// note keeps what a file says besides names.
func (s *scan) note(f *files.File, facts *lex.Facts) error {
	s.read = append(s.read, facts)
	for _, t := range facts.Troubles {
		return troubled(f, t)
	}
	for _, w := range facts.Words {
		if w == "__TIMESTAMP__" {
			return files.Unsoundf(Timestamp, "%s uses __TIMESTAMP__", f.Path())
		}
		s.words[w] = struct{}{}
	}
	return nil
}

// troubled is a trouble of the text's as an *Unsound.
func troubled(f *files.File, t lex.Trouble) error {
	u := &Unsound{Text: f.Path() + ": " + t.Text}
	switch t.Kind {
	case lex.AsmName:
		u.Reason, u.Local = AsmName, true
	case lex.Dependency:
		u.Reason, u.Local = Pragma, true
	case lex.Alias:
		u.Reason = Pragma
	case lex.Modules:
		u.Reason = Modules
	case lex.TooMany:
		u.Reason = TooLarge
	default:
		u.Reason = Encoding
	}
	return u
}

// resolve follows one name.
func (s *scan) resolve(st state, r lex.Ref) error {
	if r.Form > lex.Angle {
		if r.Kind == lex.Shown && (r.Name == "__FILE__" || r.Name == "__BASE_FILE__") {
			return nil // a file that is read anyway
		}
		s.macros = append(s.macros, pending{st, r})
		return nil
	}
	switch r.Kind {
	case lex.Shown:
		h, err := s.view.Find(s.view.Cwd, r.Name)
		return s.reach(place{h, direct}, files.AsBytes, err)
	case lex.AsmInclude:
		return s.assembler(r.Name, files.AsAsm)
	case lex.AsmBinary:
		return s.assembler(r.Name, files.AsBytes)
	}
	if r.Early {
		if err := s.precompiled(st, r); err != nil {
			return err
		}
	}
	as := st.as
	if r.Kind == lex.Probe || r.Kind == lex.ProbeNext {
		as = files.AsBytes
	}
	if r.Kind == lex.IncludeNext || r.Kind == lex.ProbeNext {
		if err := s.followNext(st, r, as); err != nil || st.index >= 0 {
			return err
		}
	}
	p, err := s.lookUp(st, r)
	return s.reach(p, as, err)
}

// reach takes a found file in.
func (s *scan) reach(p place, as files.Reading, err error) error {
	if err != nil || p.File == nil {
		return err
	}
	if as == files.AsBytes {
		if _, read := p.File.Digest(); read {
			return nil
		}
		_, err := s.take(p.File, as)
		return err
	}
	s.add(p, as)
	return nil
}

// followNext does #include_next in a file that was found in the search path. In
// a file found beside another gcc begins at the path's first directory, and
// clang as if it were #include: the caller does that too.
func (s *scan) followNext(st state, r lex.Ref, as files.Reading) error {
	if st.index == direct || strings.HasPrefix(r.Name, "/") {
		return nil
	}
	key := nextKey{st.index, r.Name}
	p, ok := s.next[key]
	if !ok {
		var err error
		if p, err = s.searchFrom(st.index+1, r.Name); err != nil {
			return err
		}
		s.next[key] = p
	}
	return s.reach(p, as, nil)
}

// lookUp finds the file of an #include.
func (s *scan) lookUp(st state, r lex.Ref) (place, error) {
	if strings.HasPrefix(r.Name, "/") {
		h, err := s.view.Find(s.view.Root, r.Name)
		return place{h, direct}, err
	}
	if r.Form == lex.Angle {
		return s.angled(r.Name)
	}
	key := quoteKey{st.From, r.Name}
	// -I- forbids a source its own directory; the command line's files are
	// looked for in the working directory all the same.
	if s.search.noSource && st.File != nil {
		key.from = nil
	}
	if p, ok := s.quote[key]; ok {
		return p, nil
	}
	p, err := s.quoted(key)
	s.quote[key] = p
	return p, err
}

func (s *scan) quoted(key quoteKey) (place, error) {
	if key.from != nil {
		h, err := s.view.Find(key.from, key.name)
		if err != nil || h.File != nil {
			return place{h, beside}, err
		}
	}
	return s.searchFrom(0, key.name)
}

func (s *scan) angled(name string) (place, error) {
	if p, ok := s.angle[name]; ok {
		return p, nil
	}
	p, err := s.searchFrom(s.search.bracket, name)
	s.angle[name] = p
	return p, err
}

// searchFrom looks in the search path, from one of its directories on.
func (s *scan) searchFrom(i int, name string) (place, error) {
	for ; i < len(s.search.dirs); i++ {
		h, err := s.view.Find(s.search.dirs[i], name)
		if err != nil || h.File != nil {
			return place{h, i}, err
		}
	}
	return place{}, nil
}

// assembler takes in a file of .include or .incbin: gas looks in the working
// directory and in gcc's -I, clang in more. All files of that name travel, so
// that each finds its own.
func (s *scan) assembler(name string, as files.Reading) error {
	for _, d := range append([]*files.Dir{s.view.Cwd}, s.search.dirs...) {
		h, err := s.view.Find(d, name)
		if err := s.reach(place{h, direct}, as, err); err != nil {
			return err
		}
	}
	return nil
}

// precompiled finds X.gch in a place where gcc would prefer it to X. It does so
// for the first file that is included, in every directory up to the one where
// X is.
func (s *scan) precompiled(st state, r lex.Ref) error {
	if s.src.Cmd.Family() == argv.Clang {
		return nil
	}
	dirs := slices.Clone(s.search.dirs)
	if r.Form == lex.Quote {
		dirs = append(dirs, st.From)
	}
	for _, d := range dirs {
		if found, err := s.view.Exists(d, r.Name+".gch"); err != nil || found {
			return orElse(err, files.Unsoundf(Precompiled, "%s/%s.gch exists", d.Name, r.Name))
		}
	}
	return nil
}
