package lex

import (
	"bytes"
	"strings"
)

// directive reads what follows the # up to where no more can be learnt; the rest
// of the line is read as tokens, for the words and strings in it.
func (s *scanner) directive() {
	s.skipBlanks()
	if classes[s.b[s.i]] == digit {
		s.number()
		s.shown()
		return
	}
	start := s.i
	switch string(s.word()) {
	default:
		s.i = start
	case "include", "import", "__include_macros":
		s.include(Include)
	case "include_next":
		s.include(IncludeNext)
	case "embed":
		s.include(Probe)
	case "define":
		s.defineMacro()
	case "if":
		s.cond = true
		s.depth++
	case "elif":
		s.cond = true
	case "ifdef", "ifndef":
		s.depth++
	case "endif":
		s.depth = max(s.depth-1, 0)
	case "line":
		s.lineDirective()
	case "pragma":
		s.pragma(s.b[s.i : s.i+bytes.IndexByte(s.b[s.i:], '\n')])
	}
}

// word is name, but leaves alone what begins a raw string.
func (s *scanner) word() []byte {
	start := s.i
	name := s.name()
	if name != nil && s.b[s.i] == '"' && rawPrefix(name) {
		s.saw |= noRaw
		if s.mode&noRaw == 0 {
			s.i = start
			return nil
		}
	}
	return name
}

// include reads the operand of #include.
func (s *scanner) include(k Kind) {
	s.skipBlanks()
	r := Ref{Kind: k, Early: !s.first && k != Probe}
	s.first = s.first || s.depth == 0 && k != Probe
	if s.headerName(&r) {
		s.facts.ref(r)
		return
	}
	if name := s.word(); name != nil {
		s.facts.ref(s.macro(r, name))
	}
}

// macro makes r one that the macro name stands for.
func (s *scanner) macro(r Ref, name []byte) Ref {
	r.Form, r.Name = Macro, string(name)
	s.skipBlanks()
	if s.b[s.i] == '(' {
		r.Form = Call
	}
	return r
}

// headerName takes "name" or <name>, which no escape and no comment interrupts.
func (s *scanner) headerName(r *Ref) bool {
	end := byte('"')
	switch s.b[s.i] {
	case '"':
		r.Form = Quote
	case '<':
		r.Form, end = Angle, '>'
	default:
		return false
	}
	line := s.b[s.i+1 : min(s.i+1+maxName, len(s.b))] // no file has a longer name
	n := bytes.IndexByte(line, end)
	if n < 0 || bytes.IndexByte(line[:n], '\n') >= 0 {
		return false
	}
	r.Name = string(line[:n])
	s.i += n + 2
	return true
}

// defineMacro reads a #define up to its replacement.
func (s *scanner) defineMacro() {
	s.skipBlanks()
	name := s.word()
	if name == nil {
		return
	}
	s.define = true
	h := hashBytes(name)
	if s.b[s.i] == '(' {
		n := bytes.IndexAny(s.b[s.i:], ")\n")
		s.params = s.b[s.i : s.i+n]
		if n > maxParams {
			s.params, s.facts.Wrapper = nil, true
		}
		s.i += n
		s.facts.define(h)
		return
	}
	s.skipBlanks()
	if body := s.plainBody(); body != nil {
		s.facts.plain(Text{h, string(body)})
		return
	}
	s.facts.define(h)
}

// plainBody looks at a replacement that is one string, one <name> or one
// identifier; nil when it is anything else. Nothing is taken.
func (s *scanner) plainBody() []byte {
	at := *s
	var r Ref
	switch c := at.b[at.i]; {
	case c == '"' || c == '<':
		if !at.headerName(&r) || strings.ContainsAny(r.Name, " \t\v\f\r\\\x00") {
			return nil
		}
	case classes[c] == letter:
		at.word()
	default:
		return nil
	}
	body := at.b[s.i:at.i]
	at.skipBlanks()
	if at.b[at.i] != '\n' && (at.b[at.i] != '/' || at.at(1) != '/') {
		return nil
	}
	return body
}

// hasInclude reads the operand of __has_include.
func (s *scanner) hasInclude(k Kind) {
	s.skipBlanks()
	r := Ref{Kind: k}
	if s.b[s.i] == '(' {
		s.i++
		s.skipBlanks()
	} else if s.define {
		s.facts.Wrapper = true // another name for it
	}
	if s.headerName(&r) {
		s.facts.ref(r)
		return
	}
	name := s.word()
	switch {
	case name == nil:
	case s.isParam(name):
		s.facts.Wrapper = true
	case s.define || s.cond:
		s.facts.ref(s.macro(r, name))
	}
}

// isParam reports whether the macro that is being defined has a parameter of
// this name.
func (s *scanner) isParam(name []byte) bool {
	for p := range bytes.FieldsFuncSeq(s.params, func(c rune) bool { return strings.ContainsRune(" \t(),", c) }) {
		if bytes.Equal(p, name) || string(p) == "..." && string(name) == "__VA_ARGS__" {
			return true
		}
	}
	return false
}

