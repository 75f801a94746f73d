package store

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

var soak = flag.Duration("soak", 5*time.Second, "how long writers are killed and started again")

// churnBound is small against what the writers write, so that they evict all the time.
const churnBound = 4 << 20

// child is this test binary run again, to do one Helper test.
func child(t *testing.T, test, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), "CROSSCC_TEST_STORE="+dir)
	return cmd
}

// TestKilledWriters kills a process of 64 readers and writers again and again.
// Each time the disk is what the bound allows, damage is done to some files, and
// the next process never sees a wrong byte. -soak 1m makes it a soak.
func TestKilledWriters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	end := time.Now().Add(*soak)
	rounds := 0
	var sum Stats
	var writes int64
	for ; time.Now().Before(end) || rounds < 3; rounds++ {
		did := churnAndKill(t, dir)
		sum.Hits, sum.Misses, sum.Damaged, sum.Evicted = sum.Hits+did.Hits, sum.Misses+did.Misses, sum.Damaged+did.Damaged, sum.Evicted+did.Evicted
		writes += did.Writes
		if use := diskUse(t, dir); use > churnBound {
			t.Fatalf("round %d: %d bytes on disk, the bound is %d", rounds, use, churnBound)
		}
		vandalise(t, dir)
	}
	s := reopen(t, dir, Options{MaxBytes: churnBound})
	nothingIncoming(t, s)
	st := s.Stats()
	good, bad := readAll(t, s)
	t.Logf("%d kills; at least %d writes, %d reads that hit and %d that missed, %d files damaged, %d evicted; at the end %d blobs well and %d damaged, %d records, %d claims",
		rounds, writes, sum.Hits, sum.Misses, sum.Damaged, sum.Evicted, good, bad, st.Actions, st.Claims)
	if good == 0 || writes == 0 || sum.Hits == 0 || sum.Damaged == 0 || sum.Evicted == 0 {
		t.Error("the soak did not soak")
	}
}

// churned is what a churning process said last that it did.
type churned struct {
	Stats
	Writes int64
}

func churnAndKill(t *testing.T, dir string) (did churned) {
	t.Helper()
	cmd := child(t, "TestHelperChurn", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	early := rand.N(5) == 0 // it dies while it starts
	limit := time.Minute
	if early {
		limit = rand.N(200 * time.Millisecond)
	}
	timer := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var said strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "did "); ok {
			if err := json.Unmarshal([]byte(text), &did); err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		said.WriteString(lines.Text() + "\n")
		if lines.Text() == "churning" {
			if _, err := Open(dir, Options{}); !early && !errors.Is(err, ErrLocked) {
				t.Errorf("a second process opens the store: %v", err)
			}
			time.AfterFunc(rand.N(300*time.Millisecond), func() { cmd.Process.Kill() })
		}
	}
	cmd.Wait()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signal() != syscall.SIGKILL || !early && !strings.Contains(said.String(), "churning") {
		t.Fatalf("the writers ended with %v:\n%s", cmd.ProcessState, said.String())
	}
	return did
}

