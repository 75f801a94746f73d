package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
)

// KnownFor bounds for how long a client believes that a server still has what it
// was heard to have. To be wrong costs one more round trip.
const KnownFor = 10 * time.Minute

// maxWorded bounds the bytes of one generation of the directories that a Writer
// remembers. A C++ source's tree has 50 kB of them, and the next source's nearly
// all the same ones.
const maxWorded = 2 << 20

// A Writer words jobs for one server. It remembers the directories that it
// worded: one that comes again, and nearly all do, is not hashed again, and when
// the server was heard to have it with all that is below, nothing of it is looked
// up again. It is made with NewWriter; its methods may be called at once.
type Writer struct {
	scratch sync.Pool // of *scratch

	mu     sync.Mutex                      // guards the fields below, and directory.seen
	worded generations[uint64, *directory] // by the hash of their encodings
	seed   maphash.Seed
	lost   time.Time // what was seen until then is not believed
}

// NewWriter makes a Writer that knows of nothing.
func NewWriter() *Writer {
	return &Writer{seed: maphash.MakeSeed(), worded: generations[uint64, *directory]{bound: maxWorded}}
}

// A directory is a Directory message.
type directory struct {
	text   string // its encoding
	digest broker.Digest
	seen   time.Time // when the server was heard to have all of it
}

// An Action is a job in REAPI's words.
type Action struct {
	// Digest names the Action message; it is the key of the action cache.
	Digest broker.Digest
	// Message is the Action message and Command the one that it names.
	Message, Command []byte
	// Directories and Files are the Directory messages and the files that a
	// server must hold besides, each once. Left out are the empty blob, and the
	// directories that this server has with all that is in them.
	Directories, Files []broker.Blob

	writer *Writer
	at     time.Time    // when it was made
	dirs   []*directory // those in Directories, and those seen long ago
}

// Blobs are all that a server must hold, the messages among them.
func (a *Action) Blobs() []broker.Blob {
	return append(slices.Concat(a.Directories, a.Files), broker.BytesBlob(a.Command), broker.BytesBlob(a.Message))
}

// Held says that the server was heard to hold all inputs of the action.
func (a *Action) Held() {
	a.writer.mu.Lock()
	defer a.writer.mu.Unlock()
	for _, d := range a.dirs {
		d.seen = a.at
	}
}

// Forget has all inputs of the actions to come be named: the server lost some.
func (w *Writer) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = time.Now()
}

// ActionOf writes a job as REAPI messages. Equal jobs give equal actions. The job
// is one that its maker has found valid. It refuses one that REAPI's text fields
// can't carry.
func (w *Writer) ActionOf(j *broker.Job) (*Action, error) {
	a := &Action{writer: w, at: time.Now()}
	s, _ := w.scratch.Get().(*scratch)
	if s == nil {
		s = new(scratch)
	}
	root, err := w.wordTree(a, s, j.Root)
	w.scratch.Put(s)
	if err != nil {
		return nil, err
	}
	platform := platformOf(j)
	c := &repb.Command{
		Arguments:            append([]string{j.Name}, j.Args...),
		EnvironmentVariables: variables(j.Env),
		OutputPaths:          slices.Compact(slices.Sorted(slices.Values(j.Outputs))),
		WorkingDirectory:     strings.TrimPrefix(j.Dir, "/"),
	}
	fillOld(c, platform)
	if a.Command, err = encode(c); err != nil {
		return nil, err
	}
	a.Message, err = encode(&repb.Action{
		CommandDigest:   DigestToProto(broker.DigestOf(a.Command)),
		InputRootDigest: DigestToProto(root.digest),
		Platform:        platform,
	})
	a.Digest = broker.DigestOf(a.Message)
	return a, err
}

// encode is a message in its one deterministic encoding.
func encode(m proto.Message) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil { // the only cause: a string that is not UTF-8
		return nil, notUTF8()
	}
	return data, nil
}

func notUTF8() error {
	return broker.Refusef(NotUTF8, "a file name or a word of the command is not UTF-8")
}

// variables splits K=V words, sorted by name as REAPI wants them: "A=" sorts
// after "A1=" as a word and before it as a name.
func variables(env []string) []*repb.Command_EnvironmentVariable {
	var out []*repb.Command_EnvironmentVariable
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		out = append(out, &repb.Command_EnvironmentVariable{Name: k, Value: v})
	}
	slices.SortStableFunc(out, func(a, b *repb.Command_EnvironmentVariable) int {
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// A scratch is memory that one tree after another is worded in.
type scratch struct {
	message []byte
	subs    []*directory // a stack: those of the directories on the way
	added   map[broker.Digest]bool
}

// wordTree words a tree and collects in a what it is made of.
func (w *Writer) wordTree(a *Action, s *scratch, root *broker.Dir) (*directory, error) {
	s.subs = s.subs[:0]
	clear(s.added)
	defer clear(s.subs[:cap(s.subs)])
	return w.word(a, s, root, 0)
}

// word words d and what is below it.
func (w *Writer) word(a *Action, s *scratch, d *broker.Dir, depth int) (*directory, error) {
	if depth > broker.MaxDepth {
		return nil, fmt.Errorf("job: tree is deeper than %d directories", broker.MaxDepth)
	}
	dirs, files, base := len(a.Directories), len(a.Files), len(s.subs)
	for _, sub := range d.Dirs {
		worded, err := w.word(a, s, sub.Dir, depth+1)
		if err != nil {
			return nil, err
		}
		s.subs = append(s.subs, worded)
	}
	var err error
	if s.message, err = appendDirectory(s.message[:0], d, s.subs[base:]); err != nil {
		return nil, err
	}
	s.subs = s.subs[:base]
	worded, age := w.find(s.message, a.at)
	if age > KnownFor/2 {
		a.dirs = append(a.dirs, worded)
	}
	if age < KnownFor { // the server has whatever is below, too
		a.Directories, a.Files = a.Directories[:dirs], a.Files[:files]
		return worded, nil
	}
	if s.add(worded.digest) {
		a.Directories = append(a.Directories, worded.blob())
	}
	for i := range d.Files {
		if b := &d.Files[i].Blob; s.add(b.Digest) {
			a.Files = append(a.Files, *b)
		}
	}
	return worded, nil
}

// add reports whether d becomes an input: the first time, unless it is of nothing.
func (s *scratch) add(d broker.Digest) bool {
	if s.added[d] || Empty(d) {
		return false
	}
	if s.added == nil {
		s.added = map[broker.Digest]bool{}
	}
	s.added[d] = true
	return true
}

// find returns the directory with an encoding, and how long ago the server was
// heard to have all of it.
func (w *Writer) find(text []byte, now time.Time) (*directory, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := maphash.Bytes(w.seed, text)
	d, ok := w.worded.get(key)
	if !ok || d.text != string(text) { // or two have one hash: the later takes the place
		sum := sha256.Sum256(text)
		d = &directory{text: string(text), digest: broker.Digest{Hash: hex.EncodeToString(sum[:]), Size: int64(len(text))}}
		w.worded.put(key, d, int64(len(text)))
	}
	if !d.seen.After(w.lost) {
		return d, KnownFor
	}
	return d, now.Sub(d.seen)
}

func (d *directory) blob() broker.Blob {
	return broker.FileBlob(d.digest, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(d.text)), nil })
}
