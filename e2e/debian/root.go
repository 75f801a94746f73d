package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/crosscc/crosscc/e2e/site"
)

// Root gives a directory that holds a user land of an architecture (arm64, armhf,
// i386 …): the packages and all that they depend on, as files. No package's script
// ran, so there is nothing that only those make: no /etc/alternatives, no
// ld.so.cache. It is made once for a list of packages; callers do not write to it.
func (a *Archive) Root(ctx context.Context, arch string, pkgs ...string) (string, error) {
	list := sha256.Sum256([]byte(strings.Join(pkgs, " ")))
	dir := filepath.Join(a.cache, "root-"+arch+"-"+hex.EncodeToString(list[:4]))
	unlock, err := a.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return dir, err
	}
	if err := a.makeRoot(ctx, arch, dir, pkgs); err != nil {
		return "", fmt.Errorf("user land of %s: %w", arch, err)
	}
	return dir, nil
}

// makeRoot leaves dir only when it is whole.
func (a *Archive) makeRoot(ctx context.Context, arch, dir string, pkgs []string) (err error) {
	debs, err := a.closure(ctx, arch, pkgs)
	if err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(a.cache, "fresh-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }()
	if err := errors.Join(os.Chmod(fresh, 0o755), mergedUsr(fresh)); err != nil {
		return err
	}
	for _, deb := range debs {
		if err := unpackOver(ctx, deb, fresh); err != nil {
			return err
		}
		if err := os.Remove(deb); err != nil {
			return err
		}
	}
	return os.Rename(fresh, dir)
}

// closure fetches the packages with those that they depend on. apt works it out
// for a machine on which nothing is installed.
func (a *Archive) closure(ctx context.Context, arch string, pkgs []string) (debs []string, err error) {
	private, err := a.update(ctx, "deb", arch)
	if err != nil {
		return nil, err
	}
	words := append(private, "install", "--download-only", "--yes", "--no-install-recommends")
	if err := site.Run(ctx, a.cache, nil, "apt-get", append(words, pkgs...)...); err != nil {
		return nil, err
	}
	debs, err = filepath.Glob(filepath.Join(a.cache, "apt-deb"+arch, "archives", "*.deb"))
	if err == nil && len(debs) == 0 {
		err = errors.New("apt-get fetched no package")
	}
	return debs, err
}

// mergedUsr makes the links that Debian's installer makes before all packages, and
// the directories that other file systems are mounted on.
func mergedUsr(dir string) error {
	var errs []error
	for _, name := range []string{"bin", "sbin", "lib"} {
		errs = append(errs, os.MkdirAll(filepath.Join(dir, "usr", name), 0o755), os.Symlink("usr/"+name, filepath.Join(dir, name)))
	}
	for _, name := range []string{"dev", "proc", "tmp", "opt", "home"} {
		errs = append(errs, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	return errors.Join(errs...)
}

// unpackOver unpacks a package where links lead to directories that it names:
// dpkg-deb itself would put directories in their place.
func unpackOver(ctx context.Context, deb, dir string) error {
	return site.Run(ctx, dir, nil, "sh", "-c", `dpkg-deb --fsys-tarfile "$1" >.tar && tar -xf .tar --keep-directory-symlink --no-same-owner && rm .tar`, "sh", deb)
}
