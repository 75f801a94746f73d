package control

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/image"
)

// TestStreams says which words of which command line go where.
func TestStreams(t *testing.T) {
	const where = "crossctl: hint: see `crossctl --help`\n"
	tests := []struct {
		name           string
		args           []string
		exit           int
		stdout, stderr string // whole texts
	}{
		{"no arguments", nil, 2, "", usage + "crossctl: error: no command given\n" + where},
		{"only --json", []string{"--json"}, 2, "", usage + "crossctl: error: no command given\n" + where},
		{"--help", []string{"--help"}, 0, usage, ""},
		{"-h", []string{"-h"}, 0, usage, ""},
		{"help", []string{"help"}, 0, usage, ""},
		{"help of help", []string{"help", "--help"}, 0, helpHelp, ""},
		{"help of a command", []string{"help", "explain"}, 0, explainHelp, ""},
		{"a command's --help", []string{"explain", "--help"}, 0, explainHelp, ""},
		{"a command's -h", []string{"status", "-h"}, 0, statusHelp, ""},
		{"toolchains --help", []string{"toolchains", "--help"}, 0, toolchainsHelp, ""},
		{"doctor --help", []string{"doctor", "--help"}, 0, doctorHelp, ""},
		{"stop --help", []string{"stop", "--help"}, 0, stopHelp, ""},
		{"help of nothing", []string{"help", "nothing"}, 2, "", "crossctl: error: unknown command \"nothing\"\n" + where},
		{"help of two", []string{"help", "stop", "top"}, 2, "",
			"crossctl: error: help: unexpected operand \"top\"\ncrossctl: hint: see `crossctl help --help`\n"},
		{"--version", []string{"--version"}, 0, "crossctl " + local.BuildID() + "\n", ""},
		{"unknown command", []string{"frobnicate"}, 2, "", "crossctl: error: unknown command \"frobnicate\"\n" + where},
		{"misspelt command", []string{"statsu"}, 2, "",
			"crossctl: error: unknown command \"statsu\"\n" + where + "crossctl: hint: did you mean `crossctl status`?\n"},
		{"empty command", []string{""}, 2, "", "crossctl: error: unknown command \"\"\n" + where},
		{"completion is no command", []string{"completion"}, 2, "", "crossctl: error: unknown command \"completion\"\n" + where},
		{"unknown flag", []string{"--frobnicate"}, 2, "", "crossctl: error: unknown flag: --frobnicate\n" + where},
		{"unknown flag of a command", []string{"status", "--frobnicate"}, 2, "",
			"crossctl: error: status: unknown flag: --frobnicate\ncrossctl: hint: see `crossctl status --help`\n"},
		{"operand too many", []string{"status", "now"}, 2, "",
			"crossctl: error: status: unexpected operand \"now\"\ncrossctl: hint: see `crossctl status --help`\n"},
		{"two helpers", []string{"toolchains", "a", "b"}, 2, "",
			"crossctl: error: toolchains: unexpected operand \"b\"\ncrossctl: hint: see `crossctl toolchains --help`\n"},
		{"explain nothing", []string{"explain"}, 2, "",
			"crossctl: error: explain: no command given\ncrossctl: hint: see `crossctl explain --help`\n"},
		{"explain nothing after --", []string{"explain", "--"}, 2, "",
			"crossctl: error: explain: no command given\ncrossctl: hint: see `crossctl explain --help`\n"},
		{"pack nothing", []string{"pack", "-o", "x"}, 2, "",
			"crossctl: error: pack: no compiler given\ncrossctl: hint: see `crossctl pack --help`\n"},
		{"pack to nowhere", []string{"pack", "gcc"}, 2, "",
			"crossctl: error: pack: no file given: -o FILE\ncrossctl: hint: see `crossctl pack --help`\n"},
		{"pack --help", []string{"pack", "--help"}, 0, image.PackHelp, ""},
		{"image --help", []string{"image", "--help"}, 0, image.Help, ""},
		{"help image", []string{"help", "image"}, 0, image.Help, ""},
		{"unknown flag of image", []string{"image", "--frob"}, 2, "",
			"crossctl: error: image: unknown flag: --frob\ncrossctl: hint: see `crossctl image --help`\n"},
		{"nothing of image", []string{"image"}, 2, "",
			"crossctl: error: image: say pin, add, ls, rm or verify\ncrossctl: hint: see `crossctl image --help`\n"},
		{"control characters", []string{"\x1b[31m"}, 2, "", "crossctl: error: unknown command \"\\x1b[31m\"\n" + where},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			want := said{tc.stdout, tc.stderr, tc.exit}
			if got := newPlace(t).run(tc.args...); got != want {
				t.Errorf("crossctl %q says\n%+v, want\n%+v", tc.args, got, want)
			}
		})
	}
}

