package reason

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv/option"
)

var update = flag.Bool("update", false, "write docs/reasons.md")

// The page that users read is made from the tables, and is never behind them.
func TestReasonsPage(t *testing.T) {
	const page = "../../../docs/reasons.md"
	want := reasonsPage()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/reasons.md is not what the tables say: run make docs")
	}
}

func reasonsPage() string {
	var b strings.Builder
	b.WriteString(`# Why a job stayed local

Every compile that crosscc leaves to the build's own compiler has a reason with a fixed name. ` + "`crossctl status`" + ` counts them,
` + "`crossctl explain -- COMMAND`" + ` tells the one of a command. This page is made from the code's own tables (` + "`make docs`" + `).

## What the command line says

`)
	for _, r := range option.Reasons() {
		fmt.Fprintf(&b, "* `%s`: %s\n", r.Reason, r.Text)
	}
	b.WriteString("\n## What the source, the compiler or the helpers say\n\n")
	for _, r := range All() {
		fmt.Fprintf(&b, "* `%s`: %s\n", r.Reason, r.Text)
	}
	b.WriteString("\n## Why a job did not go as a tree\n\nIt went as preprocessed text, or was local where that would not be exact; `crossctl status` counts these apart.\n\n")
	for _, r := range Trees() {
		fmt.Fprintf(&b, "* `%s`: %s\n", r.Reason, r.Text)
	}
	return b.String()
}

func TestReasonsAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	add := func(reason, text string) {
		if seen[reason] || text == "" {
			t.Errorf("reason %q: named twice, or without a sentence", reason)
		}
		seen[reason] = true
	}
	for _, r := range option.Reasons() {
		add(string(r.Reason), r.Text)
	}
	for _, r := range All() {
		add(string(r.Reason), r.Text)
	}
	clear(seen) // some reasons are of both kinds
	for _, r := range Trees() {
		add(string(r.Reason), r.Text)
	}
}
