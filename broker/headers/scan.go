package headers

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/headers/files"
	"github.com/crosscc/crosscc/broker/headers/lex"
)

// A Scanner finds what compiles read, and remembers between scans the texts of
// files, the names in directories, and which name led where. Its methods may be
// called at once; it keeps no descriptor. Make it with New.
type Scanner struct {
	cache *files.Cache
	slots chan struct{} // a scan holds one: more at a time than processors only hold descriptors
	spare sync.Pool     // of *marks

	mu     sync.Mutex // guards the fields below
	worlds map[worldKey]*world
	uses   int64 // scans so far
}

// New makes a Scanner. clock is for tests; nil means time.Now.
func New(clock func() time.Time) *Scanner {
	return &Scanner{
		cache: files.NewCache(clock), slots: make(chan struct{}, runtime.GOMAXPROCS(0)), worlds: map[worldKey]*world{},
		spare: sync.Pool{New: func() any { return &marks{once: map[query]*place{}, words: map[string]struct{}{}} }},
	}
}

// Reads is how many files were read (not only looked at) since New.
func (s *Scanner) Reads() int64 { return s.cache.Reads() }

// maxBegins bounds how often one scan begins again because files came and went
// while it looked.
const maxBegins = 50

// Scan finds all that the compile reads. root is a descriptor of the client's
// root directory (O_PATH is enough); it stays the caller's and must be open
// until Scan returns.
//
// The error is an *Unsound when the tree can't be known to be enough, or the
// cause of ctx. A header that does not exist is no error: what is not there is
// not in the tree, and the compiler says so.
func (s *Scanner) Scan(ctx context.Context, root int, src Source) (*Tree, error) {
	w := s.world(root, src.Image)
	began := w.Arrive()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var chains chains
	if src.Cmd != nil {
		var err error
		if chains, err = readWords(src); err != nil {
			return nil, err
		}
	}
	v, err := w.View(ctx, began, root)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	sc := &scan{view: v, world: w, src: src, chains: chains, marks: s.spare.Get().(*marks)}
	defer s.spare.Put(sc.marks)
	for range maxBegins {
		tree, err := sc.attempt()
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !v.Stale():
			return tree, err
		}
	}
	return nil, files.Unsoundf(Changed, "headers come and go too fast")
}

// A scan is one Scan at work.
type scan struct {
	view   *files.View
	world  *world
	src    Source
	chains chains
	search searchPath
	plan   *plan
	main   *files.File
	*marks
}

// marks are what one attempt of a scan has seen.
type marks struct {
	used   files.Set // places of the plan
	queued files.Set // nodes of the plan
	queue  []*node
	once   map[query]*place // places that are good for this attempt alone
	read   []*lex.Facts     // of all files read as source, and of -D
	macros []pending
	words  map[string]struct{}
}

func (m *marks) clear() {
	m.used.Clear()
	m.queued.Clear()
	clear(m.once)
	clear(m.words)
	clear(m.queue)
	clear(m.read)
	clear(m.macros)
	m.queue, m.read, m.macros = m.queue[:0], m.read[:0], m.macros[:0]
}

// attempt is a whole scan, of which the outcome counts if the view is not stale
// in the end.
func (s *scan) attempt() (*Tree, error) {
	s.marks.clear()
	defer s.marks.clear()
	err := s.view.Begin(s.src.Dir)
	if err != nil {
		return nil, err
	}
	s.search = searchPath{}
	if s.src.Cmd != nil {
		if s.search, err = findPath(s.view, s.src, s.chains); err != nil {
			return nil, err
		}
	}
	s.plan = s.world.plan(s.view.Epoch(), s.search)
	if err := s.run(); err != nil {
		return nil, err
	}
	return s.tree()
}

// run follows all names until none is new.
func (s *scan) run() error {
	if err := s.besides(); err != nil || s.src.Cmd == nil {
		return err
	}
	if err := s.source(); err != nil {
		return err
	}
	if err := s.told(); err != nil {
		return err
	}
	if err := s.operands(s.chains.macros); err != nil {
		return err
	}
	if err := s.given(s.chains.first); err != nil {
		return err
	}
	if err := s.ofImage(); err != nil {
		return err
	}
	for {
		if err := s.drain(); err != nil {
			return err
		}
		if err := s.settle(); err != nil {
			return err
		}
		if len(s.queue) == 0 {
			return nil
		}
	}
}

