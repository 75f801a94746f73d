// Package task reads commands for a toolchain that lies elsewhere altogether: an image defines compiler, headers and libraries, and
// the client need not have any (docs/pins.md). Such a command has nobody at home to fall back to, so there links are done
// as well, the preprocessor alone, and what only prints. Client and helper read it by the same rules, so that what one sends the
// other takes.
//
// A newcomer starts with [Read]; linker.go is the policy for the words that a driver hands to the linker.
package task

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/allow"
	"github.com/crosscc/crosscc/argv/option"
)

// Kind is what a Task does.
type Kind int

// The kinds.
const (
	Compile    Kind = iota + 1 // one plain compile: Task.Command
	Parts                      // several plain compiles: Task.Sources
	Link                       // a link, of sources too
	Preprocess                 // -E, -M, -MM
	Question                   // prints, and reads nothing of the client's
	ToolRun                    // a program beside the compiler: ar, strip
	Check                      // -fsyntax-only
)

func (k Kind) String() string {
	return [...]string{"", "compile", "compiles", "link", "preprocess", "question", "tool", "check"}[k]
}

// A Task is a command that is run where its toolchain is. It never changes after [Read].
type Task struct {
	Kind Kind
	// Command is the compile of a Compile.
	Command *argv.Command
	// Verbose says that the driver is to tell what it runs (-v) besides, which is no word of Command's.
	Verbose bool
	// Sources are the sources that are read, each as the compile that the driver makes of it.
	Sources []*argv.Command
	// Stdin says that one of the sources is standard input: it is called [StdinName].
	Stdin bool
	// Reads are files that the linker opens, or may: some need not be there. Relative names are from the working directory.
	Reads []string
	// Dirs are the directories of -L and the like, and of LIBRARY_PATH. They are searched for what Reads has already.
	Dirs []string
	// RunDirs are those of -rpath and LD_RUN_PATH, where the linker looks for what libraries need.
	RunDirs []string
	// Outputs are all files that are written, with their names in the job; not of a Compile or Parts.
	Outputs []argv.Output

	// Changed are those of a tool's outputs, by the job's names, that begin as the files of their own names, where these are
	// there.
	Changed []string
	// Thin says that an archive is made whose members are files elsewhere: where it is made their names are others.
	Thin bool
	// Extracts is the archive that ar takes members out of, as the files of Outputs; "" else. Where the command names none
	// (Outputs is empty) all are meant, and what they are called is the archive's to say.
	Extracts string
	// Rules says that the text which a preprocessor writes or prints is a rule for make (-M, -MM).
	Rules bool
	// Quotes says that objdump prints the lines of sources that objects name.
	Quotes bool
	// Like are a tool's outputs, by the job's names, that get the modes of other files.
	Like map[string]string

	words  []option.Word
	links  []linkerPart
	pieces []piece // of a tool

	handed     int    // which word, counted from 1, hands the dependencies' name to the preprocessor; 0 for none
	handedFlag string // -MD or -MMD in it
}

// StdinName is what a source from standard input is called in Task.Sources, and in a job's tree, in the working directory.
const StdinName = "<stdin>"

// Untouched lies at a helper in the place of what a command makes, before it runs: after a command that failed it tells whether
// the program would have taken away, or begun, what the client has there.
const Untouched = "crosscc: nothing was written here\n"

// MapOutput is the job's name of a linker's map.
const MapOutput = "map"

// RulesOutput is the job's name of a linker's dependencies.
const RulesOutput = "link-rule"

// Names of a task's other outputs in a job.
const taskOutput, taskDeps = "out", "rules"

// Read reads the words that follow the program's name. Its error says which word is in the way; what it returns without an
// error may be run by a helper, but for the words of a Compile and the like, which [argv.AdmitWhole] judges.
//
// env.Pinned need not be set.
func Read(args []string, env argv.Env) (*Task, error) {
	env.Pinned, env.Native = true, false
	c := argv.Parse(args, env)
	t := &Task{words: c.Options()}
	if v := argv.Environment(env); v.Reason != "" {
		return nil, fmt.Errorf("%s is set, which makes a compiler do something else", v.Detail)
	}
	switch {
	case c.Verdict().Remote:
		t.Kind, t.Command = Compile, c
		return t, nil
	case t.verbose(c, env):
		return t, nil
	case c.Verdict().Reason == option.ResponseFile:
		return nil, fmt.Errorf("response file: %s", c.Verdict().Detail)
	case c.Native():
		return nil, fmt.Errorf("%s means this machine's processor, and the image's compiler is for any; name the processor", strings.Join(c.MeansNative(), " "))
	case env.Driver.Standard != "":
		return nil, fmt.Errorf("%s is a script, which adds words of its own", env.Driver.Standard)
	case c.Prints():
		t.Kind = Question
		return t, t.question()
	case slices.ContainsFunc(t.words, preprocesses):
		t.Kind = Preprocess
		return t, t.preprocess(c, env)
	case slices.ContainsFunc(t.words, checks):
		t.Kind = Check
		return t, t.check(c, env)
	case slices.ContainsFunc(t.words, asksAssembler):
		t.Kind = Question
		return t, t.assemblerSays(c, env)
	case (slices.ContainsFunc(c.Inputs(), isStdin) || slices.Equal(c.Named(), []string{"-"})) && slices.ContainsFunc(t.words, ends):
		t.Kind = Preprocess
		return t, t.fromStdin(c, env)
	case !slices.ContainsFunc(t.words, ends):
		t.Kind = Link
		return t, t.link(c, env)
	}
	if s := c.Split(env); s != nil && !s.Links {
		t.Kind, t.Sources = Parts, s.Compiles
		return t, nil
	}
	return nil, unsaid(c.Verdict())
}

