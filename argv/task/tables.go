package task

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
)

// A grammar is which words a tool is run with (binutils' manual, and LLVM's for the tools of the same names). A word in texts, reads
// and named takes the next word where it has no operand of its own: in a tool where it did not, the next would be an option that
// nobody has judged (objcopy's --interleave).
type grammar struct {
	flags *regexp.Regexp // words without an operand
	texts []string       // words with an operand that is text; long ones with "=" or the next word, short ones joined or the next
	reads []string       // words with an operand that is a file, long ones
	named []string       // words with an operand NAME=FILE
	shape shape
}

// shape is what becomes of a tool's files.
type shape int

const (
	readsFiles   shape = iota // prints
	readsDefault              // prints, of a.out without a name
	changesFiles              // writes over each, or with -o makes another of one
	copiesFile                // writes over one, or makes another of it
)

const (
	commonFlags = `-V|--version|-h|--help|`
	copyFlags   = commonFlags + `-[sSgdxXwvDp]|--strip-(all|debug|dwo|unneeded|unneeded-rel-relocs)|--only-keep-debug|--keep-(section-symbols|file-symbols)|` +
		`--discard-(all|locals)|--wildcard|--verbose|--preserve-dates|--enable-deterministic-archives|(--no)?-merge-notes|-M`
)

var copyTexts = strings.Fields(`-I --input-target -O --output-target -F --target -R --remove-section --remove-relocations -N --strip-symbol -K --keep-symbol --keep-section`)

var grammars = map[string]grammar{
	"ranlib": {flags: regexp.MustCompile(`^(` + commonFlags + `-D|-v)$`), shape: changesFiles},
	"nm": {
		flags: regexp.MustCompile(`^(` + commonFlags + `-[aABCDghjlnoprSuvPWe]+|--quiet|--just-symbols|--debug-syms|--demangle(=[a-z0-9-]+)?|--no-demangle|--dynamic|--extern-only|--defined-only|` +
			`--undefined-only|--numeric-sort|--no-sort|--print-armap|--print-file-name|--print-size|--portability|--reverse-sort|--size-sort|--special-syms|--synthetic|` +
			`--with-symbol-versions|--without-symbol-versions|--no-weak|--line-numbers)$`),
		texts: []string{"-f", "--format", "-t", "--radix"}, shape: readsDefault,
	},
	"size": {
		flags: regexp.MustCompile(`^(` + commonFlags + `-[ABGdoxt]+|--totals|--common)$`), texts: []string{"--format", "--radix"}, shape: readsDefault,
	},
	"readelf": {
		flags: regexp.MustCompile(`^(` + commonFlags + `-v|-[aehlSgtsnrudVAWIc]+|--all|--file-header|--program-headers|--segments|--section-headers|--sections|--section-groups|` +
			`--section-details|--headers|--syms|--symbols|--dyn-syms|--notes|--relocs|--unwind|--dynamic|--version-info|--arch-specific|--archive-index|--histogram|--wide)$`),
		texts: []string{"-x", "--hex-dump", "-p", "--string-dump", "-R", "--relocated-dump"}, shape: readsFiles,
	},
	"strings": {
		flags: regexp.MustCompile(`^(` + commonFlags + `-[afdo]+|-[0-9]+|--all|--data|--print-file-name)$`), texts: []string{"-n", "--bytes", "-t", "--radix", "-e", "--encoding"}, shape: readsFiles,
	},
	"objdump": { // without what follows links to further files by itself (-W, -g), and without -I and --prefix, which say where sources are
		flags: regexp.MustCompile(`^(-[afphxdDsrRtTlCwzSFivVH]+|-E[BL]|--(version|help|info|archive-headers|file-headers|private-headers|headers|section-headers|all-headers|` +
			`disassemble(=[A-Za-z0-9_.$]+)?|disassemble-all|source|source-comment(=[^\x00]*)?|full-contents|syms|dynamic-syms|reloc|dynamic-reloc|endian=(big|little)|` +
			`file-start-context|line-numbers|file-offsets|demangle(=[a-z0-9-]+)?|(no-)?recurse-limit|wide|disassemble-zeroes|no-addresses|prefix-addresses|` +
			`(no-)?show-raw-insn|show-all-symbols|special-syms|inlines|visualize-jumps(=(color|extended-color|off))?|disassembler-color=(off|on|extended)))$`),
		texts: strings.Fields(`-b --target -m --architecture -j --section -M --disassembler-options --start-address --stop-address --insn-width --adjust-vma`), shape: readsDefault,
	},
	"strip": {flags: regexp.MustCompile(`^(` + copyFlags + `)$`), texts: copyTexts, shape: changesFiles},
	"objcopy": {
		flags: regexp.MustCompile(`^(` + copyFlags + `|--debugging|--localize-hidden|--(no-)?adjust-warnings|--(no-)?change-warnings|--weaken|--extract-symbol|--extract-dwo|--pure|--impure|` +
			`--compress-debug-sections(=[a-z0-9-]+)?|--decompress-debug-sections|--readonly-text|--writable-text|--interleave(=[0-9]+)?|--remove-leading-char)$`),
		texts: slices.Concat(copyTexts, strings.Fields(`-B --binary-architecture -j --only-section -G --keep-global-symbol -W --weaken-symbol -L --localize-symbol --globalize-symbol
			-b --byte -i --gap-fill --pad-to --set-start --change-start --adjust-start --change-addresses --adjust-vma --change-section-address
			--change-section-lma --change-section-vma --set-section-flags --set-section-alignment --rename-section --redefine-sym --prefix-symbols --prefix-sections
			--prefix-alloc-sections --add-symbol --srec-len --alt-machine-code --reverse-bytes --file-alignment --verilog-data-width --interleave-width`)),
		reads: strings.Fields(`--add-gnu-debuglink --redefine-syms --keep-symbols --strip-symbols --strip-unneeded-symbols --localize-symbols --globalize-symbols --keep-global-symbols --weaken-symbols`),
		named: []string{"--add-section", "--update-section"}, shape: copiesFile,
	},
}

