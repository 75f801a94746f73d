package diagnostics

import (
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains"
)

// typed is a compile at a terminal of so many columns.
func typed(family argv.Family, version, words, env string, columns int) *compile.Compile {
	r := local.Request{Env: strings.Fields(env), Terminal: true, Columns: columns}
	return &compile.Compile{
		Session: &session.Session{Client: &local.Client{Request: r}},
		Cmd:     argv.Parse(append(strings.Fields(words), "-c", "a.c"), argv.Env{Family: family}),
		Toolchain: toolchains.Toolchain{
			Identity: toolchains.Identity{Family: family, Version: version},
		},
	}
}

func TestTerminalWords(t *testing.T) {
	const unknown = "?"
	colour, links := "-fdiagnostics-color=always", "-fdiagnostics-urls=always"
	for _, tt := range []struct {
		family              argv.Family
		version, words, env string
		want                string
	}{
		{argv.GCC, "12.2.0", "", "TERM=xterm", colour},
		{argv.GCC, "12.2.0", "", "TERM=xterm-256color", colour + " " + links},
		{argv.GCC, "12.2.0", "", "TERM=xterm COLORTERM=truecolor", colour + " " + links},
		{argv.GCC, "12.2.0", "", "TERM=xterm COLORTERM=", colour + " " + links},
		{argv.GCC, "12.2.0", "", "TERM=xterm-256color COLORTERM=gnome-terminal", colour},
		{argv.GCC, "12.2.0", "-fdiagnostics-color=never", "TERM=xterm-256color", links},
		{argv.GCC, "12.2.0", "-fdiagnostics-color=always", "TERM=dumb", ""},
		{argv.GCC, "12.2.0", "", "TERM=dumb", ""},
		{argv.GCC, "12.2.0", "", "", ""},
		{argv.GCC, "12.2.0", "", "TERM=xterm GCC_COLORS=", unknown},
		{argv.GCC, "12.2.0", "", "TERM=xterm TERM_URLS=st", unknown},
		{argv.GCC, "12.2.0", "-fdiagnostics-plain-output", "TERM=xterm", unknown},
		{argv.GCC, "9.4.0", "", "TERM=xterm", unknown},
		{argv.Clang, "14.0.6", "", "TERM=xterm", "-fcolor-diagnostics"},
		{argv.Clang, "14.0.6", "", "TERM=xterm-256color COLUMNS=70", "-fcolor-diagnostics -fmessage-length=70"},
		{argv.Clang, "14.0.6", "-fno-color-diagnostics", "TERM=xterm COLUMNS=70", "-fmessage-length=70"},
		{argv.Clang, "14.0.6", "", "TERM=dumb", ""},
		{argv.Clang, "14.0.6", "", "TERM=teletype5", unknown},
		{argv.Clang, "14.0.6", "-fmessage-length=3", "TERM=xterm", unknown},
	} {
		words, why := TerminalWords(typed(tt.family, tt.version, tt.words, tt.env, 0))
		got := strings.Join(words, " ")
		if why != "" {
			got = unknown
		}
		if got != tt.want {
			t.Errorf("%s %s %s, %s: %q, want %q", tt.family, tt.version, tt.words, tt.env, got, tt.want)
		}
	}
}

func TestFits(t *testing.T) {
	quoted := "a.c:1:1: \x1b[01;35m\x1b[Kwarning: \x1b[m\x1b[K\x1b]8;;https://example.org/a/very/long/link/indeed\x07-Wx\x1b]8;;\x07\n    1 | int quoted = 1234567890;\n"
	for _, tt := range []struct {
		columns int
		env     string
		fits    bool
	}{{0, "", true}, {80, "", true}, {40, "", false}, {80, "COLUMNS=40", false}, {40, "COLUMNS=80", true}, {0, "COLUMNS=x", true}} {
		c := typed(argv.GCC, "12.2.0", "", tt.env, tt.columns)
		if err := Fits(c, []byte(quoted)); (err == nil) != tt.fits {
			t.Errorf("%d columns, %q: %v", tt.columns, tt.env, err)
		}
	}
}