// verbose reports whether the command is a compile with -v.
func (t *Task) verbose(c *argv.Command, env argv.Env) bool {
	if c.Verdict().Reason != option.Verbose {
		return false
	}
	words := slices.DeleteFunc(c.Words(), func(w string) bool { return w == VerboseWord })
	if plain := argv.Parse(words, env); len(words) < len(c.Words()) && plain.Verdict().Remote {
		t.Kind, t.Command, t.Verbose = Compile, plain, true
	}
	return t.Verbose
}

// VerboseWord is the word of Task.Verbose.
const VerboseWord = "-v"

func preprocesses(w option.Word) bool { return w.Kind == option.KindPreprocess }

func ends(w option.Word) bool { return w.Kind == option.KindMode }

func isStdin(in argv.Input) bool { return in.Name == "-" }

// unsaid words a verdict that keeps a command from going.
func unsaid(v argv.Verdict) error {
	for _, doc := range option.Reasons() {
		if doc.Reason == v.Reason {
			return fmt.Errorf("%s (%s): %s", v.Reason, v.Detail, doc.Text)
		}
	}
	return fmt.Errorf("%s: %s", v.Reason, v.Detail)
}

// Words are those of the job: the command's own with the outputs' names replaced. rename says what an output of the job's is
// called; nil leaves the job's names, and of a tool's the command's. They are not for a Compile or Parts, which have [argv.Command.Whole].
func (t *Task) Words(rename func(job string) string) []string {
	if len(t.pieces) > 0 {
		return t.toolWords(rename)
	}
	if rename == nil {
		rename = func(job string) string { return job }
	}
	var out []string
	link := 0
	for i, w := range t.words {
		text := w.Text
		switch {
		case w.Kind == option.KindOutput && w.Value == "-" && t.Kind == Preprocess: // standard output
		case w.Kind == option.KindOutput:
			continue
		case w.Name == "-MF" && slices.ContainsFunc(t.Outputs, func(o argv.Output) bool { return o.Job == taskDeps }):
			text = []string{"-MF", rename(taskDeps)}
		case i+1 == t.handed:
			text = []string{"-Wp," + t.handedFlag + "," + rename(taskDeps)}
		}
		for ; link < len(t.links) && t.links[link].word == i; link++ {
			if p := t.links[link]; p.output != "" {
				text = p.in(w, rename(p.output))
				w.Value = strings.TrimPrefix(text[len(text)-1], "-Wl,") // may have another
			}
		}
		out = append(out, text...)
	}
	for _, o := range t.Outputs {
		if o.Job != MapOutput && o.Job != RulesOutput && o.Job != taskDeps {
			out = append(out, "-o", rename(o.Job))
		}
	}
	return out
}

// questions are words that make a driver print and leave, and open nothing.
var questions = regexp.MustCompile(`^(--version|--help(=[a-z,^-]+)?|-help|--target-help|-dumpmachine|-dumpversion|-dumpfullversion|-dumpspecs|` +
	`-v|--verbose|-Q|-###|--?print-[a-z-]+(=[^@\x00]*)?)$`)

func (t *Task) question() error {
	for _, w := range t.words {
		if questions.MatchString(w.Text[0]) && len(w.Text) == 1 || w.Kind == option.KindLanguage {
			continue
		}
		if w.Kind == option.KindInput || w.Kind == option.KindOutput {
			return fmt.Errorf("%q: a command that only prints reads and writes no file", w.Text[0])
		}
		if err := t.plain(w); err != nil {
			return err
		}
	}
	return nil
}

