package compile

import (
	"path"
	"slices"
	"strings"
)

// markers are what the root of a project or of a build has.
var markers = []string{
	".git", ".hg", ".svn", ".bzr", "_darcs", "CVS", ".crosscc.toml", "config.status", "CMakeCache.txt", "build.ninja", "meson-private",
}

// installed are directories where compilers are put when they are done. One of
// them, or what holds one, is nobody's project.
var installed = []string{"/usr/bin", "/usr/lib", "/usr/local", "/usr/libexec", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/nix/store", "/gnu/store", "/home", "/root"}

// inBuild names a program of the compiler that lies in the build's own tree, or ""
// (trap 17). A compiler that is being made (gcc's stages, a clang that builds its
// runtimes) has the version of an installed one, changes while the build runs, and
// is what the build is there to try: only itself can say what it makes.
//
// The build's tree is the working directory, and the outermost directory above it
// that has a mark of a project or of a configured build. Who owns the files is no
// sign: in a container all are root's.
func (k *Compilers) inBuild(c *Compile) (string, error) {
	places, err := k.places.Get(c.Session.Context(), c.Key(), c.Toolchain.Fingerprint, func() ([]string, error) { return c.places(), nil })
	if err != nil {
		return "", err
	}
	dir, err := c.Session.Files.Real(c.Session.Request.Dir)
	if err != nil {
		return "", nil // the job can't be sent, and says why later
	}
	for _, tree := range []string{dir, c.project(dir, places)} {
		if tree == "" || slices.ContainsFunc(installed, func(p string) bool { return below(p, tree) }) {
			continue
		}
		if i := slices.IndexFunc(places, func(p string) bool { return below(p, tree) }); i >= 0 {
			return places[i], nil
		}
	}
	return "", nil
}

// places are where the compiler's programs really are: a link in the build's tree
// that leads to an installed one is but another name for that.
func (c *Compile) places() []string {
	var list []string
	for _, name := range append([]string{c.Program}, c.Toolchain.Programs...) {
		if real, err := c.Session.Files.Real(name); err == nil {
			list = append(list, real)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// project is the outermost directory above dir with a mark; "" when there is none.
// It is looked for only where some place could be below it.
func (c *Compile) project(dir string, places []string) string {
	found := ""
	for ; dir != "/"; dir = path.Dir(dir) {
		if !slices.ContainsFunc(places, func(p string) bool { return below(p, dir) }) {
			continue
		}
		if slices.ContainsFunc(markers, func(m string) bool { _, err := c.Session.Files.Lstat(dir + "/" + m); return err == nil }) {
			found = dir
		}
	}
	return found
}

// below reports whether name is dir or in it; both are clean.
func below(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}
