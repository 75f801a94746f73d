package task

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
	"github.com/crosscc/crosscc/argv/response"
)

// This file reads commands of the programs beside a compiler: ar and its kin. Their words are an allowlist as the linker's
// are, for the same reasons: --plugin loads a library, -M reads a script, --dump-section and --record-libdeps write or say
// what nobody has looked at. tables.go has the words.

// A Tool is a program that works on objects, by the name that a build calls it by: riscv64-linux-gnu-ar, gcc-ranlib, llvm-nm-14.
type Tool struct {
	Prefix string      // target triple in front, as written; "" without one
	Kin    argv.Family // of gcc-ar and the like, and of llvm-ar; Unknown for others
	Name   string      // "ar"
	Suffix string      // version, of those that have a Kin; else ""
}

var toolNames = regexp.MustCompile(`^(?:(.+?)-)??(gcc-|llvm-)?(ar|ranlib|nm|strip|objcopy|ld|ld\.bfd|ld\.gold|size|readelf|strings|objdump|as)(?:-([0-9]+(?:\.[0-9]+)*))?$`)

// ParseTool reads the base name of a program; false when it is no tool's.
func ParseTool(base string) (Tool, bool) {
	m := toolNames.FindStringSubmatch(base)
	if m == nil {
		return Tool{}, false
	}
	t := Tool{Prefix: m[1], Name: m[3], Suffix: m[4]}
	switch {
	case m[2] == "gcc-" && slices.Contains([]string{"ar", "nm", "ranlib"}, t.Name):
		t.Kin = argv.GCC
	case m[2] == "llvm-" && !strings.HasPrefix(t.Name, "ld") && t.Name != "as": // which is for LLVM's own text
		t.Kin = argv.Clang
	case m[2] != "" || t.Suffix != "":
		return Tool{}, false
	}
	if t.Prefix != "" { // of a target, as a driver's is
		if _, ok := argv.ParseDriver(t.Prefix + "-gcc"); !ok {
			return Tool{}, false
		}
	}
	return t, true
}

// ReadNamed reads a job by the name that its program was called by: a driver's as [Read] does, or a tool's as [ReadTool] does.
// env.Driver is set by it.
func ReadNamed(name string, args []string, env argv.Env) (*Task, error) {
	if d, ok := argv.ParseDriver(name); ok {
		env.Driver = d
		return Read(args, env)
	}
	if t, ok := ParseTool(name); ok {
		return ReadTool(t, args, env)
	}
	return nil, fmt.Errorf("%q is not the name of a compiler or of a program beside one", name)
}

// A piece is one word for a tool, and which output stands in it.
type piece struct {
	text   string // in front of the output, or all of it
	output string // the job's name of the output; "" without
	name   string // the output's own name
}

// ReadTool reads the words that follow a tool's name. Of env only ReadFile is used, and of a linker Getenv.
func ReadTool(tool Tool, args []string, env argv.Env) (*Task, error) {
	words, err := response.Expand(args, env.ReadFile)
	if err != nil {
		return nil, fmt.Errorf("response file: %w", err)
	}
	for _, w := range words {
		if strings.HasPrefix(w, "@") || strings.ContainsRune(w, 0) {
			return nil, fmt.Errorf("%q can't be a word of %s's", w, tool.Name)
		}
	}
	t := &Task{Kind: ToolRun}
	switch tool.Name {
	case "ar":
		err = t.archiver(words)
	case "as":
		err = t.assembler(words, env)
	case "ld", "ld.bfd", "ld.gold":
		err = t.linker(words, env)
	default:
		err = t.plainTool(tool.Name, words)
	}
	if err != nil {
		return nil, err
	}
	t.Reads = slices.DeleteFunc(t.Reads, func(name string) bool { return name == "/dev/null" })
	if len(t.Reads) == 0 && len(t.Outputs) == 0 {
		t.Kind = Question
	}
	return t, nil
}

func (t *Task) word(texts ...string) {
	for _, s := range texts {
		t.pieces = append(t.pieces, piece{text: s})
	}
}

// reads adds words that are files to read.
func (t *Task) reads(names ...string) error {
	for _, name := range names {
		if name == "" || strings.HasPrefix(name, "-") && name != "-" {
			return fmt.Errorf("input %q does not read as a file's name", name)
		}
		if name == "-" {
			return errors.New("standard input can't be an object of an image's tools")
		}
		t.word(name)
		t.Reads = append(t.Reads, name)
	}
	return nil
}

