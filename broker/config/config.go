// Package config reads what people write: crosscc.toml of a client, crossccd.toml
// of a helper, .crosscc.toml of a project. Defaults give way to the file, the file
// to the environment (CROSSCC_*), and that to flags, which the commands set on what
// they get from here. Nothing unknown is passed over: each error names the file, the
// line and the key.
//
// A newcomer starts with Client and LoadClient, Server and LoadServer; a new key
// is one row in clientSettings or serverSettings. Host lists are package hostlist.
package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFile bounds a configuration file, in bytes. The longest host list that is
// allowed fits many times.
const maxFile = 1 << 20

// A setting is one key of a configuration file, and knows where its value goes. set
// gets the value as go-toml decodes it to an any, or an envText.
type setting struct {
	name string // as in the file; toolchains.search is search below [toolchains]
	env  string // the variable that overrides it, or ""
	text string // one sentence for docs/configuration.md: meaning and default
	set  func(value any) error
}

// An envText is a value from the environment, where everything is text.
type envText string

// applyFile sets what doc says, and nothing but what settings know. name is the
// file's, for errors.
func applyFile(name string, doc []byte, settings []setting) error {
	if len(doc) > maxFile {
		return fmt.Errorf("%s: %d bytes are over the limit of %d", name, len(doc), maxFile)
	}
	var tree map[string]any
	if err := toml.Unmarshal(doc, &tree); err != nil {
		return syntaxError(name, err)
	}
	values := make(map[string]any)
	flatten("", tree, settings, values)
	lines := linesOf(doc)
	var errs []error
	for key, value := range values {
		err := apply(key, value, settings)
		if rows, ok := errors.AsType[rowErrors](err); ok {
			for _, r := range rows {
				errs = append(errs, &lineError{name: name, line: lineOf(lines, r.key), err: fmt.Errorf("%s: %w", key, r.err)})
			}
		} else if err != nil {
			errs = append(errs, &lineError{name: name, line: lineOf(lines, key), err: err})
		}
	}
	return firstOf(errs)
}

// maxRows bounds a list of tables.
const maxRows = 1000

// rowErrors are what is wrong in a list of tables, by the keys where it stands.
type rowErrors []struct {
	key string // image[0].target
	err error
}

func (e rowErrors) Error() string { return e[0].err.Error() }

// setRows reads a list of tables, [[name]]. row makes the settings of one more of
// them, and what is checked when it is read.
func setRows(name string, value any, row func() (fields []setting, done func() error)) error {
	var errs rowErrors
	fail := func(key string, err error) {
		errs = append(errs, struct {
			key string
			err error
		}{key, err})
	}
	list, ok := value.([]any)
	if !ok || len(list) > maxRows {
		return fmt.Errorf("expected at most %d tables [[%s]], not %s", maxRows, name, kindOf(value))
	}
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", name, i)
		table, ok := item.(map[string]any)
		if !ok {
			return fmt.Errorf("expected tables [[%s]], not %s", name, kindOf(item))
		}
		fields, done := row()
		before := len(errs)
		for key, v := range table {
			if err := apply(key, v, fields); err != nil {
				fail(at+"."+key, err)
			}
		}
		if len(errs) > before {
			continue
		}
		if err := done(); err != nil {
			fail(at, err)
		}
	}
	if errs == nil {
		return nil
	}
	return errs
}

func apply(key string, value any, settings []setting) error {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == key })
	if i < 0 {
		return fmt.Errorf("unknown key %q; known are %s", key, names(settings))
	}
	if err := settings[i].set(value); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// applyEnv sets what the environment says. A variable that is empty is not set.
func applyEnv(getenv func(string) string, settings []setting) error {
	for _, s := range settings {
		if s.env == "" {
			continue
		}
		if v := getenv(s.env); v != "" {
			if err := s.set(envText(v)); err != nil {
				return fmt.Errorf("%s: %w", s.env, err)
			}
		}
	}
	return nil
}

// flatten turns tables into dotted keys, as far as a setting lies below them: an
// unknown table is one unknown key.
func flatten(prefix string, tree map[string]any, settings []setting, into map[string]any) {
	for k, v := range tree {
		key := prefix + k
		known := slices.ContainsFunc(settings, func(s setting) bool { return strings.HasPrefix(s.name, key+".") })
		if sub, ok := v.(map[string]any); ok && known {
			flatten(key+".", sub, settings, into)
			continue
		}
		into[key] = v
	}
}

// linesOf finds the line of each key and table of doc, which is known to parse. The
// tables of a list are NAME[0], NAME[1] and so on.
func linesOf(doc []byte) map[string]int {
	lines := make(map[string]int)
	var p unstable.Parser
	p.Reset(doc)
	table, rows := "", make(map[string]int)
	for p.NextExpression() {
		e := p.Expression()
		key, line := "", 0
		for it := e.Key(); it.Next(); {
			key += "." + string(it.Node().Data)
			if line == 0 {
				line = p.Shape(it.Node().Raw).Start.Line
			}
		}
		key = strings.TrimPrefix(table+key, ".")
		if e.Kind != unstable.KeyValue {
			key = strings.TrimPrefix(key, table+".")
			table = key
		}
		if e.Kind == unstable.ArrayTable {
			table = fmt.Sprintf("%s[%d]", key, rows[key])
			rows[key]++
			lines[table] = line
			if rows[key] > 1 {
				continue // the list begins at its first
			}
		}
		lines[key] = line
	}
	return lines
}

// lineOf is the line of key or of the inline table that it stands in.
func lineOf(lines map[string]int, key string) int {
	for {
		if n, ok := lines[key]; ok {
			return n
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return 1
		}
		key = key[:i]
	}
}

// A lineError is an error with its place in a file.
type lineError struct {
	name string
	line int // from 1
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("%s:%d: %v", e.name, e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// firstOf is the error that stands first in its file: people mend from the top.
func firstOf(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	line := func(err error) int {
		if e, ok := errors.AsType[*lineError](err); ok {
			return e.line
		}
		return 0
	}
	return slices.MinFunc(errs, func(a, b error) int {
		if d := line(a) - line(b); d != 0 {
			return d
		}
		return strings.Compare(a.Error(), b.Error())
	})
}

func syntaxError(name string, err error) error {
	d, ok := errors.AsType[*toml.DecodeError](err)
	if !ok {
		return fmt.Errorf("%s: %w", name, err)
	}
	line, _ := d.Position()
	return &lineError{name: name, line: line, err: errors.New(strings.TrimPrefix(d.Error(), "toml: "))}
}

func names(settings []setting) string {
	all := make([]string, len(settings))
	for i, s := range settings {
		all[i] = s.name
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