// TestUnbuilt walks all command lines that only parse.
func TestUnbuilt(t *testing.T) {
	lines := []string{
		"top", "top --json", "hosts", "hosts add grpc://h", "slots",
		"cache", "cache trim --size 1G", "ca init", "ca --json", "invite",
		"join CODE", "leave", "drain", "drain host", "setup --dry-run", "dashboard", "logs -f", "--json slots",
	}
	p := newPlace(t)
	for _, line := range lines {
		args := strings.Fields(line)
		name := strings.TrimSpace(strings.TrimPrefix(line, "--json"))
		name, _, _ = strings.Cut(name, " ")
		want := said{"", "crossctl: error: " + name + " is not built yet; see `crossctl --help` for what is\n", 2}
		if got := p.run(args...); got != want {
			t.Errorf("crossctl %s says\n%+v, want\n%+v", line, got, want)
		}
		got := p.run(name, "--help")
		if got.exit != 0 || !strings.HasPrefix(got.stdout, "usage: crossctl "+name) || !strings.Contains(got.stdout, "not built yet") || got.stderr != "" {
			t.Errorf("crossctl %s --help says %+v", name, got)
		}
	}
}

// TestCommandLines holds the table to the command lines that scripts may rely
// on, and the help text to the table.
func TestCommandLines(t *testing.T) {
	const want = "status top doctor explain toolchains native verify hosts slots cache image pack ca invite join leave drain setup dashboard logs stop"
	var names []string
	built, unbuilt, _ := strings.Cut(usage, "not built yet:")
	unbuilt, example, _ := strings.Cut(unbuilt, "exit status:")
	for _, r := range (&control{}).rows() {
		name, _, _ := strings.Cut(r.use, " ")
		names = append(names, name)
		section := built
		if r.run == nil {
			section = unbuilt
		}
		if !strings.Contains(section, " "+name) {
			t.Errorf("usage does not name %s where it belongs", name)
		}
		if (r.run == nil) == (r.will == "") || (r.run == nil) != (r.help == "") {
			t.Errorf("%s: a row has either run and help, or will", name)
		}
		if r.help != "" && (!strings.HasPrefix(r.help, "usage: crossctl "+name) || !strings.Contains(r.help, "\nexample:\n  $ crossctl ")) {
			t.Errorf("%s: help begins with its usage and ends in an example", name)
		}
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("commands are\n%s, want\n%s", got, want)
	}
	if !strings.Contains(example, "\nexample:\n") || strings.HasSuffix(strings.TrimSpace(usage), "example:") {
		t.Error("usage does not end in an example")
	}
	for line := range strings.Lines(usage) {
		if len(line) > 81 {
			t.Errorf("usage has a line of %d columns: %s", len(line)-1, line)
		}
	}
}

// TestStdoutFails: half an answer is never taken for a whole one.
func TestStdoutFails(t *testing.T) {
	p := newPlace(t)
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"--help"}} {
		var stderr bytes.Buffer
		exit := Main(context.Background(), p.env(failing{}, &stderr), args)
		if want := "crossctl: error: write stdout: no space left on device\n"; exit != 1 || stderr.String() != want {
			t.Errorf("crossctl %q: exit %d, %q", args, exit, stderr.String())
		}
	}
}
