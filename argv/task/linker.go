package task

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
)

// This file is the policy for words that a driver hands to the linker unread, an allowlist as package allow is: the helper's, and
// the client's, who must know which files they name.
//
// The attack: a linker loads plugins (--plugin), runs scripts that name other files to read and write (-c, MRI), reads words from
// files (@file), and writes to names (-Map, --dependency-file, --out-implib, -o). The sandbox stands behind this list.
//
// Odd facts: GNU ld takes long options with one dash and with two, but for those that begin with o, and by any beginning that
// is no other's. So -error-handling-script=X is no -e: it runs X. And -oformat X is -o format and then X, as -hash-size X is for
// gold, which does not know it, -h ash-size and then X: a word that takes the next one is taken only as all linkers read it. The operand of an option
// stands behind "=" or is the next word, which may be in the next -Wl, of the driver's. What has no dash is an input.

// linkerUse is what the linker does with an operand.
type linkerUse int

const (
	readsNothing linkerUse = iota // text, or no operand at all
	readsInput                    // an object or archive
	readsScript                   // looked for in the working directory and in -L
	readsLibrary                  // -l
	readsDir                      // -L
	readsDirs                     // -rpath-link: some, with colons between
	readsRunDirs                  // -rpath: the same, which the program is told as well
	writesMap                     // what was linked and where it is
	writesRules                   // a rule of make's with all that was read
)

// A linkerPart is one operand among the words for the linker, and where it stands.
type linkerPart struct {
	use    linkerUse
	value  string
	output string // the job's name of the output that it names; "" for others
	word   int    // the driver's word that it stands in
	part   int    // of -Wl,: which of its parts, counted from 0
	prefix string
}

// in is the driver's word with the operand replaced.
func (p linkerPart) in(w option.Word, value string) []string {
	if w.Name == "-Xlinker" {
		return []string{"-Xlinker", p.prefix + value}
	}
	parts := strings.Split(w.Value, ",")
	parts[p.part] = p.prefix + value
	return []string{"-Wl," + strings.Join(parts, ",")}
}

// linkerFlags are words without an operand, or with one that is a number or a mode; leading dashes are left out.
var linkerFlags = regexp.MustCompile(`^(as-needed|no-as-needed|whole-archive|no-whole-archive|Bstatic|Bdynamic|Bsymbolic|Bsymbolic-functions|Bgroup|Bshareable|` +
	`dn|dy|non_shared|call_shared|start-group|end-group|\(|\)|gc-sections|no-gc-sections|print-gc-sections|no-print-gc-sections|gc-keep-exported|` +
	`strip-all|strip-debug|[sSxXrEnNgidpqtMv]|export-dynamic|no-export-dynamic|emit-relocs|(no-)?fatal-warnings|(no-)?warn-[a-z-]+|no-undefined|` +
	`(no-)?allow-shlib-undefined|allow-multiple-definition|build-id|build-id=(none|md5|sha1|fast|tree|0x[0-9a-fA-F]+)|(no-)?eh-frame-hdr|(no-)?relax|` +
	`discard-(all|locals|none)|(enable|disable)-new-dtags|(no-)?(copy-dt-needed-entries|add-needed)|cref|print-map|print-output-format|trace|verbose|stats|no-keep-memory|` +
	`reduce-memory-overheads|pie|pic-executable|no-pie|no-dynamic-linker|shared|static|nostdlib|(no-)?[on]magic|(no-)?demangle(=[a-z-]+)?|traditional-format|` +
	`accept-unknown-input-arch|no-define-common|orphan-handling=[a-z]+|sort-common(=[a-z]+)?|sort-section=[a-z]+|hash-style=(sysv|gnu|both)|` +
	`compress-debug-sections=[a-z0-9-]+|no-dependent-libraries|icf=[a-z]+|O[0-9]?|(no-)?ld-generated-unwind-info|push-state|pop-state|(no-)?threads|threads=[0-9]+|thread-count=[0-9]+|` +
	`unresolved-symbols=[a-z-]+|error-unresolved-symbols|(no-)?undefined-version|default-symver|dynamic-list-(data|cpp-new|cpp-typeinfo)|` +
	`version|V|color-diagnostics(=[a-z]+)?|gdb-index|no-gdb-index|fix-cortex-[a-z0-9-]+(=[a-z]+)?|be8|use-blx|no-merge-exidx-entries|apply-dynamic-relocs|no-apply-dynamic-relocs|` +
	`pack-dyn-relocs=[a-z+]+|check-sections|no-check-sections|(no-)?omit-global-definitions|no-strip-discarded|strip-discarded|no-ctors-in-init-array|ctors-in-init-array)$`)

// linkerDouble are those of them that need two dashes: with one GNU ld, where it does not know the long word, reads -c, a script
// of MRI's that may name files, or -o.
var linkerDouble = regexp.MustCompile(`^(o|color-|ctors-|compress-|gc-keep-|no-(gdb-index|dependent-libraries|apply-|omit-|threads|strip-discarded|[on]magic))`)

// linkerTexts are words whose operand is text.
var linkerTexts = strings.Fields(`soname h e entry u undefined require-defined defsym wrap z m I dynamic-linker Ttext Tdata Tbss Ttext-segment
	Trodata-segment Tldata-segment section-start image-base format b oformat y trace-symbol exclude-libs F filter f auxiliary init fini hash-size
	audit depaudit export-dynamic-symbol version-exports-section max-cache-size A architecture sort-section`)

// linkerSingle are the long words of these lists that all linkers know with one dash, too.
var linkerSingle = strings.Fields(`soname entry undefined defsym wrap dynamic-linker Ttext Tdata Tbss Ttext-segment Trodata-segment Tldata-segment
	section-start format trace-symbol exclude-libs filter auxiliary init fini audit script dT version-script dynamic-list retain-symbols-file rpath rpath-link
	Map`)