// vandalise flips a bit in some of the files, and cuts some.
func vandalise(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || e.Name() == markerName || rand.N(20) > 0 {
			return err
		}
		return rewrite(func(b []byte) []byte {
			if len(b) == 0 {
				return b
			}
			i := rand.N(len(b))
			b[i] ^= 1 << rand.N(8)
			if rand.N(2) == 0 {
				b = b[:i]
			}
			return b
		})(name)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readAll(t *testing.T, s *Store) (good, bad int) {
	t.Helper()
	for k := range s.index.at {
		if k.kind != blob {
			continue
		}
		d := broker.Digest{Hash: k.name(), Size: s.index.slots[s.index.at[k]].size}
		content, err := read(s, d)
		if _, ok := errors.AsType[*Miss](err); ok {
			bad++
			continue
		}
		if err != nil || broker.DigestOf([]byte(content)) != d {
			t.Errorf("blob %s reads as %d bytes, %v", d, len(content), err)
		}
		good++
	}
	return good, bad
}

// TestHelperChurn is the process that TestKilledWriters kills.
func TestHelperChurn(t *testing.T) {
	dir := os.Getenv("CROSSCC_TEST_STORE")
	if dir == "" {
		return
	}
	s := reopen(t, dir, Options{MaxBytes: churnBound})
	fmt.Println("churning")
	var writes atomic.Int64
	go func() {
		for {
			time.Sleep(10 * time.Millisecond)
			text, err := json.Marshal(churned{s.Stats(), writes.Load()})
			if err != nil {
				panic(err)
			}
			fmt.Printf("did %s\n", text)
		}
	}()
	churn(t, s, 1<<30, &writes)
}

// TestChurn is the same in this process, to its end, where the race detector sees it.
func TestChurn(t *testing.T) {
	s := open(t, Options{MaxBytes: churnBound})
	churn(t, s, 40, new(atomic.Int64))
	nothingIncoming(t, s)
	if st := s.Stats(); diskUse(t, s.dir) != st.Used || st.Evicted == 0 || st.Hits == 0 || st.Damaged != 0 {
		t.Errorf("%+v, %d bytes on disk", st, diskUse(t, s.dir))
	}
}

// churn has 64 goroutines write and read, each so many times. Each blob can be made
// from its number, so that everybody can ask for everybody's.
func churn(t *testing.T, s *Store, times int, writes *atomic.Int64) {
	var work sync.WaitGroup
	for range 64 {
		work.Go(func() {
			for range times {
				if err := churnOne(s, writes); err != nil {
					fmt.Println(err)
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
}

func churnOne(s *Store, writes *atomic.Int64) error {
	n := rand.Uint64N(500)
	if st := s.Stats(); st.Used+st.Reserved > st.Max {
		return fmt.Errorf("over the bound: %+v", st)
	}
	var err error
	if rand.N(2) == 0 {
		if err = writeOne(s, n); err == nil {
			writes.Add(1)
		}
	} else {
		err = readOne(s, n)
	}
	if _, missed := errors.AsType[*Miss](err); missed || errors.Is(err, ErrBusy) {
		return nil
	}
	return err
}

func writeOne(s *Store, n uint64) (err error) {
	content, client := numbered(n), fmt.Sprint(n%3)
	switch rand.N(5) {
	case 0:
		err = s.PutFrom(client, broker.DigestOf(content), bytes.NewReader(content))
	case 1:
		_, err = s.PutBytes(content)
	case 2:
		err = s.PutAction(broker.DigestOf(content), content[:100])
	case 3:
		// One of three values at a time, each of which says whose it is.
		value := numbered(n + 1000*rand.Uint64N(3))
		err = s.PutClaim(client, fmt.Sprint(n), int64(len(value)), bytes.NewReader(value))
	case 4:
		err = s.RemoveClaim(fmt.Sprint(n))
	}
	return err
}

func readOne(s *Store, n uint64) (err error) {
	content := numbered(n)
	d := broker.DigestOf(content)
	var got string
	switch rand.N(4) {
	case 0:
		s.Missing([]broker.Digest{d})
	case 1:
		var b []byte
		if b, err = s.Action(d); err == nil && !bytes.Equal(b, content[:100]) {
			err = fmt.Errorf("wrong record %d", n)
		}
	case 2:
		if got, err = read(s, d); err == nil && got != string(content) {
			err = fmt.Errorf("wrong blob %d", n)
		}
	case 3:
		if got, err = readClaim(s, fmt.Sprint(n)); err == nil && !claimed(n, got) {
			err = fmt.Errorf("wrong claim %d", n)
		}
	}
	return err
}

// claimed reports whether value is one that churnOne puts under n.
func claimed(n uint64, value string) bool {
	for v := range uint64(3) {
		if value == string(numbered(n+1000*v)) {
			return true
		}
	}
	return false
}

func numbered(n uint64) []byte {
	size := 100 + rand.NewPCG(n, n).Uint64()%60_000
	return bytes.Repeat(binary.LittleEndian.AppendUint64(nil, n), int(size/8))
}

// TestNoSpace fills a small file system: a process of its own mounts one.
func TestNoSpace(t *testing.T) {
	mounting(t, "TestHelperNoSpace", "the disk was full")
}

// mounting runs a Helper test that mounts, and must end with saying so.
func mounting(t *testing.T, test, says string) {
	t.Helper()
	cmd := child(t, test, t.TempDir())
	id := func(n int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: n, Size: 1}} }
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: id(os.Getuid()),
		GidMappings: id(os.Getgid()),
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v (it needs user namespaces, as bubblewrap does: sysctl kernel.unprivileged_userns_clone=1)\n%s", err, out)
	}
	if !bytes.Contains(out, []byte(says)) {
		t.Errorf("it never said that %s:\n%s", says, out)
	}
}

// TestHelperNoSpace is the process of TestNoSpace.
func TestHelperNoSpace(t *testing.T) {
	dir := os.Getenv("CROSSCC_TEST_STORE")
	if dir == "" {
		return
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Fatal(err)
	}
	s := reopen(t, dir, Options{})
	var err error
	n := uint64(0)
	for ; err == nil && n < 100; n++ {
		_, err = s.PutBytes(numbered(n))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("write %d of a full disk: %v", n, err)
	}
	if err := s.PutAction(broker.DigestOf(nil), make([]byte, 1<<20)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("record on a full disk: %v", err)
	}
	if err := s.PutClaim("", "k", 1<<20, bytes.NewReader(make([]byte, 1<<20))); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("claim on a full disk: %v", err)
	}
	nothingIncoming(t, s)
	for i := range n - 1 {
		has(t, s, string(numbered(i)))
	}
	if err := os.Remove(file(s, blob, broker.DigestOf(numbered(0)))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutBytes([]byte("small")); err != nil {
		t.Errorf("write when there is space again: %v", err)
	}
	fmt.Println("the disk was full")
}

// TestReadOnly: on a disk that became read-only what is there can be read, and
// nothing else is promised.
func TestReadOnly(t *testing.T) {
	mounting(t, "TestHelperReadOnly", "the disk was read-only")
}

// TestHelperReadOnly is the process of TestReadOnly.
func TestHelperReadOnly(t *testing.T) {
	dir := os.Getenv("CROSSCC_TEST_STORE")
	if dir == "" {
		return
	}
	const entries = 20
	c := newClock()
	o := Options{MaxBytes: entries * block, Now: c.now, Logf: t.Logf}
	s := reopen(t, filepath.Join(dir, "store"), o)
	for i := range entries {
		put(t, s, fmt.Sprint(i))
	}
	if err := rewrite(func([]byte) []byte { return []byte("x") })(file(s, blob, broker.DigestOf([]byte("0")))); err != nil {
		t.Fatal(err)
	}
	s = restart(t, s)
	c.forward(2 * useGrain)
	for _, flags := range []uintptr{unix.MS_BIND, unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY} {
		if err := unix.Mount(dir, dir, "", flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // each write looks for room in vain
		if err := s.Put(broker.DigestOf([]byte("new")), strings.NewReader("new")); !errors.Is(err, unix.EROFS) {
			t.Errorf("write: %v", err)
		}
		_, err := s.Open(broker.DigestOf([]byte("0")))
		misses(t, err, true, "its hash is")
	}
	for i := range entries - 1 {
		has(t, s, fmt.Sprint(i+1))
	}
	if st := s.Stats(); st.Blobs != entries || st.Used != st.Max || st.Reserved != 0 || st.Evicted != 0 {
		t.Errorf("%+v", st)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(s.dir, o); !errors.Is(err, unix.EROFS) {
		t.Errorf("open: %v", err)
	}
	fmt.Println("the disk was read-only")
}

// TestNoDescriptors: a machine that cannot open files has lost no blob.
func TestNoDescriptors(t *testing.T) {
	cmd := child(t, "TestHelperNoDescriptors", filepath.Join(t.TempDir(), "store"))
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("no descriptors were left")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestHelperNoDescriptors is the process of TestNoDescriptors.
func TestHelperNoDescriptors(t *testing.T) {
	dir := os.Getenv("CROSSCC_TEST_STORE")
	if dir == "" {
		return
	}
	s := reopen(t, dir, Options{})
	d := put(t, s, "content")
	if err := s.PutAction(d, []byte("value")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	var held []*os.File
	for {
		f, err := os.Open("/dev/null")
		if err != nil {
			break
		}
		held = append(held, f)
	}
	_, err := s.Open(d)
	_, actionErr := s.Action(d)
	_, putErr := s.PutBytes([]byte("other"))
	for _, f := range held {
		f.Close()
	}
	for _, err := range []error{err, actionErr, putErr} {
		if _, missed := errors.AsType[*Miss](err); missed || !errors.Is(err, unix.EMFILE) {
			t.Errorf("without descriptors: %v", err)
		}
	}
	nothingIncoming(t, s)
	has(t, s, "content")
	if b, err := s.Action(d); string(b) != "value" || err != nil {
		t.Errorf("record reads as %q, %v", b, err)
	}
	fmt.Println("no descriptors were left")
}
