//go:build !(amd64 || arm64 || riscv64 || ppc64le || s390x)

package files

import "golang.org/x/sys/unix"

func fstatat(dir int, name string, st *unix.Stat_t) error {
	return unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW)
}