// linkerReads are words whose operand is read.
var linkerReads = map[string]linkerUse{
	"T": readsScript, "script": readsScript, "dT": readsScript, "default-script": readsScript, "version-script": readsScript, "dynamic-list": readsScript,
	"export-dynamic-symbol-list": readsScript, "retain-symbols-file": readsScript, "L": readsDir, "library-path": readsDir, "rpath": readsRunDirs, "rpath-link": readsDirs,
	"l": readsLibrary, "library": readsLibrary, "Map": writesMap, "dependency-file": writesRules, "symbol-ordering-file": readsScript, "section-ordering-file": readsScript,
}

// linkerJoined are one-letter words with an operand that follows at once. None is the beginning of a long word of a linker's
// (getopt_long_only(3)) that does more than the short one.
var linkerJoined = regexp.MustCompile(`^(l[A-Za-z0-9_.+:-]+|L.+|T.+|z[a-z0-9-]+(=[a-z0-9]+)?|m(elf|aarch64|arm)[a-z0-9_]*|` +
	`e(main|_[A-Za-z0-9_.$]*|[A-Z][A-Za-z0-9_.$]*|0x[0-9a-fA-F]+)|u[A-Za-z0-9_.$]+|h[^=]+\.so[0-9.]*)$`)

// A linkerWord is one word as the linker gets it.
type linkerWord struct {
	text       string
	word, part int
}

// flatten judges all words for the linker, run by run of adjacent ones.
func (t *Task) flatten() error {
	var run []linkerWord
	for i := 0; i <= len(t.words); i++ {
		if i < len(t.words) && t.words[i].Name == "-Wl," {
			for n, s := range strings.Split(t.words[i].Value, ",") {
				run = append(run, linkerWord{s, i, n})
			}
			continue
		}
		if i < len(t.words) && t.words[i].Name == "-Xlinker" {
			run = append(run, linkerWord{t.words[i].Value, i, 0})
			continue
		}
		if err := t.linkerRun(run); err != nil {
			return err
		}
		run = nil
	}
	return nil
}

// linkerWrites adds an output that the linker is told of besides the program.
func (t *Task) linkerWrites(p *linkerPart) error {
	p.output = MapOutput
	if p.use == writesRules {
		p.output = RulesOutput
	}
	if slices.ContainsFunc(t.Outputs, func(o argv.Output) bool { return o.Job == p.output }) {
		return fmt.Errorf("the linker is told of 2 %ss", p.output)
	}
	t.Outputs = append(t.Outputs, argv.Output{Kind: argv.Extra, Name: p.value, Job: p.output})
	return nil
}

func (t *Task) linkerRun(run []linkerWord) error {
	for len(run) > 0 {
		n, err := t.linkerWord(run)
		if err != nil {
			return err
		}
		run = run[n:]
	}
	return nil
}

// linkerWord reads the first word of a run, and says how many it takes.
func (t *Task) linkerWord(run []linkerWord) (int, error) {
	w := run[0]
	refused := fmt.Errorf("%q is not a word that an image's linker is run with", w.text)
	switch {
	case w.text == "" || w.text[0] == '@' || strings.ContainsRune(w.text, 0):
		return 0, refused
	case w.text[0] != '-':
		t.links = append(t.links, linkerPart{use: readsInput, value: w.text, word: w.word, part: w.part})
		return 1, nil
	}
	bare := strings.TrimPrefix(strings.TrimPrefix(w.text, "-"), "-")
	twoDashes := strings.HasPrefix(w.text, "--")
	if linkerFlags.MatchString(bare) && (twoDashes || !linkerDouble.MatchString(bare)) {
		return 1, nil
	}
	name, value, joined := strings.Cut(bare, "=")
	switch {
	case !known(name):
	case len(name) == 1 && twoDashes, len(name) > 1 && !twoDashes && !slices.Contains(linkerSingle, name):
		return 0, refused
	case len(name) == 1 && joined:
		value = bare[1:] // the sign is its own
	}
	if !known(name) && !strings.HasPrefix(w.text, "--") && linkerJoined.MatchString(bare) {
		name, value, joined = bare[:1], bare[1:], true // -lm, -zrelro
	}
	if !known(name) {
		return 0, refused
	}
	p := linkerPart{use: linkerReads[name], value: value, word: w.word, part: w.part, prefix: strings.TrimSuffix(w.text, value)}
	n := 1
	if !joined {
		if len(run) < 2 {
			return 0, fmt.Errorf("%s lacks its operand among the words for the linker", w.text)
		}
		p.value, p.word, p.part, p.prefix, n = run[1].text, run[1].word, run[1].part, "", 2
	}
	if p.value == "" || p.value[0] == '@' || strings.ContainsRune(p.value, 0) {
		return 0, refused
	}
	if p.use == readsDir || p.use == readsDirs || p.use == readsRunDirs {
		for dir := range strings.SplitSeq(p.value, ":") {
			if err := underSysroot(dir); err != nil {
				return 0, err
			}
		}
	}
	if p.use == writesMap && strings.Contains(p.value, "%") {
		return 0, refused // GNU ld puts the output's name there
	}
	if p.use == writesRules && strings.HasPrefix(p.value, "-") {
		return 0, refused
	}
	if p.use == writesMap && p.value != "-" || p.use == writesRules { // a map's "-" is standard output
		if err := t.linkerWrites(&p); err != nil {
			return 0, err
		}
	}
	t.links = append(t.links, p)
	return n, nil
}

func known(name string) bool {
	_, reads := linkerReads[name]
	return reads || slices.Contains(linkerTexts, name)
}