// writes adds a word that is an output behind a prefix.
func (t *Task) writes(prefix, name string, kind argv.OutputKind) (job string, err error) {
	if name == "" || strings.HasPrefix(name, "-") {
		return "", fmt.Errorf("output %q does not read as a file's name", name)
	}
	job = fmt.Sprintf("%s%d%s", taskOutput, len(t.Outputs), path.Ext(name))
	t.pieces = append(t.pieces, piece{text: prefix, output: job, name: name})
	t.Outputs = append(t.Outputs, argv.Output{Kind: kind, Name: name, Job: job})
	return job, nil
}

// changes adds a word that is a file which the tool changes, or makes where it is not there.
func (t *Task) changes(name string) error {
	job, err := t.writes("", name, argv.Extra)
	if err == nil && slices.ContainsFunc(t.Outputs[:len(t.Outputs)-1], func(o argv.Output) bool { return o.Name == name }) {
		err = fmt.Errorf("%s is named twice", name)
	}
	t.Reads, t.Changed = append(t.Reads, name), append(t.Changed, job)
	return err
}

// toolWords are Words for a tool.
func (t *Task) toolWords(rename func(job string) string) []string {
	var out []string
	for _, p := range t.pieces {
		switch {
		case p.output == "":
			out = append(out, p.text)
		case rename == nil:
			out = append(out, p.text+p.name)
		default:
			out = append(out, p.text+rename(p.output))
		}
	}
	return out
}

// arLetters are ar's operations and modifiers that are run (ar's manual). U, which writes times and owners of whoever runs it, l,
// which has had several meanings, N, f and M are not.
var arLetters = regexp.MustCompile(`^[dmpqrstxabcDiOoPSsTuvV]*$`)

// archiver reads ar's words. Archives are made with D, so that they are the same wherever they are made; u, which D makes
// meaningless, is left out.
func (t *Task) archiver(words []string) error {
	letters, words, err := arOperation(words)
	if err != nil {
		return err
	}
	if letters == "" {
		t.word(words...)
		return nil
	}
	ops := strings.Map(only("dmpqrtx"), letters)
	if ops == "" && strings.Contains(letters, "s") {
		ops = "s"
	}
	if len(ops) != 1 {
		return fmt.Errorf("%q: an image's ar does one of d, m, p, q, r, s, t and x", letters)
	}
	if strings.Contains("dmqrs", ops) {
		letters = strings.Map(func(c rune) rune {
			if c == 'u' || c == 'D' {
				return -1
			}
			return c
		}, letters) + "D"
	}
	if t.Thin = strings.Contains(letters, "T"); t.Thin && !strings.Contains("qr", ops) {
		return fmt.Errorf("%q: T is for q and r", letters)
	}
	t.word(letters)
	if strings.ContainsAny(letters, "abi") {
		if len(words) == 0 || strings.HasPrefix(words[0], "-") {
			return errors.New("a, b and i need the name of a member")
		}
		t.word(words[0])
		words = words[1:]
	}
	if len(words) == 0 {
		return errors.New("no archive is named")
	}
	if ops == "x" && strings.ContainsAny(letters, "oabi") {
		return fmt.Errorf("%q: an image's ar takes members out with new times, in their order", letters)
	}
	if strings.Contains("ptx", ops) {
		err = t.reads(words[0])
	} else {
		err = t.changes(words[0])
	}
	if err != nil {
		return err
	}
	return t.members(ops, words[0], words[1:])
}

// members reads what stands behind the archive: files that become members, or members' names.
func (t *Task) members(op, archive string, names []string) error {
	if slices.ContainsFunc(names, func(s string) bool { return s == archive || strings.HasPrefix(s, "-") || s == "" }) {
		return fmt.Errorf("%q: members' names that are none", names)
	}
	switch op {
	case "q", "r":
		return t.reads(names...)
	case "x":
		t.Extracts = archive
		return t.extracts(names)
	}
	t.word(names...)
	return nil
}

// extracts adds members that are taken out. ar writes them by their own names, in the working directory; one that is named
// again is written again.
func (t *Task) extracts(names []string) error {
	for _, name := range names {
		if strings.Contains(name, "/") || name == "." || name == ".." {
			return fmt.Errorf("member %q: an image's ar takes out only what lies in the working directory then", name)
		}
		t.word(name)
		if slices.ContainsFunc(t.Outputs, func(o argv.Output) bool { return o.Name == name }) {
			continue
		}
		job := fmt.Sprintf("%s%d%s", taskOutput, len(t.Outputs), path.Ext(name))
		t.Outputs = append(t.Outputs, argv.Output{Kind: argv.Extra, Name: name, Job: job, Written: name})
	}
	return nil
}