// source takes in the source itself.
func (s *scan) source() error {
	if s.src.Stdin != nil {
		return s.stdin()
	}
	main, err := s.place(query{s.view.Cwd, nowhere, s.src.Cmd.Source()})
	if err != nil {
		return err
	}
	if main.File == nil {
		return files.Unsoundf(Unreadable, "%s: no such file", s.src.Cmd.Source())
	}
	s.main = main.File
	s.add(main, s.language())
	return nil
}

// stdin follows the names in a text that is in no file.
func (s *scan) stdin() error {
	lang := lex.Source
	switch s.language() {
	case files.AsAsmSource:
		lang = lex.AsmSource
	case files.AsAsm:
		lang = lex.Asm
	}
	facts := lex.File(s.src.Stdin, lang)
	if err := s.note("standard input", facts); err != nil {
		return err
	}
	for _, r := range facts.Refs {
		if err := s.resolve(state{From: s.view.Cwd, index: direct, as: s.language()}, r); err != nil {
			return err
		}
	}
	return nil
}

// besides takes in what is read besides the source, and directories.
func (s *scan) besides() error {
	for _, name := range s.src.Also {
		p, err := s.said(name)
		if err != nil {
			return err
		}
		if err := s.follow(kid{p, files.AsBytes}); err != nil {
			return err
		}
	}
	for _, dir := range s.src.Beside {
		if _, err := s.view.DirAt(s.view.Cwd, dir); err != nil {
			return err
		}
	}
	return nil
}

// said is where a name of the command's, or of the compiler's, leads to.
func (s *scan) said(name string) (*place, error) {
	from := s.view.Cwd
	if strings.HasPrefix(name, "/") {
		from = s.view.Root
	}
	return s.place(query{from, nowhere, name})
}

