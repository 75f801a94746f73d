package broker

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestBlobBytes(t *testing.T) {
	content := []byte("int a;\n")
	d := DigestOf(content)
	broken := errors.New("input/output error")
	opened := func(r io.Reader) Blob {
		return FileBlob(d, func() (io.ReadCloser, error) { return io.NopCloser(r), nil })
	}
	for name, tt := range map[string]struct {
		blob    Blob
		changed bool
		limit   int64
	}{
		"in memory":      {BytesBlob(content), false, 7},
		"as it was":      {opened(bytes.NewReader(content)), false, 7},
		"grown since":    {opened(bytes.NewReader(append(content, "int b;"...))), false, 7}, // what was looked at is there
		"other content":  {opened(bytes.NewReader([]byte("int b;\n"))), true, 7},
		"shorter":        {opened(bytes.NewReader(content[:3])), true, 7},
		"empty":          {opened(bytes.NewReader(nil)), true, 7},
		"can't be read":  {opened(io.MultiReader(bytes.NewReader(content[:3]), failing{broken})), true, 7},
		"gone":           {PathBlob(d, filepath.Join(t.TempDir(), "a.c")), true, 7},
		"over the limit": {BytesBlob(content), false, 6},
	} {
		data, err := tt.blob.Bytes(tt.limit)
		changed, ok := errors.AsType[*ChangedError](err)
		switch {
		case ok != tt.changed || ok && changed.Digest != d:
			t.Errorf("%s: %v, changed %t", name, err, ok)
		case !ok && (err != nil) != (tt.limit < 7), err == nil && !bytes.Equal(data, content):
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	_, err := PathBlob(d, "/nowhere/a.c").Bytes(7)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v does not say why", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
