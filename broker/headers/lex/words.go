package lex

import (
	"bytes"
	"strings"
)

// action is what an identifier makes the scanner do.
type action uint8

const (
	note          action = iota + 1 // it goes into Facts.Words wherever it stands
	noteAttribute                   // only as an attribute: __word__, word("…"), or inside __attribute__
	attribute                       // attributes follow
	hasInclude
	hasIncludeNext
	pragma
	incbin
)

// distinct are attributes that change code and whose names mean little else. An
// attribute may hide in macros, so they count wherever they stand.
const distinct = `
stack_protect no_stack_protector no_split_stack optimize target_clones target_version noinline always_inline flatten
noclone noipa no_icf no_reorder patchable_function_entry no_instrument_function no_profile_instrument_function
no_sanitize no_sanitize_address no_sanitize_thread no_sanitize_undefined no_sanitize_memory no_sanitize_coverage
no_address_safety_analysis disable_sanitizer_instrumentation zero_call_used_regs interrupt_handler ms_abi sysv_abi
regparm sseregparm fastcall vectorcall regcall force_align_arg_pointer indirect_branch function_return indirect_return
nocf_check cf_check fentry_name fentry_section ms_hook_prologue no_caller_saved_registers tls_model ifunc init_priority
scalar_storage_order transparent_union noplt returns_twice aarch64_vector_pcs long_call short_call
cmse_nonsecure_entry cmse_nonsecure_call riscv_vector_cc minsize optnone no_builtin swiftcall swiftasynccall
preserve_most preserve_all ext_vector_type trivial_abi speculative_load_hardening no_speculative_load_hardening
disable_tail_calls xray_always_instrument xray_never_instrument xray_log_args symver nocommon vector_size ms_struct
gcc_struct no_destroy standalone_debug uninitialized no_unique_address externally_visible lto_preserve`

// common are attributes whose names are words of everybody's.
const common = `
target naked interrupt signal section mode visibility weak alias constructor destructor aligned packed cold hot leaf
nothrow pure simd used retain unused malloc pcs cdecl stdcall thiscall norelax common cleanup weakref thread
hardbool assume musttail likely unlikely noreturn carries_dependency`

// times are macros whose value is not in any file.
const times = `__DATE__ __TIME__ __TIMESTAMP__`

// pasted are macros and operators of the compiler's that ## can make, and how
// short a beginning of the name and an end of it may be that mean nothing else.
var pasted = []struct {
	name       string
	begin, end int
}{
	{"__TIME__", len("__TI"), len("E__")},
	{"__DATE__", len("__DA"), len("E__")},
	{"__TIMESTAMP__", len("__TI"), len("P__")},
	{"__has_include", len("__has"), len("has_include")},
	{"__has_include_next", len("__has"), len("_include_next")},
	{"__has_embed", len("__has"), len("has_embed")},
	{"_Pragma", len("_Pra"), len("ragma")},
}

// pieces are those beginnings and ends. Nobody writes one but to paste it.
var pieces = pieceTable()

func pieceTable() map[string]bool {
	t := map[string]bool{}
	for _, p := range pasted {
		for n := 1; n < len(p.name); n++ {
			if n >= p.begin {
				t[p.name[:n]] = true
			}
			if n >= p.end {
				t[p.name[len(p.name)-n:]] = true
			}
		}
	}
	t["include"], t["include_next"] = true, true // see isPrefix
	for _, p := range pasted {
		delete(t, p.name) // it begins another
	}
	return t
}

var words = wordTable()

func wordTable() map[string]action {
	t := map[string]action{
		"attribute": attribute, "declspec": attribute, "has_include": hasInclude, "has_embed": hasInclude,
		"has_include_next": hasIncludeNext, "Pragma": pragma, "pragma": pragma, "incbin": incbin,
	}
	for _, w := range strings.Fields(distinct) {
		t[w] = note
	}
	for _, w := range strings.Fields(common) {
		t[w] = noteAttribute
	}
	for _, w := range strings.Fields(times) {
		t[strings.Trim(w, "_")] = note
	}
	return t
}

