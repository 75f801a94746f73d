package helper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
)

// This file makes the directories for views: one below the state directory, and
// one in memory where there is room. Each is locked by the helper that uses it and
// empty at its start.

// viewsDir makes the directory for the views of running jobs, locked and empty.
// The sandbox's user must be able to enter it: a root that keeps its state below
// a closed home has it in /run.
func viewsDir(state string) (dir string, unlock func() error, err error) {
	dir = filepath.Join(state, "views")
	if os.Geteuid() == 0 && !catalog.Enterable(state) {
		dir = "/run/crosscc-views-" + broker.DigestOf([]byte(state)).Hash[:16]
	}
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return "", nil, err
	}
	if err := checkOwn(dir); err != nil {
		return "", nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", nil, err
	}
	f, err := lock(dir)
	if err != nil {
		return "", nil, fmt.Errorf("another helper uses it: %w", err)
	}
	return dir, f.Close, empty(dir)
}

// lock locks a directory itself, until it is closed.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

const (
	sharedMemory = "/dev/shm"
	// memoryPerSlot is what the views of one job slot may take of the memory. A
	// tree of 500 headers takes 6 MiB.
	memoryPerSlot = 32 << 20
	// minMemory: a slot that has less than this of the memory could show but few
	// trees there.
	minMemory = 8 << 20
	// staleAge is how old a directory in memory is that may be a dead helper's: a
	// helper that starts has locked its own long before.
	staleAge = time.Minute
)

// memoryDir makes a directory for views in shm, a file system in memory: what is
// made there costs a third of the time of a disk, and a tenth on an ext4 where many
// files were removed lately. bytes is what views may take there: little beside the
// machine's memory and beside what is free. dir is "" where that is too little, and
// where anything else is in the way: then the disk does it all. gone removes it.
func memoryDir(shm, state string, slots int) (dir string, bytes int64, gone func() error) {
	none := func() error { return nil }
	sweep(shm)
	if bytes = memoryFor(shm, slots); bytes < minMemory*int64(slots) {
		return "", 0, none
	}
	dir = filepath.Join(shm, memoryPrefix()+broker.DigestOf([]byte(state)).Hash[:16])
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711 // the sandbox's user passes; it can't list the names in it
		if !catalog.Enterable(shm) {
			return "", 0, none
		}
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return "", 0, none
	}
	if checkOwn(dir) != nil || os.Chmod(dir, mode) != nil {
		return "", 0, none
	}
	f, err := lock(dir)
	if err != nil {
		return "", 0, none
	}
	if empty(dir) != nil {
		f.Close()
		return "", 0, none
	}
	return dir, bytes, func() error { return errors.Join(os.RemoveAll(dir), f.Close()) }
}

// memoryFor is how many bytes of shm the views may take: a part for each slot, at
// most a quarter of what is free there and a sixteenth of the machine's memory.
func memoryFor(shm string, slots int) int64 {
	var fs unix.Statfs_t
	var info unix.Sysinfo_t
	if unix.Statfs(shm, &fs) != nil || fs.Type != unix.TMPFS_MAGIC || unix.Sysinfo(&info) != nil {
		return 0
	}
	free := int64(fs.Bavail) * int64(fs.Bsize)
	total := int64(info.Totalram) * int64(info.Unit)
	return min(int64(slots)*memoryPerSlot, free/4, total/16)
}

// memoryPrefix begins the names of this user's directories in memory.
func memoryPrefix() string { return "crosscc-views-" + strconv.Itoa(os.Geteuid()) + "-" }

// sweep removes what helpers of this user that were killed have left in memory:
// nobody else gives that memory back.
func sweep(shm string) {
	list, err := os.ReadDir(shm)
	if err != nil {
		return
	}
	for _, e := range list {
		dir := filepath.Join(shm, e.Name())
		st, err := os.Lstat(dir)
		if !strings.HasPrefix(e.Name(), memoryPrefix()) || err != nil || time.Since(st.ModTime()) < staleAge || checkOwn(dir) != nil {
			continue
		}
		if f, err := lock(dir); err == nil {
			os.RemoveAll(dir)
			f.Close()
		}
	}
}

// checkOwn refuses a directory that somebody else put there.
func checkOwn(dir string) error {
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || !ok || int(sys.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of this user", dir)
	}
	return nil
}

// empty removes what a helper that was killed left behind.
func empty(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
