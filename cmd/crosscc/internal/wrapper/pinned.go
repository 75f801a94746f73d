package wrapper

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// maxProject bounds what is read of a project's settings.
const maxProject = 1 << 20

// mayBePinned says who may have pinned the toolchain of this command to an image; "" for
// nobody. It is asked where there is no agent, who would know: a pinned command is
// never the local compiler's, and one that is not sent for this doubt alone can be run
// by CROSSCC_DISABLE=1.
func (w *wrapper) mayBePinned() string {
	if w.getenv("CROSSCC_TOOLCHAIN") != "" {
		return "CROSSCC_TOOLCHAIN"
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		name := filepath.Join(dir, ".crosscc.toml")
		if text, err := readProject(name); err == nil {
			if bytes.Contains(text, []byte("toolchain")) {
				return name
			}
			return ""
		}
		if dir == "/" || dir == "." {
			return ""
		}
	}
}

// readProject reads a file; one that is a pipe is not waited for. Of one that does not
// count, as the agent would say (config.FindProject), there is no text: what somebody
// else leaves in /tmp keeps no build below it from going on.
func readProject(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := f.Stat()
	if err != nil {
		return nil, err
	}
	dir, err := os.Stat(filepath.Dir(name))
	if err != nil || !file.Mode().IsRegular() || !ours(file) || !ours(dir) {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, maxProject))
}

// ours reports whether nobody but this user and root may write to a file.
func ours(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid()) && info.Mode()&0o022 == 0
}