// lengths has, for each first byte, a bit for each length that a word of the
// table may have, with two underscores behind it or not. Nearly all identifiers
// end here.
var lengths = lengthTable()

func lengthTable() (t [256]uint64) {
	for w := range words {
		t[w[0]] |= 1<<len(w) | 1<<(len(w)+2)
	}
	for p := range pieces {
		bare := strings.TrimLeft(p, "_")
		t[bare[0]] |= 1 << len(bare)
	}
	return t
}

// special acts on an identifier that passed the first test: name as it stands,
// word without its underscores.
func (s *scanner) special(name, word []byte) {
	if pieces[string(name)] && !s.isPrefix(name) {
		s.facts.trouble(Pasted, string(name)+" may be made a name of the compiler's by ##")
		return
	}
	switch a := words[string(word)]; a {
	case note:
		s.note(name, word)
	case noteAttribute:
		if len(name) == len(word)+4 || s.stringArgument() {
			s.facts.word(string(word))
		}
	case attribute:
		if len(name) > len(word) { // without underscores it is anybody's name
			s.attributes(&s.parens, "))")
		}
	case hasInclude, hasIncludeNext:
		if bytes.HasPrefix(name, []byte("__")) {
			s.hasInclude(map[action]Kind{hasInclude: Probe, hasIncludeNext: ProbeNext}[a])
		}
	case pragma:
		s.pragmaOperator()
	case incbin:
		if start := s.i - len(name); !s.asm && start > 0 && s.b[start-1] == '.' {
			s.facts.trouble(AsmName, "a macro makes text of .incbin")
		}
	}
}

// isPrefix reports whether __has_ stands before ##, as in libstdc++, which makes
// names of its own so. What it would have to meet is among the pieces, when it
// stands where __has_include may: behind #if or #define, but for #include.
func (s *scanner) isPrefix(name []byte) bool {
	if tail := string(name); tail == "include" || tail == "include_next" {
		start := s.i - len(name)
		return !s.cond && !s.define || s.b[start-1] == '#' && s.b[start-2] != '#'
	}
	at := *s
	at.skipBlanks()
	return string(name) == "__has_" && at.b[at.i] == '#' && at.at(1) == '#'
}

// note keeps an attribute by its bare name, and a macro of the compiler's under
// its own.
func (s *scanner) note(name, word []byte) {
	if strings.Contains(times, string(word)) {
		if string(name) != "__"+string(word)+"__" {
			return
		}
		word = name
	}
	s.facts.word(string(word))
}

// stringArgument reports whether (" follows.
func (s *scanner) stringArgument() bool {
	at := *s
	if at.skipBlanks(); at.b[at.i] != '(' {
		return false
	}
	at.i++
	at.skipBlanks()
	return at.b[at.i] == '"'
}

// A list of attributes without an end in maxAttributes bytes is taken to have
// shortList.
const (
	maxAttributes = 4096
	shortList     = 256
)

// A span is where the lists of attributes with one kind of end were looked at.
type span struct {
	end   int // the next end of a list, once it was looked for
	noted int // the words before are noted
}

// attributes looks at the text of a list of attributes for words of the table.
// It takes nothing, and does not mind what is a comment. A text that is full of
// such lists is gone over once.
func (s *scanner) attributes(sp *span, end string) {
	if sp.end <= s.i {
		if n := bytes.Index(s.b[s.i:], []byte(end)); n >= 0 {
			sp.end = s.i + n
		} else {
			sp.end = len(s.b) + maxAttributes // nowhere
		}
	}
	from, to := max(s.i, sp.noted), sp.end
	if to-s.i > maxAttributes-len(end) {
		to = min(s.i+shortList, len(s.b))
	}
	for from > s.i && inName[s.b[from-1]] {
		from-- // half of a word was noted
	}
	if from >= to {
		return
	}
	sp.noted = to
	for w := range bytes.FieldsFuncSeq(s.b[from:to], func(c rune) bool { return c >= 0x80 || classes[byte(c)] != letter && classes[byte(c)] != digit }) {
		w = bytes.Trim(w, "_")
		if a := words[string(w)]; a == note || a == noteAttribute {
			s.facts.word(string(w))
		}
	}
}