// plain judges a word that names nothing that is opened or written. With -flto a link runs the compiler and the assembler
// as well, which get the words that are for them.
func (t *Task) plain(w option.Word) error {
	text := slices.ContainsFunc(t.Sources, func(s *argv.Command) bool { return s.Language().Assembles() })
	switch {
	case w.Kind == option.KindAssembler && !allow.Assembler(argv.HandedOn(w, "-Wa,"), text), w.Name == "-mllvm" && !allow.LLVM(w.Value):
		return fmt.Errorf("%q is not a word that an image's toolchain is run with", strings.Join(w.Text, " "))
	}
	switch w.Kind {
	case option.KindMode, option.KindCPP, option.KindPlain, option.KindTarget, option.KindDebug, option.KindDiagnostic, option.KindTree, option.KindLTO, option.KindAssembler:
		return argv.AdmitWord(w)
	case option.KindLinker:
		return t.driverLink(w)
	}
	if w.Text[0] == "-v" || w.Text[0] == "--verbose" {
		return nil
	}
	return fmt.Errorf("%q is not a word that an image's toolchain is run with", strings.Join(w.Text, " "))
}

// link reads a link.
func (t *Task) link(c *argv.Command, env argv.Env) error {
	if len(c.Named()) > 1 {
		return fmt.Errorf("the output is named more than once")
	}
	var part []string
	for _, w := range c.Options() {
		switch {
		case w.Kind == option.KindInput, w.Kind == option.KindLanguage, w.Kind == option.KindOutput, w.Kind == option.KindLinker, w.Kind == option.KindDependency, isLinkOnly(w), depsWord(w):
		case w.Text[0] == VerboseWord: // the driver's, as linkWords has it
		default:
			part = append(part, w.Text...)
		}
	}
	for _, in := range c.Inputs() {
		_, reason := in.Language(env.Driver.CXX, c.Family())
		switch {
		case strings.HasPrefix(in.Name, "@") || strings.ContainsRune(in.Name, 0) || in.Name == "":
			return fmt.Errorf("input %q does not read as a file's name", in.Name)
		case isStdin(in) && in.X == "":
			return fmt.Errorf("a source from standard input without -x has no language")
		case reason == "":
			if err := t.source(in, part, env); err != nil {
				return err
			}
		case reason == option.NotASource:
			t.Reads = append(t.Reads, in.Name)
		default:
			return unsaid(argv.Verdict{Reason: reason, Detail: in.Name})
		}
	}
	if err := t.linkWords(c); err != nil {
		return err
	}
	if err := t.linkDeps(c, c.Family()); err != nil {
		return err
	}
	name := "a.out"
	if len(c.Named()) == 1 {
		name = c.Named()[0]
	}
	if slices.Contains(t.Reads, name) || slices.ContainsFunc(t.Sources, func(s *argv.Command) bool { return s.Source() == name }) {
		return fmt.Errorf("output %s is an input as well", name)
	}
	if !slices.ContainsFunc(t.words, func(w option.Word) bool { return w.Kind == option.KindLinker && w.Value == "--version" }) || len(t.Outputs) > 0 {
		t.Outputs = append(t.Outputs, argv.Output{Kind: argv.Object, Name: name, Job: taskOutput + path.Ext(name)})
	}
	t.search(env)
	return nil
}

// isLinkOnly reports whether a word is the linker's alone though gcc's driver counts it among the compiler's.
func isLinkOnly(w option.Word) bool {
	return w.Kind == option.KindPlain && slices.Contains([]string{"-static-libgcc", "-static-libstdc++", "-shared-libgcc", "-rdynamic", "-s"}, w.Name)
}

// linkWords judges the words of a link.
func (t *Task) linkWords(c *argv.Command) error {
	if err := t.flatten(); err != nil {
		return err
	}
	for _, w := range c.Options() {
		switch w.Kind {
		case option.KindInput, option.KindOutput, option.KindLanguage:
		case option.KindLinker:
			if err := t.driverLink(w); err != nil {
				return err
			}
		case option.KindExtra, option.KindReads, option.KindDump, option.KindNamed, option.KindOptInfo, option.KindDependency, option.KindToCPP:
			// Words of compiles, which builds give to their links as well: without a source nothing comes of them.
			if len(t.Sources) > 0 && w.Kind != option.KindToCPP && w.Kind != option.KindDependency {
				return fmt.Errorf("%s in a command that links makes or reads files besides: compile with -c first", w.Text[0])
			}
			if err := argv.AdmitWord(w); err != nil {
				return err
			}
		default:
			if err := t.plain(w); err != nil && w.Kind != option.KindXclang {
				return err
			}
			if w.Kind == option.KindXclang && len(t.Sources) == 0 {
				return fmt.Errorf("%q is not a word that an image's toolchain links with", strings.Join(w.Text, " "))
			}
		}
	}
	return nil
}

