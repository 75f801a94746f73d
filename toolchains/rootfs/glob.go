package rootfs

import (
	"fmt"
	"path"
	"strings"
)

// Glob lists the absolute names in the root that match a pattern of path.Match, sorted, at most
// limit from each directory. A name without a pattern matches itself, there or not.
func (r *Root) Glob(pattern string, limit int) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil || !path.IsAbs(pattern) {
		return nil, fmt.Errorf("pattern %q is malformed or not absolute", pattern)
	}
	names := []string{"/"}
	for part := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		var next []string
		for _, dir := range names {
			next = append(next, r.globPart(dir, part, limit)...)
		}
		names = next
	}
	return names, nil
}

func (r *Root) globPart(dir, part string, limit int) []string {
	if !strings.ContainsAny(part, `*?[\`) {
		return []string{path.Join(dir, part)}
	}
	entries, _ := r.ReadDir(dir, limit)
	var list []string
	for _, e := range entries {
		if ok, _ := path.Match(part, e); ok && (e[0] != '.' || part[0] == '.') {
			list = append(list, path.Join(dir, e))
		}
	}
	return list
}
