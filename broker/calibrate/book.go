package calibrate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains"
)

// A Question is whether a helper's toolchain makes what a build's makes, for a
// language and a set of options.
type Question struct {
	Want, Have toolchains.Toolchain
	Language   argv.Language // C, CXX, ObjC or ObjCXX
	// Words is the set of options (argv.Command.CodeWords); Front are the words
	// that make the build's defaults explicit for the helper's, Extra what else its
	// jobs get.
	Words, Front, Extra []string
	// Native is what native in Words means (broker.Job).
	Native []string
}

// Key is a readable text: all that an answer depends on.
func (q Question) Key() string {
	key := fmt.Sprintf("crosscc calibration v1\ncorpus %s\nwant %s\nhave %s\nlanguage %s\nwords %q\nfront %q\nextra %q\n",
		version(q.Language), q.Want.Digest(), q.Have.Digest(), q.Language, q.Words, q.Front, q.Extra)
	if len(q.Native) > 0 {
		key += fmt.Sprintf("native %q\n", q.Native)
	}
	return key
}

// Bounds of a Book.
const (
	maxResults = 4096     // kept on disk; a large build has some dozens of sets
	maxFile    = 64 << 10 // bytes of one file
)

// A Book keeps what was found out about toolchains, in memory and on disk. Results
// are kept by the contents of both toolchains' files, so that an upgrade makes
// them void by itself. A file that is damaged is not there.
type Book struct {
	dir string
	now func() time.Time

	mu         sync.Mutex         // guards the fields below
	results    map[string]*Result // by key; nil: looked for on disk, and not there
	distrusted []Distrust
}

// OpenBook opens the book in a directory, which is made when something is kept.
func OpenBook(dir string) *Book {
	b := &Book{dir: dir, now: time.Now, results: map[string]*Result{}}
	b.distrusted = b.loadDistrusted()
	return b
}

// Look gives the answer to a question, if there is one.
func (b *Book) Look(q Question) (Result, bool) {
	key := q.Key()
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.results[key]
	if !ok {
		var read Result
		if b.load(b.resultFile(key), key, &read) {
			r = &read
		}
		b.remember(key, r)
	}
	if r == nil {
		return Result{}, false
	}
	return *r, true
}

// Keep writes an answer down.
func (b *Book) Keep(q Question, r Result) error {
	key := q.Key()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remember(key, &r)
	if err := b.save(b.resultFile(key), key, r); err != nil {
		return err
	}
	b.prune()
	return nil
}

// remember bounds the memory as well: what is in use comes back from disk. b.mu
// is held.
func (b *Book) remember(key string, r *Result) {
	if len(b.results) >= maxResults {
		b.results = map[string]*Result{}
	}
	b.results[key] = r
}

func (b *Book) resultFile(key string) string {
	return filepath.Join(b.dir, "results", digest(key)+".json")
}

// A record is a file of the book. Sum is of the value's text as it stands there,
// so that any damage shows.
type record struct {
	Key   string
	Sum   string
	Value json.RawMessage
}

// load reads a value. Whatever is wrong with its file is a miss.
func (b *Book) load(name, key string, value any) bool {
	info, err := os.Stat(name)
	if err != nil || info.Size() > maxFile {
		return false
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return false
	}
	var r record
	if json.Unmarshal(text, &r) != nil || r.Key != key || r.Sum != digest(string(r.Value)) {
		return false
	}
	return json.Unmarshal(r.Value, value) == nil
}

// save writes a value: temporary name, then rename.
func (b *Book) save(name, key string, value any) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep what was compared: %w", err)
		}
	}()
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	text, err := json.Marshal(record{Key: key, Sum: digest(string(body)), Value: body})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// prune removes the results longest not written, down to maxResults.
func (b *Book) prune() {
	dir := filepath.Join(b.dir, "results")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) <= maxResults {
		return
	}
	age := func(e os.DirEntry) time.Time {
		if info, err := e.Info(); err == nil {
			return info.ModTime()
		}
		return time.Time{}
	}
	slices.SortFunc(files, func(x, y os.DirEntry) int { return age(x).Compare(age(y)) })
	for _, f := range files[:len(files)-maxResults] {
		os.Remove(filepath.Join(dir, f.Name()))
	}
}

// A Distrust is a helper whose toolchain made another object than the client's
// in a real compile. It holds, whatever changes there, until somebody clears it.
type Distrust struct {
	Helper    string // its address
	Toolchain string // the client's identity
	Command   []string
	Differs   string
	Time      time.Time
}

// Distrusts tells of a helper that is distrusted for an identity.
func (b *Book) Distrusts(helper string, of toolchains.Identity) (Distrust, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.distrusted {
		if d.Helper == helper && d.Toolchain == of.Text() {
			return d, true
		}
	}
	return Distrust{}, false
}

// Distrusted are all of them, oldest first.
func (b *Book) Distrusted() []Distrust {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.distrusted)
}

// Distrust notes that a helper made something else; the first command of a pair
// is the one that is told. It holds from now on even when the error says that it
// could not be written down.
func (b *Book) Distrust(helper string, of toolchains.Identity, command []string, differs string) error {
	d := Distrust{Helper: helper, Toolchain: of.Text(), Command: command, Differs: differs, Time: b.now().UTC()}
	if _, ok := b.Distrusts(helper, of); ok {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.distrusted = append(b.distrusted, d)
	d.Command = cut(d.Command)
	return b.save(b.distrustFile(d), d.key(), d)
}

// Clear takes distrust back: of one helper, or of all when helper is "". It says
// how many.
func (b *Book) Clear(helper string) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var left []Distrust
	for _, d := range b.distrusted {
		if helper != "" && d.Helper != helper {
			left = append(left, d)
			continue
		}
		if err := os.Remove(b.distrustFile(d)); err != nil && !os.IsNotExist(err) {
			return 0, fmt.Errorf("clear distrust: %w", err)
		}
	}
	n := len(b.distrusted) - len(left)
	b.distrusted = left
	return n, nil
}

func (d Distrust) key() string {
	return fmt.Sprintf("crosscc distrust v1\n%q\n%q\n", d.Helper, d.Toolchain)
}

func (b *Book) distrustFile(d Distrust) string {
	return filepath.Join(b.dir, "distrust", digest(d.key())+".json")
}

// cut keeps a command within maxFile.
func cut(command []string) []string {
	size := 0
	for i, w := range command {
		if size += 2*len(w) + 8; size > maxFile/4 {
			return append(slices.Clone(command[:i]), "…")
		}
	}
	return command
}

func (b *Book) loadDistrusted() []Distrust {
	dir := filepath.Join(b.dir, "distrust")
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var list []Distrust
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		var r record
		var d Distrust
		if err == nil && json.Unmarshal(text, &r) == nil && r.Sum == digest(string(r.Value)) && json.Unmarshal(r.Value, &d) == nil {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(x, y Distrust) int { return x.Time.Compare(y.Time) })
	return list
}