// arOperation takes the words with operation and modifiers from the front, with a dash and without one. Without letters what
// is left is a question.
func arOperation(words []string) (letters string, rest []string, err error) {
	if len(words) == 0 || words[0] == "--version" || words[0] == "--help" || words[0] == "-V" || words[0] == "-h" {
		return "", words[:min(len(words), 1)], nil
	}
	for i, w := range words {
		bare, dash := strings.CutPrefix(w, "-")
		if i > 0 && !dash {
			break
		}
		if !arLetters.MatchString(bare) || bare == "" {
			return "", nil, fmt.Errorf("%q is not what an image's ar is run with", w)
		}
		letters, rest = letters+bare, words[i+1:]
		if i == 0 && !dash && len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
			return "", nil, fmt.Errorf("%q is not what an image's ar is run with", rest[0])
		}
	}
	if strings.Contains(letters, "V") {
		return "", []string{"-V"}, nil
	}
	return letters, rest, nil
}

func only(set string) func(rune) rune {
	return func(c rune) rune {
		if strings.ContainsRune(set, c) {
			return c
		}
		return -1
	}
}

// linker reads the words of ld by itself, by the list for those that a driver hands on.
func (t *Task) linker(words []string, env argv.Env) error {
	name := ""
	var run []linkerWord
	for i := 0; i < len(words); i++ {
		w := words[i]
		value, joined := strings.CutPrefix(w, "--output=")
		if short, ok := strings.CutPrefix(w, "-o"); ok && !strings.HasPrefix(w, "-oformat") && !joined {
			value, joined = short, short != ""
		}
		switch {
		case joined:
		case w == "-o" || w == "--output":
			if i++; i == len(words) {
				return fmt.Errorf("%s lacks its operand", w)
			}
			value = words[i]
		default:
			t.words = append(t.words, option.Word{Name: "-Xlinker", Value: w, Text: []string{w}})
			run = append(run, linkerWord{w, len(t.words) - 1, 0})
			continue
		}
		if name != "" {
			return errors.New("the output is named more than once")
		}
		name = value
	}
	asks := words
	if len(words) == 3 && words[0] == "-m" && emulation.MatchString(words[1]) { // as libtool asks on machines of two word sizes
		asks = words[2:]
	}
	if len(words) == 0 || len(asks) == 1 && slices.Contains([]string{"-v", "-V", "--version", "--help"}, asks[0]) {
		t.word(words...)
		return nil
	}
	if err := t.linkerRun(run); err != nil {
		return err
	}
	if t.leaves(run) {
		for _, w := range run {
			t.word(w.text)
		}
		t.words, t.links = nil, nil
		return nil
	}
	return t.linkerPieces(name, env)
}

// saysVersion are words by which GNU ld says something of itself besides.
var saysVersion = regexp.MustCompile(`^(-v|-V|--?verbose|--print-output-format)$`)

// leaves reports whether GNU ld says what it is and leaves: where it is told to, or to say it besides and has nothing to link
// (ldmain.c). So builds ask whether it knows a word (Linux's ld-option).
func (t *Task) leaves(run []linkerWord) bool {
	if slices.ContainsFunc(run, func(w linkerWord) bool { return w.text == "--version" }) {
		return len(t.Outputs) == 0
	}
	besides := slices.ContainsFunc(run, func(w linkerWord) bool { return saysVersion.MatchString(w.text) })
	reads := slices.ContainsFunc(t.links, func(p linkerPart) bool {
		return slices.Contains([]linkerUse{readsInput, readsScript, readsLibrary}, p.use)
	})
	return besides && !reads && len(t.Outputs) == 0
}

// emulation is what a linker's -m names.
var emulation = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// linkerPieces lays the words of ld out, the output behind the others.
func (t *Task) linkerPieces(name string, env argv.Env) error {
	for i, w := range t.words {
		at := slices.IndexFunc(t.links, func(p linkerPart) bool { return p.output != "" && p.word == i })
		if at >= 0 {
			t.pieces = append(t.pieces, piece{text: t.links[at].prefix, output: t.links[at].output, name: t.links[at].value})
			continue
		}
		t.word(w.Text...)
	}
	if name == "" {
		name = "a.out"
	}
	t.word("-o")
	if _, err := t.writes("", name, argv.Object); err != nil {
		return err
	}
	t.search(argv.Env{Getenv: func(key string) string {
		if key != "LD_RUN_PATH" || env.Getenv == nil {
			return "" // LIBRARY_PATH is the driver's
		}
		return env.Getenv(key)
	}})
	t.words, t.links = nil, nil
	if slices.Contains(t.Reads, name) {
		return fmt.Errorf("output %s is an input as well", name)
	}
	return nil
}
