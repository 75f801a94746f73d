package pinned

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
)

// This file is about the rules for make that compilers and linkers write.

// maxDeps bounds a dependency file, in bytes. It comes from a helper.
const maxDeps = 64 << 20

// ownDeps leaves files of the image's that are not here out of such rules: for make they would have to be made, ninja
// would compile or link again each time, and Linux's fixdep reads them. They don't change: the image is named by its digest.
func (p *Command) ownDeps(all []made) error {
	seen := map[string]bool{}
	absent := func(name string) bool {
		if !path.IsAbs(name) || strings.ContainsAny(name, `\$#`) || !ofImage(path.Clean(name)) {
			return false
		}
		gone, known := seen[name]
		if !known {
			_, err := p.s.Files.Stat(name)
			gone = errors.Is(err, fs.ErrNotExist)
			seen[name] = gone
		}
		return gone
	}
	for k, m := range all {
		if m.res.ExitCode != 0 {
			continue
		}
		if p.task.Rules {
			all[k].res.Stdout = []byte(without(string(m.res.Stdout), absent))
		}
		for i, o := range m.res.Outputs {
			if !p.task.Rules && !slices.ContainsFunc(m.outputs, func(out argv.Output) bool { return out.Job == o.Path && ofRules(out) }) {
				continue
			}
			text, err := o.Blob.Bytes(maxDeps)
			if err != nil {
				return p.lost(err, "")
			}
			if own := without(string(text), absent); own != string(text) {
				m.res.Outputs[i].Blob = broker.BytesBlob([]byte(own))
			}
		}
	}
	return nil
}

// ofRules reports whether an output says what depends on what.
func ofRules(o argv.Output) bool { return o.Kind == argv.Dependencies || o.Job == task.RulesOutput }

// without is a dependency file without some names: neither among what a target needs, nor as targets of their own (-MP). Of
// others not a byte changes but for the ends of lines that have lost all of theirs. Names that need quoting stay.
func without(text string, absent func(name string) bool) string {
	var out []string
	more, targets := false, false // whether the rule goes on, and is still at what needs the others
	for block := range strings.SplitSeq(text, "\n") {
		targets = targets || !more
		var body string
		body, more = strings.CutSuffix(block, "\\")
		if name, ok := strings.CutSuffix(body, ":"); ok && !more {
			if !absent(name) {
				out = append(out, block)
			} else if n := len(out); n > 0 && out[n-1] == "" { // gcc's empty line in front
				out = out[:n-1]
			}
			continue
		}
		indent := body[:len(body)-len(strings.TrimLeft(body, " "))]
		words := strings.Fields(body)
		var kept []string
		for i, w := range words {
			behind := i > 0 && strings.HasSuffix(words[i-1], "\\") // a blank that is the name's own
			if targets || behind || !absent(w) {
				kept = append(kept, w)
			}
			targets = targets && !strings.HasSuffix(w, ":")
		}
		switch {
		case len(kept) == len(words):
			out = append(out, block)
			continue
		case len(kept) > 0 && more:
			out = append(out, indent+strings.Join(kept, " ")+" \\")
		case len(kept) > 0:
			out = append(out, indent+strings.Join(kept, " "))
		case !more && len(out) > 0: // the rule's last line
			out[len(out)-1] = strings.TrimSuffix(out[len(out)-1], " \\")
		}
	}
	return strings.Join(out, "\n")
}
