package option

import (
	"slices"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	type key struct {
		name string
		only Family
	}
	seen := map[key]bool{}
	docs := map[Reason]bool{}
	for _, r := range Reasons() {
		docs[r.Reason] = true
	}
	for _, r := range table {
		if !strings.HasPrefix(r.name, "-") || len(r.name) < 2 {
			t.Errorf("%q is no option", r.name)
		}
		if seen[key{r.name, r.only}] || r.only != Unknown && seen[key{r.name, Unknown}] {
			t.Errorf("%s: two rows", r.name)
		}
		seen[key{r.name, r.only}] = true
		if reasoned(r.kind) != (r.reason != "") {
			t.Errorf("%s: a reason belongs to each local option, and to no other", r.name)
		}
		if r.reason != "" && !docs[r.reason] {
			t.Errorf("%s: reason %s is not in Reasons", r.name, r.reason)
		}
		checkAlias(t, r)
	}
}

func checkAlias(t *testing.T, r row) {
	if r.alias == "" {
		return
	}
	to := lookup(r.alias, GCC)
	if to == nil || to.name != r.alias || to.alias != "" || r.kind != KindPlain {
		t.Errorf("%s stands for %s, which is no plain row", r.name, r.alias)
	} else if (to.form == flag) != (r.form == flag) {
		t.Errorf("%s and %s: one has an operand, the other none", r.name, r.alias)
	}
}

func TestReasons(t *testing.T) {
	docs := Reasons()
	if !slices.IsSortedFunc(docs, func(a, b ReasonDoc) int { return strings.Compare(string(a.Reason), string(b.Reason)) }) {
		t.Error("not sorted by slug")
	}
	for i, d := range docs {
		if i > 0 && docs[i-1].Reason == d.Reason {
			t.Errorf("%s: twice", d.Reason)
		}
		if !strings.HasSuffix(d.Text, ".") || strings.ContainsAny(d.Text, "\n|") {
			t.Errorf("%s: %q is not one sentence for a table", d.Reason, d.Text)
		}
	}
}

// reasoned kinds are local, or so where there is no tree.
func reasoned(k Kind) bool {
	return slices.Contains([]Kind{KindLocal, KindTree, KindExtra, KindNamed, KindOptInfo, KindDump, KindReads}, k)
}
