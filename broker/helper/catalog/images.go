package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/imagestore"
)

// NewImages are the images of a store; o says where others may be looked for. What is
// fetched passes through the store's own directory unless o names another.
func NewImages(st *imagestore.Store, o images.SourceOptions) Images {
	o.Temp = cmp.Or(o.Temp, st.Temp())
	return imageStore{st, o}
}

type imageStore struct {
	*imagestore.Store
	sources images.SourceOptions
}

func (s imageStore) List() ([]Image, error) {
	entries, err := s.Store.List()
	if err != nil {
		return nil, err
	}
	list := make([]Image, 0, len(entries))
	for _, e := range entries {
		m := Image{Digest: e.ID.String(), Name: e.ID.String()}
		for _, d := range e.Digests {
			m.Digests = append(m.Digests, d.String())
		}
		for _, d := range e.Shared {
			m.Shared = append(m.Shared, d.String())
		}
		if len(e.Names) > 0 && len(e.Digests) > 0 {
			m.Name = images.Pin{Name: e.Names[0], Digest: e.Digests[0]}.String()
		}
		list = append(list, m)
	}
	return list, nil
}

func (s imageStore) Use(ctx context.Context, sum string) (*ImageRoot, error) {
	r, err := s.Store.Use(ctx, digest.Digest(sum))
	if err != nil {
		return nil, err
	}
	return &ImageRoot{Dir: r.Dir, Env: r.Env, Labels: r.Labels, Release: r.Release}, nil
}

func (s imageStore) Fetch(ctx context.Context, row config.Image, say func(string)) (err error) {
	reference, o := row.Reference.String(), s.sources
	if o.Pull = row.Pull; row.Source != "" {
		reference = row.Source + "@" + row.Reference.Digest.String()
	}
	src, err := images.Open(ctx, reference, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	src.Name = cmp.Or(src.Name, row.Reference.Name) // a directory often knows none
	_, err = s.Add(ctx, src, func(p imagestore.Progress) { say(ProgressText(p)) })
	return err
}

// ProgressText is "fetch: 12 of 80 MiB".
func ProgressText(p imagestore.Progress) string {
	text := fmt.Sprintf("%s: %d", p.Stage, p.Done>>20)
	if p.Total > 0 {
		text += fmt.Sprintf(" of %d", p.Total>>20)
	}
	return strings.TrimSpace(text) + " MiB"
}
