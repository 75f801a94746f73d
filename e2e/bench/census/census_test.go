package census

import (
	"encoding/binary"
	"os"
	"testing"
)

// message is one of the kernel's, as linux/cn_proc.h has it: the words of the event
// stand behind the headers.
func message(kind uint32, words ...int) []byte {
	e := binary.NativeEndian
	b := make([]byte, headerSize+eventSize)
	e.PutUint32(b[headerSize:], kind)
	for _, w := range words {
		b = e.AppendUint32(b, uint32(w))
	}
	return b
}

func TestEvents(t *testing.T) {
	const root, child, grandchild, stranger = 10, 11, 12, 20
	c := &Census{known: map[int]bool{}, roots: map[int]bool{}, count: Count{Programs: map[string]int{}}, done: make(chan struct{})}
	c.Add(root)
	for _, b := range [][]byte{
		message(procFork, root, root, child, child),
		message(procFork, child, child, 13, child), // a thread
		message(procFork, child, child, grandchild, grandchild),
		message(procFork, stranger, stranger, 21, 21),
		message(procExec, root, root), // not born of anything here
		message(procExec, 21, 21),
		message(procFork, root, root), // too short
		message(procFork),
		{1, 2, 3},
		nil,
	} {
		c.event(b)
	}
	if n := c.End(); n.Born != 2 || len(n.Programs) != 0 || n.Missed != 0 {
		t.Errorf("counted %+v, want 2 born and nothing else", n)
	}
}

func TestExecIsNamed(t *testing.T) {
	const root = 1 << 30 // no process has this number
	c := &Census{known: map[int]bool{}, roots: map[int]bool{}, count: Count{Programs: map[string]int{}}, done: make(chan struct{})}
	c.Add(root)
	c.event(message(procFork, root, root, os.Getpid(), os.Getpid()))
	c.event(message(procExec, os.Getpid(), os.Getpid()))
	n := c.End()
	if len(n.Programs) != 1 || n.Programs[""] != 0 {
		t.Errorf("counted %+v, want this program by its name", n)
	}
}