// call looks at IDENT(…) on an #if line: the macro IDENT may hand a name on to
// __has_include.
func (s *scanner) call(name []byte) {
	if builtinCalls[string(name)] {
		return
	}
	at := *s
	if at.skipBlanks(); at.b[at.i] != '(' {
		return
	}
	at.i++
	at.skipBlanks()
	var r Ref
	if !at.headerName(&r) {
		if id := at.word(); id != nil {
			r.Form, r.Name = Wrapped, string(id)
		}
	}
	literal := at.i
	if at.skipBlanks(); r.Name == "" || at.b[at.i] != ')' {
		return
	}
	r.Kind = Probe
	s.facts.ref(r)
	if r.Form != Wrapped {
		r.Kind = ProbeNext
		s.facts.ref(r)
		s.i = literal
	}
}

// builtinCalls are what may stand before a parenthesis on an #if line and is no
// macro of anyone's; __has_include is read elsewhere.
var builtinCalls = map[string]bool{
	"defined": true, "__has_attribute": true, "__has_cpp_attribute": true, "__has_c_attribute": true,
	"__has_builtin": true, "__has_constexpr_builtin": true, "__has_feature": true, "__has_extension": true,
	"__has_warning": true, "__has_declspec_attribute": true, "__is_identifier": true, "__is_target_arch": true,
	"__has_include": true, "__has_include_next": true, "__has_embed": true,
}

// lineDirective reads #line, whose operands may be macros.
func (s *scanner) lineDirective() {
	s.skipBlanks()
	if classes[s.b[s.i]] == digit {
		s.number()
	} else if name := s.word(); name != nil && string(name) != "__LINE__" {
		s.facts.ref(s.macro(Ref{Kind: Shown}, name))
		return
	}
	s.shown()
}

// shown reads the name behind a line number.
func (s *scanner) shown() {
	s.skipBlanks()
	if s.b[s.i] == '"' {
		start := s.i + 1
		s.i = s.closing(start, '"')
		name, plain := plainName(bytes.TrimSuffix(s.b[start:s.i], []byte(`"`)))
		if !plain {
			s.facts.trouble(Encoding, "#line names a file with escapes")
		}
		if !strings.HasPrefix(name, "<") {
			s.facts.ref(Ref{Kind: Shown, Name: name})
		}
	} else if name := s.word(); name != nil {
		s.facts.ref(s.macro(Ref{Kind: Shown}, name))
	}
}

// plainName undoes \" and \\; false when there is another escape.
func plainName(b []byte) (string, bool) {
	var out []byte
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' {
			if i++; i == len(b) || b[i] != '"' && b[i] != '\\' {
				return "", false
			}
		}
		out = append(out, b[i])
	}
	return string(out), true
}

// harmless are pragmas that change neither code nor what is read.
var harmless = map[string]bool{
	"once": true, "push_macro": true, "pop_macro": true, "message": true, "region": true, "endregion": true, "mark": true,
	"GCC system_header": true, "GCC diagnostic": true, "GCC poison": true, "GCC warning": true, "GCC error": true,
	"clang system_header": true, "clang diagnostic": true, "clang deprecated": true, "clang final": true,
	"clang assume_nonnull": true,
}

// troublesome are pragmas that change what is read.
var troublesome = map[string]TroubleKind{
	"GCC dependency": Dependency, "GCC pch_preprocess": Alias, "include_alias": Alias, "clang module": Modules,
	"include_instead": Alias, "clang include_instead": Alias,
}

// pragma reads the text of a pragma, from a # line or from _Pragma.
func (s *scanner) pragma(text []byte) {
	fields := strings.FieldsFunc(string(text[:min(len(text), 200)]), func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
	if len(fields) == 0 {
		return
	}
	name := strings.Trim(fields[0], "_")
	if len(fields) > 1 && (name == "GCC" || name == "clang" || name == "STDC") {
		name += " " + strings.Trim(fields[1], "_")
	}
	switch k, bad := troublesome[name]; {
	case bad:
		s.facts.trouble(k, "#pragma "+name)
	case !harmless[name]:
		s.facts.word("pragma " + name[:min(len(name), 60)])
	}
}

// pragmaOperator reads _Pragma("…").
func (s *scanner) pragmaOperator() {
	at := *s
	if at.skipBlanks(); at.b[at.i] != '(' {
		return
	}
	at.i++
	if at.skipBlanks(); at.b[at.i] != '"' {
		return // the text is some macro's argument: its words are seen there
	}
	s.pragma(at.b[at.i:at.closing(at.i+1, '"')])
}

// importLine finds C++20's import of a header unit, at the beginning of a line.
func (s *scanner) importLine() {
	at := *s
	word := string(at.word())
	if word == "export" {
		at.skipBlanks()
		word = string(at.word())
	}
	if word != "import" {
		return
	}
	at.skipBlanks()
	if c := at.b[at.i]; c == '<' || c == '"' {
		s.facts.trouble(Modules, "import of a header unit")
	}
}
