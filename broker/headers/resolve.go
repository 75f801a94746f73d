package headers

import (
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/headers/files"
	"github.com/crosscc/crosscc/broker/headers/lex"
)

// This file is about what one reference of a text leads to.

// resolve follows one name that is not in the plan.
func (s *scan) resolve(st state, r lex.Ref) error {
	if isMacro(r) {
		s.macros = append(s.macros, pending{state: st, ref: r})
		return nil
	}
	if err := s.precompiled(st, r); err != nil {
		return err
	}
	kids, err := s.kids(nil, st, r)
	if err != nil {
		return err
	}
	for _, k := range kids {
		if err := s.follow(k); err != nil {
			return err
		}
	}
	return nil
}

// kids adds the places that one name leads to, whether a file is there or not.
func (s *scan) kids(out []kid, st state, r lex.Ref) ([]kid, error) {
	out, err := s.named(out, st, r)
	if err == nil && s.search.clang && r.Kind <= lex.IncludeNext && len(out) > 0 && out[len(out)-1].File == nil {
		return s.meant(out, st, r)
	}
	return out, err
}

// meant adds what clang looks for after a miss, which it goes on with when it is
// there: what <name> would be in quotes, and the name between its first and last
// letter or digit (LookupHeaderIncludeOrImport in lib/Lex/PPDirectives.cpp).
func (s *scan) meant(out []kid, st state, r lex.Ref) ([]kid, error) {
	var queries []query
	if r.Form == lex.Angle && !strings.HasPrefix(r.Name, "/") {
		queries = append(queries, query{st.From, 0, r.Name})
	}
	if trimmed := strings.TrimFunc(r.Name, isPunctuation); trimmed != "" && trimmed != r.Name {
		queries = append(queries, query{st.From, 0, trimmed}, query{nil, s.search.bracket, trimmed})
	}
	for _, q := range queries {
		var err error
		if out, err = s.kid(out, q, st.as); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// isPunctuation is true for what is no letter and no digit of ASCII's.
func isPunctuation(c rune) bool {
	return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}

// named adds the places where a compiler looks for one name.
func (s *scan) named(out []kid, st state, r lex.Ref) ([]kid, error) {
	as := st.as
	switch r.Kind {
	case lex.Shown:
		return s.kid(out, query{s.view.Cwd, nowhere, r.Name}, files.AsBytes)
	case lex.AsmInclude:
		return s.assembler(out, r.Name, files.AsAsm)
	case lex.AsmBinary:
		return s.assembler(out, r.Name, files.AsBytes)
	case lex.Probe, lex.ProbeNext:
		as = files.AsBytes
	}
	if strings.HasPrefix(r.Name, "/") {
		return s.kid(out, query{s.view.Root, nowhere, r.Name}, as)
	}
	// #include_next in a file that was found beside another: gcc begins at the
	// path's first directory; clang as if it were #include, or behind the directory
	// where the other was found, which may be any. Of a file that the compiler listed
	// (told) that directory is not known either. All of these are taken.
	if r.Kind == lex.IncludeNext || r.Kind == lex.ProbeNext {
		first, last := st.index+1, st.index+1
		if st.index == direct || st.index == beside && s.search.clang {
			first, last = 0, len(s.search.dirs)-1
		}
		for i := first; i <= last; i++ {
			var err error
			if out, err = s.kid(out, query{nil, i, r.Name}, as); err != nil {
				return nil, err
			}
		}
		if st.index >= 0 {
			return out, nil
		}
	}
	switch {
	case r.Form == lex.Angle:
		return s.kid(out, query{nil, s.search.bracket, r.Name}, as)
	case s.search.noSource && st.File != nil:
		// -I- forbids a source its own directory; the command line's files are
		// looked for in the working directory all the same.
		return s.kid(out, query{nil, 0, r.Name}, as)
	}
	return s.kid(out, query{st.From, 0, r.Name}, as)
}

func (s *scan) kid(out []kid, q query, as files.Reading) ([]kid, error) {
	p, err := s.place(q)
	if err != nil {
		return nil, err
	}
	return append(out, kid{p, as}), nil
}

// assembler adds the places of a file of .include or .incbin: gas looks in the
// working directory and in gcc's -I, clang in more. All files of that name
// travel, so that each finds its own.
func (s *scan) assembler(out []kid, name string, as files.Reading) ([]kid, error) {
	out, err := s.kid(out, query{s.view.Cwd, nowhere, name}, as)
	for _, d := range s.search.dirs {
		if err != nil {
			return nil, err
		}
		out, err = s.kid(out, query{d, nowhere, name}, as)
	}
	return out, err
}

// precompiled finds X.gch in a place where gcc would prefer it to X. It does so
// for the first file that is included, in every directory up to the one where
// X is.
func (s *scan) precompiled(st state, r lex.Ref) error {
	if !r.Early || isMacro(r) || s.src.Cmd.Family() == argv.Clang {
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
