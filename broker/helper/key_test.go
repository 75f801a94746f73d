package helper

import (
	"slices"
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/toolchains"
)

// Two jobs have one key only when nothing that the compiler could see differs.
func TestKey(t *testing.T) {
	base := func() (catalog.Located, *plan) {
		return catalog.Located{SearchPath: "/bin", Toolchain: toolchains.Toolchain{Identity: toolchains.Identity{Version: "12.2.0"}, Fingerprint: toolchains.Fingerprint{"cc1": "1"}}},
			&plan{
				args: []string{"-O2", "-c"}, env: []string{"LC_ALL=C"},
				job: &broker.Job{Dir: "/w", Outputs: []string{"a.o"}, Root: treeOf("/w/a.h", "a", "/w/b.h", "b")},
			}
	}
	tc, p := base()
	if keyOf(tc, p) != keyOf(base()) {
		t.Fatal("equal jobs have different keys")
	}
	seen := map[broker.Digest]string{keyOf(tc, p): "base"}
	for name, change := range map[string]func(*catalog.Located, *plan){
		"headers with swapped contents": func(_ *catalog.Located, p *plan) { p.job.Root = treeOf("/w/a.h", "b", "/w/b.h", "a") },
		"another name of a header":      func(_ *catalog.Located, p *plan) { p.job.Root = treeOf("/w/a.h", "a", "/w/c.h", "b") },
		"an empty directory more":       func(_ *catalog.Located, p *plan) { p.job.Root.Mkdir("/w/c") },
		"a link more": func(_ *catalog.Located, p *plan) {
			p.job.Root.Links = []broker.Link{{Name: "c", Target: "w"}}
		},
		"another time of a header":   func(_ *catalog.Located, p *plan) { w(p).Files[0].Modified = 1 },
		"a hard link":                func(_ *catalog.Located, p *plan) { w(p).Files[0].Class = 1 },
		"words joined":               func(_ *catalog.Located, p *plan) { p.args = []string{"-O2 -c"} },
		"words in another order":     func(_ *catalog.Located, p *plan) { slices.Reverse(p.args) },
		"another name of the driver": func(_ *catalog.Located, p *plan) { p.job.Name = "cc" },
		"another meaning of native":  func(_ *catalog.Located, p *plan) { p.job.Native = []string{"-mavx"} },
		"native words joined":        func(_ *catalog.Located, p *plan) { p.job.Native = []string{"-mavx -mfma"} },
		"another directory":          func(_ *catalog.Located, p *plan) { p.job.Dir = "/v" },
		"another locale":             func(_ *catalog.Located, p *plan) { p.env = []string{"LC_ALL=C.UTF-8"} },
		"another version":            func(tc *catalog.Located, _ *plan) { tc.Version = "12.2.1" },
		"another PATH":               func(tc *catalog.Located, _ *plan) { tc.SearchPath = "/usr/bin" },
		"a peer's own":               func(tc *catalog.Located, _ *plan) { tc.Owner = "10.0.0.1" },
		"another peer's":             func(tc *catalog.Located, _ *plan) { tc.Owner = "10.0.0.2" },
		"a peer's other pack":        func(tc *catalog.Located, _ *plan) { tc.Owner, tc.Digest = "10.0.0.1", "sha256:1" },
		"a peer's third pack":        func(tc *catalog.Located, _ *plan) { tc.Owner, tc.Digest = "10.0.0.1", "sha256:2" },
		"another cc1":                func(tc *catalog.Located, _ *plan) { tc.Fingerprint = toolchains.Fingerprint{"cc1": "2"} },
		"another driver":             func(tc *catalog.Located, p *plan) { tc.CXXPath, p.cxx = "/usr/bin/g++", true },
	} {
		tc, p := base()
		change(&tc, p)
		key := keyOf(tc, p)
		if other, ok := seen[key]; ok {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[key] = name
	}
}

func w(p *plan) *broker.Dir { return p.job.Root.Dirs[0].Dir }
