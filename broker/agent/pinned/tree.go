package pinned

import (
	"errors"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/headers"
)

// This file makes the trees of commands that an image defines; what links read is in
// inputs.go.

// names are those that the image's headers include.
func (p *Command) names() (*headers.Names, error) {
	key := p.helpers[0].Image
	names, err := p.pins.names.Get(p.s.Context(), key, nil, func() (*headers.Names, error) {
		j := &broker.Job{Name: "gcc", Image: key, Dir: "/", Root: new(broker.Dir), Form: broker.Headers, Identity: p.tc.Identity}
		res, _, err := p.send(order{
			build: func() (*broker.Job, error) { return j, nil },
			check: func(*broker.Job, broker.Result) error { return nil },
		})
		if err != nil {
			return nil, err
		}
		return headers.ReadNames(res.Stdout)
	})
	if _, ok := errors.AsType[*reason.Failure](err); err != nil && !ok {
		err = p.lost(err, "")
	}
	return names, err
}

// tree is what sources read, and files besides.
func (p *Command) tree(sources []*argv.Command, also, beside []string, linked bool) (*headers.Tree, error) {
	dir := p.s.Request.Dir
	if path.Clean(dir) != dir || !path.IsAbs(dir) || !utf8.ValidString(dir) {
		return nil, p.cannot("the working directory's name %q can't be said to a helper", dir)
	}
	if ofImage(dir) {
		return nil, p.cannot("the working directory %s is where the image has its own files; build elsewhere, below /home, /srv or /tmp", dir)
	}
	src := headers.Source{
		Dir: dir, Getenv: p.s.Getenv, Also: also, Beside: beside, Image: true,
		Open: func(name string) (io.ReadCloser, error) { return p.s.Files.Open(name) },
	}
	if len(sources) == 0 {
		return p.scan(src, linked)
	}
	var err error
	if src.Names, err = p.names(); err != nil {
		return nil, err
	}
	var all *headers.Tree
	for _, cmd := range sources {
		one := src
		one.Cmd = cmd
		if p.task.Stdin && cmd.Source() == task.StdinName {
			if one.Stdin, err = p.stdin(); err != nil {
				return nil, err
			}
		}
		if cmd.Source() == "/dev/null" {
			one.Cmd = nil
		}
		tree, err := p.scan(one, linked)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = tree
			continue
		}
		if all, err = all.With(tree); err != nil {
			return nil, p.cannot("%v; compile with -c first", err)
		}
	}
	return p.withStdin(all)
}

// withStdin lays standard input into a tree, where the helper takes it from.
func (p *Command) withStdin(tree *headers.Tree) (*headers.Tree, error) {
	if tree == nil || !p.task.Stdin {
		return tree, nil
	}
	text, err := p.stdin()
	if err != nil {
		return nil, err
	}
	only := new(broker.Dir)
	only.Put(path.Join(p.s.Request.Dir, task.StdinName), broker.File{Blob: broker.BytesBlob(text)})
	tree, err = tree.With(&headers.Tree{Root: only})
	if err != nil {
		return nil, p.cannot("%v", err)
	}
	return tree, nil
}

func ofImage(name string) bool {
	top, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return broker.OfImage(top)
}

func (p *Command) scan(src headers.Source, linked bool) (*headers.Tree, error) {
	tree, err := p.pins.Scanner.Scan(p.s.Context(), p.s.Files.FD(), src)
	if u, ok := errors.AsType[*headers.Unsound](err); ok {
		return nil, p.cannot("%s (%s)", u.Text, u.Reason)
	}
	if err != nil {
		return nil, p.lost(err, "")
	}
	closed := tree.Root.Closed
	if linked {
		closed = tree.Root.ClosedToLinks
	}
	if name, why := closed(); why != "" {
		return nil, p.cannot("%s can't be sent: %s", name, why)
	}
	if tree.NotUTF8 {
		return nil, p.cannot("a file's name is not UTF-8")
	}
	return tree, nil
}