// told takes in what the compiler says that it reads. Of how it came to a file
// nothing is known, so that what that includes is looked for as in a source: more
// may be found than is read, and all that is read is on the list itself.
func (s *scan) told() error {
	for _, name := range s.src.Told {
		p, err := s.said(name)
		if err != nil {
			return err
		}
		if p.File == nil {
			return files.Unsoundf(Changed, "%s is gone since the compiler named it", name)
		}
		if err := s.follow(kid{p, s.language()}); err != nil {
			return err
		}
	}
	return nil
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

// operands reads what -D defines as the text that it is. A macro of it may be used
// in any file, whose directory decides what a name in it means: so what names a
// file otherwise than by standing in the place of its name is unknowable.
func (s *scan) operands(macros []string) error {
	if len(macros) == 0 {
		return nil
	}
	var text []byte
	for _, m := range macros {
		text = append(append(append(text, "#define "...), strings.Replace(m, "=", " ", 1)...), '\n')
	}
	lang := lex.Source
	if s.language() == files.AsAsmSource {
		lang = lex.AsmSource
	}
	facts := lex.File(text, lang)
	if err := s.note(commandLine, facts); err != nil {
		return err
	}
	if len(facts.Refs) == 0 {
		return nil
	}
	if slices.ContainsFunc(facts.Refs, func(r lex.Ref) bool { return r.Kind == lex.AsmInclude || r.Kind == lex.AsmBinary }) {
		return troubled(commandLine, lex.Trouble{Kind: lex.AsmName, Text: "-D has in it that the assembler reads a file"})
	}
	return files.Unsoundf(Computed, "%s: -D has in it that %s is looked for", commandLine, facts.Refs[0].Name)
}

// commandLine is where a text or name is that is in no file.
const commandLine = "command line"

// given follows -include, -imacros, and what gcc includes unasked.
func (s *scan) given(names []string) error {
	for _, name := range names {
		if err := s.precompiledBy(name); err != nil {
			return err
		}
		r := lex.Ref{Kind: lex.Include, Form: lex.Quote, Early: true, Name: name}
		if err := s.resolve(state{From: s.view.Cwd, index: direct, as: s.language()}, r); err != nil {
			return err
		}
	}
	if s.src.Cmd.Family() == argv.Clang || s.src.Cmd.Language().IsPreprocessed() {
		return nil
	}
	p, err := s.place(query{nil, s.search.bracket, "stdc-predef.h"})
	if err == nil && p.File != nil {
		s.add(p, s.language())
	}
	return err
}

// precompiledBy finds what clang puts in the place of -include X: X.pch or
// X.gch, files or directories of such, for its preprocessor as well, whose text then
// lacks what is in there.
// (gcc's own rule is in precompiled.)
func (s *scan) precompiledBy(name string) error {
	for _, suffix := range []string{".pch", ".gch"} {
		if found, err := s.view.Exists(s.view.Cwd, name+suffix); err != nil || found {
			return orElse(err, &files.Unsound{Reason: Precompiled, Text: name + suffix + " exists", Local: s.src.Cmd.Family() == argv.Clang})
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
func (s *scan) add(p *place, as files.Reading) {
	if n := s.plan.node(p, as); s.queued.Add(n.id) {
		s.queue = append(s.queue, n)
	}
}

func (s *scan) drain() error {
	for len(s.queue) > 0 {
		n := s.queue[len(s.queue)-1]
		s.queue = s.queue[:len(s.queue)-1]
		if err := s.open(n); err != nil {
			return err
		}
	}
	return nil
}

// open reads a file and follows the names in it.
func (s *scan) open(n *node) error {
	t, err := s.take(n.File, n.as)
	if err != nil {
		return err
	}
	if n.File == s.main {
		for _, r := range t.Facts.Refs {
			if err := s.precompiled(n.state, r); err != nil {
				return err
			}
		}
	}
	kids, macros := n.kids, n.macros
	if n.facts != t.Facts {
		if kids, macros, err = s.expand(n, t.Facts); err != nil {
			return err
		}
	}
	for _, r := range macros {
		s.macros = append(s.macros, pending{state: n.state, ref: r})
	}
	for _, k := range kids {
		if err := s.follow(k); err != nil {
			return err
		}
	}
	return nil
}

// expand finds where all names of a node lead.
func (s *scan) expand(n *node, facts *lex.Facts) (kids []kid, macros []lex.Ref, err error) {
	for _, r := range facts.Refs {
		if isMacro(r) {
			macros = append(macros, r)
		} else if kids, err = s.kids(kids, n.state, r); err != nil {
			return nil, nil, err
		}
	}
	if n.keep(facts, kids, macros) {
		s.view.Spend(32 * (len(kids) + len(macros)))
	}
	return kids, macros, nil
}

// isMacro reports whether the name is a macro's.
func isMacro(r lex.Ref) bool { return r.Form > lex.Angle }

// follow goes where a name leads.
func (s *scan) follow(k kid) error {
	if err := s.use(k.place); err != nil || k.File == nil {
		return err
	}
	if k.as != files.AsBytes {
		s.add(k.place, k.as)
		return nil
	}
	if s.view.Known(k.File) {
		return nil
	}
	_, err := s.take(k.File, k.as)
	return err
}

// take makes a file part of the tree, read in one way.
func (s *scan) take(f *files.File, as files.Reading) (*files.Text, error) {
	t, first, err := s.view.Text(f, as)
	if err != nil || !first || t.Facts == nil {
		return t, err
	}
	return t, s.note(f.Path(), t.Facts)
}

// note keeps what a text says besides names; where is what people call it.
func (s *scan) note(where string, facts *lex.Facts) error {
	s.read = append(s.read, facts)
	for _, t := range facts.Troubles {
		return troubled(where, t)
	}
	for _, w := range facts.Words {
		if w == "__TIMESTAMP__" {
			return files.Unsoundf(Timestamp, "%s uses __TIMESTAMP__", where)
		}
		s.words[w] = struct{}{}
	}
	return nil
}

// troubled is a trouble of the text's as an *Unsound.
func troubled(where string, t lex.Trouble) error {
	u := &Unsound{Text: where + ": " + t.Text}
	switch t.Kind {
	case lex.AsmName:
		u.Reason, u.Local = AsmName, true
	case lex.Dependency:
		u.Reason, u.Local = Pragma, true
	case lex.Alias:
		u.Reason = Pragma
	case lex.Modules:
		u.Reason = Modules
	case lex.Pasted:
		u.Reason = Computed
	case lex.TooMany:
		u.Reason = TooLarge
	default:
		u.Reason = Encoding
	}
	return u
}
