package inner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Begin makes a file in the directory of outputs, with what content has from where it
// stands. It is the programs' own, who may write to it and put another in its place; a
// helper that is not root's could make no such file.
func (c *Conn) Begin(name string, content *os.File) error {
	return c.ask(message{Kind: begin, Places: []string{name}}, content)
}

func (s *server) begin(places []string, content *os.File) error {
	if len(places) != 1 || s.Out == "" || filepath.Base(places[0]) != places[0] {
		return fmt.Errorf("%q can't be begun", places)
	}
	return s.as(func() error {
		name := filepath.Join(s.Root, s.Out, places[0])
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Chmod(0o644), f.Close()) // whatever the umask is
	})
}
