package argv

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv/option"
)

// fuzzEnvs are the readers of a fuzzed command line: both families, both languages, with one response file.
func fuzzEnvs(file string) []Env {
	var envs []Env
	for _, d := range []Driver{{Family: GCC}, {Family: GCC, CXX: true}, {Family: Clang}, {Family: Clang, CXX: true}} {
		envs = append(envs, Env{Driver: d, ReadFile: func(string) ([]byte, error) { return []byte(file), nil }})
	}
	return envs
}

// FuzzParse: no panic, parse → print → parse is stable, and what a remote command becomes parses again: the
// preprocessor run as one, the compile as the same compile, which Admit then may judge.
func FuzzParse(f *testing.F) {
	for _, tc := range remotes {
		f.Add(strings.Join(cmd(tc.args), "\x00"), "-O2 -c")
	}
	for _, tc := range locals {
		f.Add(strings.Join(cmd(tc.args), "\x00"), "'a b' @x")
	}
	f.Fuzz(func(t *testing.T, line, file string) {
		args := strings.Split(line, "\x00")
		for _, env := range fuzzEnvs(file) {
			c := Parse(args, env)
			if again := Parse(c.Words(), env); !reflect.DeepEqual(c, again) {
				t.Fatalf("%q\nfirst %+v\nagain %+v", args, c, again)
			}
			checkRemote(t, c, env)
		}
	})
}

func checkRemote(t *testing.T, c *Command, env Env) {
	if v := c.Verdict(); !v.Remote {
		checkSplit(t, c, env)
		if v.Reason == "" {
			t.Fatalf("%q: local without a reason", c.Words())
		}
		return
	}
	if words := c.Preprocess("/d"); words != nil {
		if v := Parse(words, env).Verdict(); v.Reason != option.PreprocessOnly {
			t.Fatalf("%q: the preprocessor run %q is %+v", c.Words(), words, v)
		}
	}
	checkWhole(t, c, env)
	if reason, _ := c.OnlyTree(); reason != "" {
		return
	}
	env.Job = true
	words := c.Compile("in.x", "out.o")
	sent := Parse(words, env)
	if v := sent.Verdict(); !v.Remote {
		t.Fatalf("%q: the compile %q is %+v", c.Words(), words, v)
	}
	if sent.Language() != c.Language().Preprocessed() || sent.Assembly() != c.Assembly() || sent.Debug() != c.Debug() ||
		!slices.Equal(withoutMaps(sent.CodegenWords()), withoutMaps(c.CodegenWords())) || sent.Target() != c.Target() {
		t.Fatalf("%q: the compile %q is another one", c.Words(), words)
	}
	if again := sent.Compile("in.x", "out.o"); !slices.Equal(words, again) {
		t.Fatalf("the compile %q becomes %q", words, again)
	}
	_ = Admit(sent)
}

// withoutMaps drops the -Xclang words that Compile adds for clang's prefix maps.
func withoutMaps(words []string) []string {
	var out []string
	for i, w := range words {
		mapped := func(i int) bool { return i < len(words) && strings.HasPrefix(words[i], "-fmacro-prefix-map=") }
		if !mapped(i) && (w != "-Xclang" || !mapped(i+1)) {
			out = append(out, w)
		}
	}
	return out
}

// checkWhole: the tree form is the same compile, and its own tree form.
func checkWhole(t *testing.T, c *Command, env Env) {
	words := c.Whole("out.o", "out.d", c.NameWords("/w")...)
	env.Job = true
	sent := Parse(words, env)
	if v := sent.Verdict(); !v.Remote {
		t.Fatalf("%q: the whole compile %q is %+v", c.Words(), words, v)
	}
	if sent.Language() != c.Language() || sent.Assembly() != c.Assembly() || sent.Debug() != c.Debug() || sent.Source() != c.Source() ||
		!slices.Equal(sent.CodegenWords(), append(c.CodegenWords(), Parse(c.NameWords("/w"), env).CodegenWords()...)) || sent.Target() != c.Target() {
		t.Fatalf("%q: the whole compile %q is another one", c.Words(), words)
	}
	if again := sent.Whole("out.o", "out.d"); !slices.Equal(again, words) {
		t.Fatalf("%q: the whole compile %q becomes %q", c.Words(), words, again)
	}
	checkOutputs(t, c, sent)
	was, wanted := c.Deps()
	is, made := sent.Deps()
	if wanted != made || wanted && (is.File != "out.d" || is.UserOnly != was.UserOnly || is.Phony != was.Phony) {
		t.Fatalf("%q: dependencies %+v become %+v", c.Words(), was, is)
	}
}

// checkOutputs: the job makes the very files that the client expects of it, under the names that it was given for them.
func checkOutputs(t *testing.T, c, sent *Command) {
	t.Helper()
	was, is := c.Outputs("out.o", "out.d"), sent.Outputs("/out/0.o", "/out/1.d")
	if len(was) != len(is) {
		t.Fatalf("%q makes %+v, and as a job %+v", c.Words(), was, is)
	}
	for i := range was {
		if was[i].Job != is[i].Name || was[i].Kind != is[i].Kind || !strings.HasPrefix(is[i].Job, "/out/") || was[i].Written != "" ||
			is[i].Written != "" && is[i].Written != was[i].Name {
			t.Fatalf("%q makes %+v, and as a job %+v", c.Words(), was[i], is[i])
		}
	}
}

// checkSplit: the compiles of a split are plain ones, and its link has an object for each.
func checkSplit(t *testing.T, c *Command, env Env) {
	t.Helper()
	s := c.Split(env)
	if s == nil {
		return
	}
	objects := make([]string, len(s.Compiles))
	for i, part := range s.Compiles {
		objects[i] = "object.o"
		checkRemote(t, part, env)
		if !part.Verdict().Remote {
			t.Fatalf("%q: the part %q is local", c.Words(), part.Words())
		}
	}
	if !s.Links {
		return
	}
	link := Parse(s.Link(objects), env)
	if again := link.Split(env); link.Verdict().Reason != option.Link || again != nil {
		t.Fatalf("%q: the link %q is %+v", c.Words(), link.Words(), link.Verdict())
	}
}
