// Package debian fetches packages of the Debian release that this machine runs,
// from the mirror that it already uses, for tests and the demo: sources to build,
// another architecture's headers, and a whole user land of it. apt's lists and
// state are in a directory of the caller's; none of the machine's own is touched,
// and nothing is installed. Start with Archive.Source and Archive.Root.
package debian

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/e2e/site"
)

// An Archive is the mirror, with a directory that keeps what was fetched.
// Several processes may use one directory at once.
type Archive struct{ cache string }

// Open makes an Archive that keeps what it fetches in cache.
func Open(cache string) (*Archive, error) {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return nil, err
	}
	return &Archive{cache}, os.MkdirAll(cache, 0o755)
}

// Source leaves the upstream source of a package unpacked in dir, which must not
// exist, and returns the package's name with its version. Debian's patches are
// left out: they turn plain Makefiles to dpkg's own tools and flags.
func (a *Archive) Source(ctx context.Context, pkg, dir string) (string, error) {
	dsc, err := a.file(ctx, pkg+"_*.dsc", fetch{kind: "deb-src", words: []string{"source", "--download-only", pkg}})
	if err != nil {
		return "", fmt.Errorf("source package %s: %w", pkg, err)
	}
	// dpkg-source checks the archives against the checksums in the .dsc.
	if err := site.Run(ctx, a.cache, nil, "dpkg-source", "--skip-patches", "-x", dsc, dir); err != nil {
		return "", err
	}
	return strings.TrimSuffix(filepath.Base(dsc), ".dsc"), nil
}

// Unpack leaves the files of an architecture's packages below root, as they would
// be installed.
func (a *Archive) Unpack(ctx context.Context, arch, root string, pkgs ...string) error {
	for _, pkg := range pkgs {
		// All at once: apt reads its lists anew each time.
		f := fetch{kind: "deb", arch: arch, words: append([]string{"download"}, pkgs...)}
		deb, err := a.file(ctx, pkg+"_*_"+arch+".deb", f)
		if err != nil {
			return fmt.Errorf("package %s of %s: %w", pkg, arch, err)
		}
		if err := site.Run(ctx, a.cache, nil, "dpkg-deb", "-x", deb, root); err != nil {
			return err
		}
	}
	return nil
}

// file is the newest file of the pattern, after a fetch when there is none.
func (a *Archive) file(ctx context.Context, pattern string, f fetch) (string, error) {
	unlock, err := a.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	for fetched := false; ; fetched = true {
		found, err := filepath.Glob(filepath.Join(a.cache, pattern))
		switch {
		case err != nil:
			return "", err
		case len(found) > 0:
			return found[len(found)-1], nil
		case fetched:
			return "", fmt.Errorf("apt-get %s left no %s", strings.Join(f.words, " "), pattern)
		}
		if err := a.fetch(ctx, f); err != nil {
			return "", err
		}
	}
}

// lockPause is how long lock sleeps between two tries.
const lockPause = 100 * time.Millisecond

// lock keeps other processes from fetching what this one fetches. Another may hold
// it for as long as a user land of 1 GB takes: ctx bounds the wait.
func (a *Archive) lock(ctx context.Context) (unlock func(), err error) {
	lock, err := os.OpenFile(filepath.Join(a.cache, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = lock.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", lock.Name(), err), lock.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another process fetches into %s: %w", a.cache, context.Cause(ctx)), lock.Close())
		case <-time.After(lockPause):
		}
	}
}

// A fetch is one thing that apt-get is asked for.
type fetch struct {
	kind  string // of line in sources.list: deb-src or deb
	arch  string // of the packages; "" for sources
	words []string
}

// fetch leaves the files that apt-get downloads in the cache.
func (a *Archive) fetch(ctx context.Context, f fetch) error {
	private, err := a.update(ctx, f.kind, f.arch)
	if err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(a.cache, "fresh-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := site.Run(ctx, fresh, nil, "apt-get", append(private, f.words...)...); err != nil {
		return err
	}
	return keep(fresh, a.cache)
}

// update gives the words by which apt-get knows the archive's lists, which it has
// fetched, and nothing of this machine's: no package counts as installed. kind and
// arch are a fetch's.
func (a *Archive) update(ctx context.Context, kind, arch string) (private []string, err error) {
	from, err := mirror()
	if err != nil {
		return nil, err
	}
	own := filepath.Join(a.cache, "apt-"+kind+arch)
	lists, status, sources := filepath.Join(own, "lists"), filepath.Join(own, "status"), filepath.Join(own, "sources.list")
	if err := errors.Join(
		os.MkdirAll(filepath.Join(lists, "partial"), 0o755), os.MkdirAll(filepath.Join(own, "archives", "partial"), 0o755),
		os.WriteFile(status, nil, 0o644), os.WriteFile(sources, []byte(from.line(kind)+"\n"), 0o644),
	); err != nil {
		return nil, err
	}
	private = []string{
		"-qq",
		"-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "Dir::State::lists=" + lists, "-o", "Dir::State::status=" + status, "-o", "Dir::Cache=" + own,
		"-o", "APT::Sandbox::User=root", // the cache need not be open to apt's own user
	}
	if arch != "" {
		private = append(private, "-o", "APT::Architecture="+arch, "-o", "APT::Architectures="+arch)
	}
	return private, site.Run(ctx, a.cache, nil, "apt-get", append(private, "update")...)
}

// keep moves a package's files, the .dsc last: where it is, all are.
func keep(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	slices.SortStableFunc(files, func(a, b os.DirEntry) int {
		return cmp.Compare(filepath.Ext(b.Name()), filepath.Ext(a.Name()))
	})
	for _, f := range files {
		if err := os.Rename(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())); err != nil {
			return err
		}
	}
	return nil
}
