package task

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/allow"
)

// This file reads the commands of GNU as by itself (as's manual, Command-Line Options). Its sources are scanned as those of gcc -c
// are, for what .include and .incbin name. Listings (-a), dependencies (--MD) and what says how long it took are not on the list.

// assemblerFlags are words of as that package allow has not, for a driver says them in another way or not at all.
var assemblerFlags = regexp.MustCompile(`^(-E[BL]|-[kLRJD]|--keep-locals|--gen-debug|--gdwarf-sections|--(no)?compress-debug-sections|--compress-debug-sections=[a-z0-9-]+|` +
	`--strip-local-absolute|--reduce-memory-overheads|--no-pad-sections|--(no-)?info)$`)

// assembler reads as's words.
func (t *Task) assembler(words []string, env argv.Env) error {
	if len(words) == 1 && slices.Contains([]string{"--version", "--help", "-version"}, words[0]) {
		t.word(words...)
		return nil
	}
	name := ""
	var files, dirs []string
	for i := 0; i < len(words); {
		w := words[i]
		operand, n := "", 1
		flag := assemblerOperand(w)
		if flag != "" {
			if operand = w[len(flag):]; len(flag) > 2 { // of a letter's operand the sign is a part
				operand = strings.TrimPrefix(operand, "=")
			}
			if w == flag {
				if i+1 == len(words) {
					return fmt.Errorf("%s lacks its operand", w)
				}
				operand, n = words[i+1], 2
			}
			if operand == "" || flag == "-I" && operand[0] == '=' { // which for a driver is below its sysroot
				return fmt.Errorf("%q is not a word that an image's as is run with", w)
			}
		}
		switch {
		case flag == "-o" && name != "":
			return errors.New("the output is named more than once")
		case flag == "-o":
			name = operand
		case flag == "-I":
			dirs = append(dirs, "-I", operand)
			t.word("-I", operand)
		case flag != "":
			t.word(flag, operand)
		case w[:min(len(w), 1)] != "-":
			files = append(files, w)
		case assemblerFlags.MatchString(w), allow.Assembler([]string{w}, true):
			t.word(w)
		default:
			return fmt.Errorf("%q is not a word that an image's as is run with", w)
		}
		i += n
	}
	return t.assembles(name, files, dirs, env)
}

// assemblerOperand is the option of a word that has an operand, joined or as the next word; "" for others.
func assemblerOperand(w string) string {
	switch {
	case w == "--defsym", strings.HasPrefix(w, "--defsym="):
		return "--defsym"
	case strings.HasPrefix(w, "-o"), strings.HasPrefix(w, "-I"):
		return w[:2]
	}
	return ""
}

// assembles adds as's sources and what it makes of them, which is one object.
func (t *Task) assembles(name string, files, dirs []string, env argv.Env) error {
	if len(files) == 0 {
		return errors.New("an image's as reads no standard input: name a source")
	}
	if name == "" {
		name = "a.out"
	}
	env.Driver, env.Family, env.Pinned, env.Native = argv.Driver{Family: argv.GCC}, argv.GCC, true, false
	for _, f := range files {
		if f == "" || f == name {
			return fmt.Errorf("input %q does not read as a file's name, or is the output as well", f)
		}
		t.word(f)
		if err := t.source(argv.Input{Name: f, X: "assembler"}, dirs, env); err != nil {
			return err
		}
	}
	t.word("-o")
	_, err := t.writes("", name, argv.Object)
	return err
}