// driverLink judges a word that the driver has for the linker.
func (t *Task) driverLink(w option.Word) error {
	text := strings.Join(w.Text, " ")
	if strings.ContainsRune(text, 0) || strings.HasPrefix(w.Value, "@") {
		return fmt.Errorf("%q is not a word that an image's toolchain is run with", text)
	}
	switch w.Name {
	case "-Wl,", "-Xlinker", "-u", "-e", "-z", "-rpath", "-Tbss", "-Tdata", "-Ttext": // flatten has judged those that are handed on; the others are text
		return nil
	case "-l", "-L", "-T":
		if w.Value == "" {
			return fmt.Errorf("%s without a name", w.Name)
		}
		return underSysroot(w.Value)
	case "-framework", "--ld-path=":
		return fmt.Errorf("%q names a program or a kind of library that images have no use for", text)
	}
	if !driverLinkWords.MatchString(text) {
		return fmt.Errorf("%q is not a word that an image's toolchain is run with", text)
	}
	return nil
}

// underSysroot refuses a directory that ld looks for below its sysroot, which is the image's to say: but for those that are the
// image's anyway they would be looked for among the client's files.
func underSysroot(dir string) error {
	rest, ok := strings.CutPrefix(dir, "=")
	if !ok {
		rest, ok = strings.CutPrefix(dir, "$SYSROOT")
	}
	if ok && !imagesDirs.MatchString(rest) {
		return fmt.Errorf("%q means a directory below the image's sysroot; say it without that", dir)
	}
	return nil
}

var imagesDirs = regexp.MustCompile(`^/*(usr|opt|lib[a-z0-9]*)(/+[^/.][^/]*)*/*$`)

var driverLinkWords = regexp.MustCompile(`^(-fuse-ld=[a-z0-9.]+|-f(no-)?use-linker-plugin|-flinker-output=[a-z-]+|--?(rtlib|unwindlib)=[a-z-]+|` +
	`-static-libgcc|-static-libstdc\+\+|-shared-libgcc|-rdynamic|-nostdlib|-nodefaultlibs|-nostartfiles|-nolibc|-s)$`)

// Asked is which linker the words ask for (-fuse-ld=), the last word's; "" when none does. all is false when it is told to pass
// over libraries that objects themselves name.
func (t *Task) Asked() (linker string, all bool) {
	all = true
	for _, w := range t.words {
		if name, ok := strings.CutPrefix(w.Text[0], "-fuse-ld="); ok {
			linker = name
		}
		if w.Kind == option.KindLinker && strings.Contains(w.Value, "-no-dependent-libraries") {
			all = false
		}
	}
	return linker, all
}

// search adds what the linker looks for in directories: libraries, and scripts that are not where they are said to be.
//
// The driver adds LIBRARY_PATH to -L; an empty name there is the working directory.
func (t *Task) search(env argv.Env) {
	var libs []string
	scripts := []string{}
	for _, w := range t.words {
		switch {
		case w.Kind != option.KindLinker:
		case w.Name == "-L":
			t.Dirs = append(t.Dirs, w.Value) // of those below the sysroot nothing is the client's
		case w.Name == "-rpath":
			t.RunDirs = append(t.RunDirs, strings.Split(w.Value, ":")...)
		case w.Name == "-l":
			libs = append(libs, w.Value)
		case w.Name == "-T":
			scripts = append(scripts, w.Value)
		}
	}
	for _, p := range t.links {
		switch p.use {
		case readsDir:
			t.Dirs = append(t.Dirs, p.value)
		case readsDirs:
			t.Dirs = append(t.Dirs, strings.Split(p.value, ":")...)
		case readsRunDirs:
			t.RunDirs = append(t.RunDirs, strings.Split(p.value, ":")...)
		case readsLibrary:
			libs = append(libs, p.value)
		case readsScript:
			scripts = append(scripts, p.value)
		case readsInput:
			t.Reads = append(t.Reads, p.value)
		}
	}
	if env.Getenv != nil {
		if v := env.Getenv("LIBRARY_PATH"); v != "" {
			t.Dirs = append(t.Dirs, strings.Split(v, ":")...)
		}
		t.RunDirs = append(t.RunDirs, strings.Split(env.Getenv("LD_RUN_PATH"), ":")...)
	}
	t.RunDirs = slices.DeleteFunc(t.RunDirs, func(dir string) bool { return dir == "" })
	t.Reads = append(t.Reads, scripts...)
	for i, dir := range t.Dirs {
		if dir == "" {
			dir, t.Dirs[i] = ".", "."
		}
		for _, s := range scripts {
			if !path.IsAbs(s) {
				t.Reads = append(t.Reads, dir+"/"+s)
			}
		}
		for _, l := range libs {
			if name, ok := strings.CutPrefix(l, ":"); ok {
				t.Reads = append(t.Reads, dir+"/"+name)
				continue
			}
			t.Reads = append(t.Reads, dir+"/lib"+l+".so", dir+"/lib"+l+".a")
		}
	}
}
