package pinned

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker/agent/thin"
)

// This file is about ar x, which libtool puts libraries together with: what it makes is
// the archive's to say. The archive is read here, and the members are named to the helper
// one by one, in their order, as often as they are there: of several of one name the first is taken for the first word, and the
// next for the next, so that the last stays, as it does where none is named (measured of
// GNU ar 2.40 and llvm-ar 14).

// extraction names the members that the command takes out of an archive, and finds their
// modes.
func (p *Command) extraction() error {
	archive := p.task.Extracts
	if archive == "" {
		return nil
	}
	members, err := p.inArchive(archive)
	if err != nil || members == nil {
		return err // without any ar says what it thinks of it
	}
	if len(p.task.Outputs) == 0 {
		words := p.task.Words(nil)
		for _, m := range members {
			words = append(words, m.Name)
		}
		named, err := task.ReadNamed(path.Base(p.s.Request.Args[0]), words, p.reading())
		if err != nil {
			return p.cannot("%v", err)
		}
		p.task = named
	}
	p.modes = map[string]uint32{}
	named := p.task.Words(nil)[2:] // behind the letters and the archive
	for _, o := range p.task.Outputs {
		m, ok := taken(members, named, o.Name)
		if !ok {
			return p.cannot("%s has no member %s", archive, o.Name)
		}
		p.modes[o.Job] = p.modeOf(m, o)
	}
	return nil
}

// taken is the member of a name that stays.
func taken(members []thin.Member, named []string, name string) (last thin.Member, ok bool) {
	times := 0
	for _, n := range named {
		if n == name {
			times++
		}
	}
	for _, m := range members {
		if m.Name == name && times > 0 {
			last, ok, times = m, true, times-1
		}
	}
	return last, ok
}

// inArchive are the members of an archive of which each can be taken out; nil where it is
// none that has any.
func (p *Command) inArchive(name string) ([]thin.Member, error) {
	f, err := p.s.Files.Open(p.s.Abs(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, p.cannot("an input can't be read: %v", err)
	}
	defer f.Close()
	members, err := thin.Members(f)
	if err != nil {
		return nil, p.cannot("%s: %v", name, err)
	}
	at := slices.IndexFunc(members, func(m thin.Member) bool { return strings.Contains(m.Name, "/") || m.Mode&0o7400 != 0o400 })
	if at >= 0 {
		return nil, p.cannot("member %s of %s (mode %o) can't be taken out: by its name it lies elsewhere, or nobody could read it", members[at].Name, name, members[at].Mode)
	}
	return members, nil
}

// modeOf is the mode that a member gets: of GNU ar its own, of llvm-ar that of a file which is made with it, or is
// there.
func (p *Command) modeOf(m thin.Member, o argv.Output) uint32 {
	if p.tc.Family != argv.Clang {
		return m.Mode
	}
	if st, err := p.s.Files.Stat(p.s.Abs(o.Name)); err == nil {
		return st.Mode & 0o777
	}
	return m.Mode &^ uint32(p.s.Request.Umask)
}
