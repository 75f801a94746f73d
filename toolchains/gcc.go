package toolchains

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/crosscc/crosscc/toolchains/drivers"
)

// helpWords ask gcc for its option tables as they stand by default. The classes
// are asked for one by one: a list with commas means what is in all of them.
var helpWords = [...]string{"-Q", "--help=target", "--help=optimizers", "--help=common", "-S", "-o", "-"}

// askGCC fills in what only gcc is asked for, and looks at the places where a
// file that appears would change it.
func (p *prober) askGCC(ctx context.Context, s survey, t *Toolchain) error {
	return parallel(
		func() error {
			out, err := p.must(ctx, s.Path, nil, p.told(helpWords[:]...)...)
			own := without(s.Report, p.derived)
			t.Defaults = digestText(gccDefaults(own, string(out.Stdout)))
			t.Unasked = unasked(own, string(out.Stdout))
			return err
		},
		func() error {
			out, err := p.must(ctx, s.Path, nil, p.told("-print-search-dirs")...)
			p.lookAround(string(out.Stdout))
			return err
		},
	)
}

// gccDefaults is the text whose digest is Identity.Defaults. It must not depend
// on where gcc is installed, on which of its drivers was asked, or on its host.
func gccDefaults(r drivers.Report, help string) string {
	var b strings.Builder
	b.WriteString("crosscc gcc defaults v1\n") // bump when the meaning changes
	for _, role := range []string{"cc1", "cc1plus"} {
		if words, ok := r.Program(role); ok {
			fmt.Fprintf(&b, "%s %q\n", role, drivers.DefaultWords(words))
		}
	}
	for line := range strings.Lines(help) {
		if option, value := drivers.OptionRow(line); value != "" {
			fmt.Fprintf(&b, "option %s %s\n", option, value)
		}
	}
	return b.String()
}

// lookAround looks at the names of `-print-search-dirs` where gcc would find a
// specs file, or another assembler or compiler than the one it finds now.
func (p *prober) lookAround(dirs string) {
	seen := map[string]bool{}
	for line := range strings.Lines(dirs) {
		key, list, _ := strings.Cut(strings.TrimSpace(line), ": ")
		for dir := range strings.SplitSeq(strings.TrimPrefix(list, "="), ":") {
			dir = strings.TrimSuffix(p.Root.Plain(dir), "/")
			if !path.IsAbs(dir) || seen[key+dir] {
				continue
			}
			seen[key+dir] = true
			p.look(dir + "/specs")
			if key != "programs" {
				continue
			}
			p.look(dir + "/as")
			p.look(dir + "/objcopy")
			for _, c := range gccCompilers {
				p.look(dir + "/" + c.Role)
			}
		}
	}
}

func digestText(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
