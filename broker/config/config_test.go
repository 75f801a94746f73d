package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/toolchains"
)

// files is a client's root in a test.
type files map[string]string

func (f files) read(name string) ([]byte, error) {
	s, ok := f[name]
	switch {
	case !ok:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case s == "forbidden":
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return []byte(s), nil
}

func env(words ...string) func(string) string {
	return func(name string) string {
		for _, w := range words {
			if v, ok := strings.CutPrefix(w, name+"="); ok {
				return v
			}
		}
		return ""
	}
}

func TestLoadClientDefaults(t *testing.T) {
	got, err := LoadClient(files{}.read, env(), nil)
	want := Client{Match: toolchains.Calibrated, Idle: 10 * time.Minute, LogLevel: "info", Packs: true, VerifyCalibrated: verifyCalibrated}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLoadClientFile(t *testing.T) {
	doc := `
# a comment
hosts = ["grpc://a,match=calibrated", "b/3 # slow", "c"]
match = "identical"
local_slots = 3
idle = "90s"
log_level = "debug"
native_params = "drop"
packs = true
`
	got, err := LoadClient(files{clientFile: doc}.read, env(), nil)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := hostlist.Parse("grpc://a,match=calibrated b/3,match=identical c,match=identical")
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range []string{"grpc://a,match=calibrated", "b/3", "c"} {
		hosts.Entries[i].Word = w
	}
	want := Client{
		Hosts: hosts, HostsFrom: clientFile, Match: toolchains.Identical, LocalSlots: 3,
		Idle: 90 * time.Second, LogLevel: "debug", DropNativeParams: true, Packs: true, VerifyCalibrated: verifyCalibrated,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLoadClientEnvironmentWins(t *testing.T) {
	doc := "hosts = 'a'\nmatch = 'identical'\nlocal_slots = 3\nidle = '5m'\nlog_level = 'warn'\nnative_params = 'drop'\n"
	got, err := LoadClient(files{"/my/own.toml": doc}.read, env("CROSSCC_CONFIG=/my/own.toml",
		"CROSSCC_HOSTS=grpc://e", "CROSSCC_MATCH=calibrated", "CROSSCC_LOCAL_SLOTS=7", "CROSSCC_IDLE=2m",
		"CROSSCC_LOG_LEVEL=trace", "CROSSCC_NATIVE_PARAMS=keep", "CROSSCC_PACKS=0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Hosts.Entries) != 1 || got.Hosts.Entries[0].Word != "grpc://e" || got.HostsFrom != "CROSSCC_HOSTS" {
		t.Errorf("hosts %+v from %s", got.Hosts.Entries, got.HostsFrom)
	}
	got.Hosts, got.HostsFrom = hostlist.List{}, ""
	want := Client{Match: toolchains.Calibrated, LocalSlots: 7, Idle: 2 * time.Minute, LogLevel: "trace", Packs: false, VerifyCalibrated: verifyCalibrated}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLoadClientHostsFrom(t *testing.T) {
	all := files{clientFile: "", "/etc/distcc/hosts": "etc", "/home/u/.distcc/hosts": "home", "/d/hosts": "dir", "/bare.toml": "hosts = []"}
	tests := []struct {
		env         []string
		from, words string
	}{
		{nil, "/etc/distcc/hosts", "etc"},
		{[]string{"HOME=/home/u"}, "/home/u/.distcc/hosts", "home"},
		{[]string{"HOME=/home/u", "DISTCC_DIR=/d"}, "/d/hosts", "dir"},
		{[]string{"HOME=relative", "DISTCC_DIR=/nothing"}, "/etc/distcc/hosts", "etc"},
		{[]string{"HOME=/home/u", "DISTCC_HOSTS=v --localslots=3"}, "DISTCC_HOSTS", "v"},
		{[]string{"CROSSCC_HOSTS=x", "DISTCC_HOSTS=v"}, "CROSSCC_HOSTS", "x"},
		{[]string{"CROSSCC_HOSTS=#none", "DISTCC_HOSTS=v"}, "CROSSCC_HOSTS", ""},
		{[]string{"CROSSCC_CONFIG=/bare.toml", "DISTCC_HOSTS=v"}, "/bare.toml", ""},
	}
	for _, tt := range tests {
		c, err := LoadClient(all.read, env(tt.env...), nil)
		var words []string
		for _, h := range c.Hosts.Entries {
			words = append(words, h.Word)
		}
		if err != nil || c.HostsFrom != tt.from || strings.Join(words, " ") != tt.words {
			t.Errorf("%q: hosts %q from %q, %v", tt.env, words, c.HostsFrom, err)
		}
		if tt.from == "DISTCC_HOSTS" && c.LocalSlots != 3 {
			t.Errorf("--localslots=3 gives %d local slots", c.LocalSlots)
		}
	}
}

func TestLoadClientErrors(t *testing.T) {
	tests := []struct{ doc, env, says string }{
		{"\n\nhots = 'a'\n", "", clientFile + `:3: unknown key "hots"; known are hosts, idle, local_slots, log_level, match`},
		{"[helper]\nhosts = 'a'", "", clientFile + `:1: unknown key "helper"`},
		{"[[hosts]]\nx = 1", "", clientFile + ":1: hosts: item 1: expected a text in quotes, not a table"},
		{"idle = '5m'\nhosts = 'a", "", clientFile + ":2: "},
		{"idle = '5m'\nidle = '6m'", "", clientFile + ":2: "},
		{"idle = '1m'\nhosts = 'grpc://'", "", clientFile + `:2: hosts: host list: "grpc://": the host's name is missing`},
		{"hosts = [\n'a', 3]", "", clientFile + ":1: hosts: item 2: expected a text in quotes, not 3"},
		{"hosts = true", "", clientFile + ":1: hosts: expected a text in quotes, not true"},
		{"match = 'lines'", "", clientFile + `:1: match: "lines" is none of identical, calibrated`},
		{"local_slots = -1", "", clientFile + ":1: local_slots: -1 is not between 0 and 10000"},
		{"local_slots = 99999999999999999999", "", clientFile + ":1: "},
		{"local_slots = '4'", "", clientFile + `:1: local_slots: expected a whole number, not "4"`},
		{"local_slots = 1.5", "", clientFile + ":1: local_slots: expected a whole number, not 1.5"},
		{"idle = 10", "", clientFile + `:1: idle: expected a text in quotes, not 10; write the unit too: "10m"`},
		{"idle = '10'", "", clientFile + `:1: idle: "10" is not a time of at least a second, such as 90s`},
		{"idle = 1979-05-27", "", clientFile + ":1: idle: expected a text in quotes, not a date or time"},
		{"log_level = 'loud'\nidle = 'x'", "", clientFile + `:1: log_level: "loud" is none of error, warn, info, debug, trace`},
		{"native_params = 'some'", "", clientFile + `:1: native_params: "some" is none of keep, drop`},
		{"forbidden", "", "configuration " + clientFile + ": open " + clientFile + ": permission denied"},
		{"", "CROSSCC_CONFIG=/no/such", "configuration /no/such: open /no/such: file does not exist"},
		{"", "CROSSCC_CONFIG=x.toml", `CROSSCC_CONFIG: "x.toml" is not an absolute path`},
		{"", "CROSSCC_HOSTS=http://a", `CROSSCC_HOSTS: host list: "http://a": unknown scheme`},
		{"", "CROSSCC_LOCAL_SLOTS=many", `CROSSCC_LOCAL_SLOTS: expected a whole number, not "many"`},
		{"", "CROSSCC_IDLE=10", `CROSSCC_IDLE: "10" is not a time`},
		{"", "DISTCC_HOSTS=red/x", `DISTCC_HOSTS: host list: "red/x": slots "x"`},
		{"", "DISTCC_DIR=/bad", `/bad/hosts: host list: "a,b": unknown option "b"`},
		{"", "DISTCC_DIR=/closed", "/closed/hosts: open /closed/hosts: permission denied"},
		{strings.Repeat(" ", maxFile+1), "", "over the limit of 1048576"},
	}
	for _, tt := range tests {
		root := files{clientFile: tt.doc, "/bad/hosts": "a,b", "/closed/hosts": "forbidden"}
		c, err := LoadClient(root.read, env(tt.env), nil)
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q %s: %v\nwant %s", tt.doc, tt.env, err, tt.says)
		}
		if !reflect.DeepEqual(c, Client{}) {
			t.Errorf("%.60q %s failed and gives %+v", tt.doc, tt.env, c)
		}
	}
}

func write(t *testing.T, doc string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "crossccd.toml")
	if err := os.WriteFile(name, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLoadServer(t *testing.T) {
	got, err := LoadServer(write(t, ""))
	want := Server{GRPC: Address{"127.0.0.1:3634"}, Sandbox: "bwrap", CacheSize: 10 << 30, ImagesSize: 40 << 30}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("defaults are %+v, %v", got, err)
	}
	got, err = LoadServer(write(t, `
grpc = ":4000"
distcc = "127.0.0.1:0"
http = "unix:/run/h"
stats = "off"
allow = ["10.0.0.0/8", "::1"]
state = "/srv/x/"
jobs = 12
sandbox = "none"
cache_size = "1.5G"
images_size = "1T"
packs = true
[toolchains]
search = ["/usr", "/opt/x-tools/"]
`))
	want = Server{
		GRPC: Address{":4000"}, Distcc: Address{"127.0.0.1:0"}, HTTP: Address{"unix:/run/h"},
		Allow: []string{"10.0.0.0/8", "::1"}, State: "/srv/x", Jobs: 12, Sandbox: "none",
		CacheSize: 3 << 29, ImagesSize: 1 << 40, Packs: true, Search: []string{"/usr", "/opt/x-tools"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	got, err = LoadServer(write(t, "grpc = 'off'\ntoolchains.search = []"))
	if err != nil || !got.GRPC.Off() || got.Search == nil {
		t.Errorf("got %+v, %v, want no door and an empty search", got, err)
	}
}

func TestLoadServerErrors(t *testing.T) {
	tests := []struct{ doc, says string }{
		{"jobs = 4\ngrcp = 'off'", `:2: unknown key "grcp"; known are allow, cache_size, distcc, grpc,`},
		{"[toolchains]\nsearch = ['/usr']\nserach = []", `:3: unknown key "toolchains.serach"`},
		{"toolchains = { search = 'x' }", ":1: toolchains.search: expected a list of texts"},
		{"jobs = 1\n[other]\nx = 1", `:2: unknown key "other"`},
		{"toolchains = 3", `:1: unknown key "toolchains"`},
		{"grpc = '3634'", `:1: grpc: address "3634": expected HOST:PORT (port 0 picks one), unix:/PATH or off`},
		{"grpc = 3634", ":1: grpc: expected a text in quotes, not 3634"},
		{"allow = '10.0.0.0/8'", `:1: allow: expected a list of texts, not "10.0.0.0/8"`},
		{"state = 'here'", `:1: state: "here" is not an absolute path`},
		{"sandbox = 'chroot'", `:1: sandbox: "chroot" is none of bwrap, docker, none`},
		{"cache_size = 10", `:1: cache_size: expected a text in quotes, not 10; write the unit too: "10G"`},
		{"cache_size = '10'", `:1: cache_size: "10" is not a size such as 512M`},
		{"cache_size = '4K'", `:1: cache_size: "4K" is less than 1M`},
		{"[toolchains]\nsearch = ['usr']", `:2: toolchains.search: "usr" is not an absolute path`},
		{"[toolchains]\nsearch = ['/usr:/opt']", `:2: toolchains.search: "/usr:/opt" has a colon`},
		{"packs = 1", ":1: packs: expected true or false"},
		{"jobs = 1\n= 3", ":2: "},
	}
	for _, tt := range tests {
		name := write(t, tt.doc)
		_, err := LoadServer(name)
		if err == nil || !strings.Contains(err.Error(), name+tt.says) {
			t.Errorf("%q: %v\nwant %s", tt.doc, err, tt.says)
		}
	}
	if _, err := LoadServer("/no/such.toml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := LoadServer(t.TempDir()); err == nil {
		t.Error("a directory is read as a configuration")
	}
}

// TestKeys keeps the tables fit to be documentation.
func TestKeys(t *testing.T) {
	seen := make(map[string]bool)
	for file, keys := range map[string][]setting{clientFile: clientSettings(new(Client)), serverFile: serverSettings(new(Server)), "[[image]]": imageSettings(new(Image))} {
		for _, k := range keys {
			name := file + " " + k.name
			if k.name == "" || !strings.HasSuffix(k.text, ".") || seen[name] || seen[k.env] && k.env != "" {
				t.Errorf("bad row %+v", k)
			}
			seen[name], seen[k.env] = true, true
		}
	}
	if n := len(slices.Collect(maps.Keys(seen))); n < 20 {
		t.Errorf("only %d names", n)
	}
}

func FuzzClientFile(f *testing.F) {
	f.Add("hosts = ['a']\n[x]\ny.z = 1")
	f.Add("a.b = 1\n[a]\nc = {d = 2}\n[[e]]\nf = 3")
	f.Fuzz(func(t *testing.T, doc string) {
		_, err := LoadClient(files{clientFile: doc}.read, env(), nil)
		if err != nil && strings.Contains(err.Error(), "\n") && !strings.Contains(doc, "\n") {
			t.Fatalf("%q: error of several lines: %v", doc, err)
		}
	})
}
