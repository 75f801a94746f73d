// Package files is a client's files as a compiler meets them: names walked as the
// kernel walks them, each looked at once in a scan, and texts that are read once
// for as long as stat proves that they are the same.
//
// A newcomer starts with View, which is one scan's look at one root, and with
// World, which is what scans of that root share; Cache holds texts for all roots.
// walk.go follows names, listing.go spares most system calls for names that are
// not there, text.go reads, tree.go puts together what was seen.
//
// # Why what is remembered can be trusted
//
// Where a name leads depends on nothing but which names there are in the
// directories on the way, and on what those that are there are: a directory,
// with its inode; a link, with its text; a file. So the answer of a search may be
// given again as long as
//
//   - each thing that the search met is what it was. A View looks at each again,
//     by its name in a directory that it walked to from the root, so that mounts,
//     renamed directories and switched links are seen. It looks after its job
//     arrived, or another View did: a look is as good for all jobs that had
//     arrived before it.
//   - no name that the search did not find has come. Only names that are added or
//     removed change what a directory lacks, and they change its times. A listing
//     that was made when the directory had not changed for two seconds, longer
//     than any file system's clock stands still, is good while its times are the
//     same; another one is read again for each job, in one system call, during
//     which the kernel lets nobody change the directory. When a name appears or
//     goes that anybody asked for in vain, all answers of the past are dropped
//     (World.epoch); others, as the objects of a build, change nothing.
//   - the file system is one that keeps these promises (isHonest). In other
//     directories each name is looked up each time.
//
// A file's text is known by device, inode, size, mtime and ctime, looked at once
// for each job; one that was read within two seconds after its last change is
// read again. What a program changes through a shared mapping may change no time
// until it calls msync or, some 30 seconds later, the kernel writes it back: till
// then the text before may count. A file that changes while it is read, and is
// not what it was before, is an *Unsound.
package files

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crosscc/crosscc/broker"
)

// Unsound says that it can't be known what a compiler would read.
type Unsound struct {
	Reason broker.Reason
	Text   string // one line for people
	// Local: preprocessed text would not hold everything either, so the job
	// stays at home.
	Local bool
	// Askable: what the compiler itself lists as read would make up for it.
	Askable bool
}

func (u *Unsound) Error() string { return u.Text }

// Unsoundf makes an *Unsound.
func Unsoundf(r broker.Reason, format string, args ...any) error {
	return &Unsound{Reason: r, Text: fmt.Sprintf(format, args...)}
}

// Why files can't be known. Reasons are counted, and explained in
// docs/reasons.md.
const (
	Special    broker.Reason = "special-file"    // a FIFO, a device, /proc
	Unreadable broker.Reason = "unreadable-file" // no permission, or an error of the disk
	TooLarge   broker.Reason = "tree-too-large"  // one of the bounds below
	Changed    broker.Reason = "file-changed"    // while it was read
)

// Bounds of one view. Beyond them a tree is no faster than the preprocessor, or
// somebody plays with us.
const (
	maxFile    = 32 << 20   // bytes of one file that is looked into
	maxBytes   = 512 << 20  // bytes of all such files
	maxRaw     = 1 << 30    // bytes of one file whose content only travels: a link's input
	maxRaws    = 1536 << 20 // bytes of all of those; both together are within broker.MaxBytes
	maxFiles   = 20000      // files, and links
	maxDirs    = 3000       // directories looked into; each is a descriptor while the view lives
	maxLookups = 1000000    // names looked up in a directory
	maxDepth   = 60         // directories above a file
	maxPath    = 3800       // bytes of a directory's name, so that a file's fits the kernel's 4095
	maxPaths   = 15 << 20   // bytes of all names, as broker.Dir bounds them
	maxName    = 255        // bytes of one name, the kernel's own bound
	maxLinks   = 40         // symbolic links in one name, the kernel's own bound
)

// A Cache keeps the texts of files. It keeps no descriptor, and may be used by
// several goroutines.
type Cache struct {
	clock   func() time.Time
	texts   cache[textKey, *Text]
	reading [64]sync.Mutex // by inode: held while a file is read
	reads   atomic.Int64
	buffers sync.Pool // of *[]byte, for contents while they are looked at
	dirents sync.Pool // of *[]byte, for directories
}

// maxTexts bounds the memory of a Cache, in bytes, roughly.
const maxTexts = 24 << 20

// NewCache makes an empty Cache. clock tells how old a file is; nil means
// time.Now.
func NewCache(clock func() time.Time) *Cache {
	if clock == nil {
		clock = time.Now
	}
	c := &Cache{clock: clock}
	c.texts.bound = maxTexts
	c.buffers.New = func() any { return new([]byte) }
	c.dirents.New = func() any { return new([]byte) }
	return c
}

// Reads is how many files were read (not only looked at) so far.
func (c *Cache) Reads() int64 { return c.reads.Load() }
