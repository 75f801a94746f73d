package words

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// A Page takes what one run of crossctl prints.
type Page struct {
	JSON  bool         // print JSON
	Aside io.Writer    // stderr
	out   bytes.Buffer // what goes to stdout, at once and only at the end
}

// Write adds text as it is.
func (p *Page) Write(text []byte) (int, error) { return p.out.Write(text) }

// Print adds v as JSON, or as show lays it out.
func (p *Page) Print(v any, show func(io.Writer)) error {
	if !p.JSON {
		show(&p.out)
		return nil
	}
	enc := json.NewEncoder(&p.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Note prints, at once, a line that is neither asked for nor an error.
func (p *Page) Note(text string) { fmt.Fprintf(p.Aside, "crossctl: note: %s\n", Plain(text)) }

// Flush writes what was asked for. A reader that went away or a full disk is
// an error, so that no script takes half an answer for a whole one.
func (p *Page) Flush(stdout io.Writer) error {
	if _, err := stdout.Write(p.out.Bytes()); err != nil {
		return fmt.Errorf("write stdout: %w", err)
	}
	return nil
}