// plainTool reads a tool whose words are options and files.
func (t *Task) plainTool(name string, words []string) error {
	g, ok := grammars[name]
	if !ok {
		return fmt.Errorf("%s is not a program that an image's is run for", name)
	}
	var files []string
	out, prints := "", false
	for i := 0; i < len(words); {
		w := words[i]
		n := 1
		var err error
		switch {
		case w == "-" || w == "" || w[0] != '-':
			files = append(files, w)
		case w == "-o" && (g.shape == changesFiles && name == "strip"):
			if i+1 == len(words) || out != "" {
				return fmt.Errorf("-o needs one name")
			}
			out, n = words[i+1], 2
		case g.flags.MatchString(w):
			prints = prints || saysItself(name, w)
			t.Quotes = t.Quotes || name == "objdump" && quotes.MatchString(w)
			t.word(w)
		default:
			n, err = t.operand(name, g, words[i:])
		}
		if err != nil {
			return err
		}
		i += n
	}
	if prints && g.shape != readsFiles && g.shape != readsDefault || len(files) == 0 && g.shape != readsDefault {
		if len(files) > 0 || out != "" {
			return errors.New("a command that only prints reads and writes no file")
		}
		return nil // it says what it is, or how it is used
	}
	if prints && len(files) == 0 {
		return nil
	}
	if g.shape == copiesFile && len(files) == 1 && t.ofBinary() {
		return fmt.Errorf("%s -I binary names symbols by its file; name another output", name)
	}
	return t.files(g.shape, files, out)
}

// quotes is objdump's -S, alone and among other letters.
var quotes = regexp.MustCompile(`^(-[A-Za-z]*S[A-Za-z]*|--source.*)$`)

// saysItself reports whether a word makes a program say what it is, and read nothing.
func saysItself(name, w string) bool {
	switch w {
	case "-V", "--version", "--help":
		return true
	case "-h":
		return name != "objdump"
	case "-H", "-i", "--info":
		return name == "objdump"
	case "-v":
		return name != "strip" && name != "objcopy"
	}
	return false
}

// ofBinary reports whether objcopy takes its input as plain bytes, and makes symbols of its file's name.
func (t *Task) ofBinary() bool {
	for i, p := range t.pieces {
		name, value, joined := strings.Cut(p.text, "=")
		switch {
		case strings.HasPrefix(p.text, "-I") || strings.HasPrefix(p.text, "-F"):
			value, joined = p.text[2:], len(p.text) > 2
		case name != "--input-target" && name != "--target":
			continue
		}
		if !joined && i+1 < len(t.pieces) {
			value = t.pieces[i+1].text
		}
		if value == "binary" {
			return true
		}
	}
	return false
}

// operand reads a word with an operand, and says how many words it takes.
func (t *Task) operand(tool string, g grammar, words []string) (int, error) {
	w := words[0]
	name, value, joined := strings.Cut(w, "=")
	if !strings.HasPrefix(w, "--") && len(w) > 2 {
		name, value, joined = w[:2], w[2:], true
	}
	text, read, named := slices.Contains(g.texts, name), slices.Contains(g.reads, name), slices.Contains(g.named, name)
	if !text && !read && !named {
		return 0, fmt.Errorf("%q is not a word that an image's %s is run with", w, tool)
	}
	n := 1
	t.word(w)
	if !joined {
		if len(words) < 2 {
			return 0, fmt.Errorf("%s lacks its operand", w)
		}
		value, n = words[1], 2
		t.word(value)
	}
	if named {
		_, value, _ = strings.Cut(value, "=")
	}
	if value == "" || strings.HasPrefix(value, "@") || (read || named) && strings.HasPrefix(value, "-") {
		return 0, fmt.Errorf("%q is not a word that an image's %s is run with", strings.Join(words[:n], " "), tool)
	}
	if read || named {
		t.Reads = append(t.Reads, value)
	}
	return n, nil
}

// files adds a tool's files behind its words.
func (t *Task) files(s shape, files []string, out string) error {
	switch {
	case s == readsDefault && len(files) == 0:
		t.Reads = append(t.Reads, "a.out")
		return nil
	case s == readsFiles || s == readsDefault:
		return t.reads(files...)
	case s == copiesFile && len(files) == 2:
		out, files = files[1], files[:1]
		if err := t.reads(files[0]); err != nil {
			return err
		}
		return t.another(out, files[0])
	case out != "":
		if len(files) != 1 {
			return errors.New("-o is for one file")
		}
		t.word("-o")
		if err := t.another(out, files[0]); err != nil {
			return err
		}
		return t.reads(files[0])
	case s == copiesFile && len(files) != 1:
		return fmt.Errorf("%d files are too many", len(files))
	}
	for _, f := range files {
		if err := t.changes(f); err != nil {
			return err
		}
	}
	return nil
}

// another adds an output that gets the mode of an input.
func (t *Task) another(name, input string) error {
	if name == input {
		return fmt.Errorf("output %s is the input as well", name)
	}
	job, err := t.writes("", name, argv.Object)
	t.Like = map[string]string{job: input}
	return err
}
