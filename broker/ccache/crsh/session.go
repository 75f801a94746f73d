package crsh

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/crosscc/crosscc/broker/ccache"
)

// The words of the protocol. Integers are in the order of the host.
const (
	protocolVersion = 1

	requestGet    = 0 // KEY → ok VALUE | noop | err
	requestPut    = 1 // KEY FLAGS VALUE → ok | noop | err
	requestRemove = 2 // KEY → ok | noop | err
	requestStop   = 3 // → ok
	requestInfo   = 4 // → MSG COUNT MSG…
	requestExists = 5 // KEY → ok BOOL | err

	statusOK   = 0
	statusNoop = 1
	statusErr  = 2 // MSG

	putOverwrite = 1 // the flag
)

// capabilities are get, put and remove; info; exists.
var capabilities = [...]byte{0, 1, 2}

// messageTime bounds what is left of a request after its first byte, and the
// writing of an answer: the peer is a process of this machine.
const messageTime = time.Minute

// A session is one ccache's connection.
type session struct {
	conn   net.Conn
	in     *bufio.Reader
	remote *remote
	notes  []string
}

// An answer is what is said to one request.
type answer struct {
	head  []byte
	value io.ReadCloser // of size bytes, after head; nil is none
	size  int64
}

// run answers until ccache hangs up, breaks the protocol or says stop, which it
// reports. What goes wrong at the helper's is told to ccache.
func (s *session) run(ctx context.Context) (stop bool) {
	next := answer{head: append([]byte{protocolVersion, byte(len(capabilities))}, capabilities[:]...)}
	for s.send(next) == nil {
		request, err := s.in.ReadByte() // no limit: ccache waits for its compiler
		if err != nil || s.conn.SetReadDeadline(time.Now().Add(messageTime)) != nil {
			return false
		}
		if request == requestStop {
			_ = s.send(answer{head: []byte{statusOK}}) // who says stop need not wait for it
			return true
		}
		if next, err = s.answer(ctx, request); err != nil || s.conn.SetReadDeadline(time.Time{}) != nil {
			return false
		}
	}
	return false
}

// send writes an answer, and closes its value.
func (s *session) send(a answer) error {
	if a.value != nil {
		defer a.value.Close()
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(messageTime)); err != nil {
		return err
	}
	if _, err := s.conn.Write(a.head); err != nil || a.value == nil {
		return err
	}
	_, err := io.CopyN(s.conn, a.value, a.size)
	return err // ccache sees a value that is too short
}

// answer reads the rest of a request and does it. An error is ccache's, which gets
// no answer to it.
func (s *session) answer(ctx context.Context, request byte) (answer, error) {
	if request == requestInfo {
		return s.info(), nil
	}
	if request > requestExists {
		return answer{}, fmt.Errorf("request %d is not known", request)
	}
	key, err := s.key()
	if err != nil {
		return answer{}, err
	}
	switch request {
	case requestGet:
		return s.get(ctx, key), nil
	case requestPut:
		return s.put(ctx, key)
	case requestRemove:
		return done(s.remote.remove(ctx, key)), nil
	}
	return s.exists(ctx, key), nil
}

func (s *session) key() ([]byte, error) {
	n, err := s.in.ReadByte()
	if err != nil {
		return nil, err
	}
	key := make([]byte, n)
	_, err = io.ReadFull(s.in, key)
	return key, err
}

func (s *session) get(ctx context.Context, key []byte) answer {
	value, size, err := s.remote.get(ctx, key)
	switch {
	case err != nil:
		return done(err)
	case value == nil:
		return answer{head: []byte{statusNoop}}
	}
	return answer{head: binary.NativeEndian.AppendUint64([]byte{statusOK}, uint64(size)), value: value, size: size}
}

func (s *session) put(ctx context.Context, key []byte) (answer, error) {
	var head [9]byte // flags and the value's length
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return answer{}, err
	}
	size := binary.NativeEndian.Uint64(head[1:])
	if size > ccache.MaxValue {
		return answer{}, fmt.Errorf("a value of %d bytes, of at most %d", size, ccache.MaxValue)
	}
	var value bytes.Buffer // grows as the bytes come, not as the length says
	if _, err := io.CopyN(&value, s.in, int64(size)); err != nil {
		return answer{}, err
	}
	if head[0]&putOverwrite == 0 {
		switch there, err := s.remote.has(ctx, key); {
		case err != nil:
			return done(err), nil
		case there:
			return answer{head: []byte{statusNoop}}, nil
		}
	}
	return done(s.remote.put(ctx, key, value.Bytes())), nil
}

func (s *session) exists(ctx context.Context, key []byte) answer {
	there, err := s.remote.has(ctx, key)
	switch {
	case err != nil:
		return done(err)
	case there:
		return answer{head: []byte{statusOK, 1}}
	}
	return answer{head: []byte{statusOK, 0}}
}

func (s *session) info() answer {
	notes := s.notes
	if err := s.remote.trouble(); err != nil {
		notes = append(notes[:len(notes):len(notes)], err.Error())
	}
	notes = notes[:min(len(notes), 255)]
	head := append(message(identity()), byte(len(notes)))
	for _, note := range notes {
		head = append(head, message(note)...)
	}
	return answer{head: head}
}

// done is ok, or an error in words.
func done(err error) answer {
	if err == nil {
		return answer{head: []byte{statusOK}}
	}
	return answer{head: append([]byte{statusErr}, message(err.Error())...)}
}

// message is a text of at most 255 bytes, on one line, after its length.
func message(text string) []byte {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	for len(text) > 255 {
		_, last := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-last]
	}
	return append([]byte{byte(len(text))}, text...)
}
