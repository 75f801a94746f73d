package hostlist

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/toolchains"
)

// row is what a test says of a Host in a few words.
func row(h Host) string {
	var w []string
	add := func(ok bool, s string) {
		if ok {
			w = append(w, s)
		}
	}
	add(true, string(h.Kind)+" "+string(h.Network)+" "+h.Address())
	add(h.TLS, "tls")
	add(h.Slots > 0, "slots="+strconv.Itoa(h.Slots))
	add(h.Match != toolchains.None, "match="+h.Match.String())
	add(h.Lines, "lines")
	d := h.Distcc
	add(d.Command != "", "command="+d.Command)
	add(d.LZO, "lzo")
	add(d.CPP, "cpp")
	add(d.Auth, "auth="+d.Principal)
	add(d.Down, "down")
	return strings.Join(w, " ")
}

func TestParseEntries(t *testing.T) {
	tests := []struct{ in, want string }{
		{"grpc://h", "grpc tcp h:3634"},
		{"grpc://h:1/7", "grpc tcp h:1 slots=7"},
		{"grpc://h/7", "grpc tcp h:3634 slots=7"},
		{"grpcs://h.example.org:0443", "grpc tcp h.example.org:443 tls"},
		{"grpc://[::1]", "grpc tcp [::1]:3634"},
		{"grpc://[fe80::1%eth0]:5/2", "grpc tcp [fe80::1%eth0]:5 slots=2"},
		{"grpc://127.0.0.1:40123,debug=lines,match=identical", "grpc tcp 127.0.0.1:40123 match=identical lines"},
		{"grpc://h,debug=lines,debug=none,match=calibrated", "grpc tcp h:3634 match=calibrated"},
		{"unix:/run/x/s", "grpc unix unix:/run/x/s"},
		{"grpc+unix:///run/x/s,debug=lines", "grpc unix unix:/run/x/s lines"},
		{"reapi://engine:8980/64", "reapi tcp engine:8980 slots=64"},
		{"reapis://engine:443", "reapi tcp engine:443 tls"},
		{"ssh://me@box/4", "grpc ssh me@box slots=4"},
		{"ssh://box:2222", "grpc ssh box:2222"},

		{"localhost", "localhost tcp localhost slots=2"},
		{"localhost/5", "localhost tcp localhost slots=5"},
		{"localhost:3632", "distcc tcp localhost:3632 slots=4 lines"},
		{"localhost,lzo", "distcc tcp localhost:3632 slots=4 lines lzo"},
		{"localhost.localdomain", "distcc tcp localhost.localdomain:3632 slots=4 lines"},
		{"red", "distcc tcp red:3632 slots=4 lines"},
		{"red:4200/8", "distcc tcp red:4200 slots=8 lines"},
		{"red/8:4200", "distcc tcp red:4200 slots=8 lines"},
		{"red=8", "distcc tcp red:3632 slots=8 lines"},
		{"red/8:4200,lzo,cpp,auth=svc,down,debug=none", "distcc tcp red:4200 slots=8 command= lzo cpp auth=svc down"},
		{"[::1]:4200/3,auth", "distcc tcp [::1]:4200 slots=3 lines auth="},
		{"[::1]/3:4200", "distcc tcp [::1]:4200 slots=3 lines"},
		{"@box", "distcc ssh box slots=4 lines"},
		{"me@box/2:/opt/distccd,lzo", "distcc ssh me@box slots=2 lines command=/opt/distccd lzo"},
	}
	for _, tt := range tests {
		h, err := Parse(tt.in)
		if err != nil || len(h.Entries) != 1 {
			t.Errorf("Parse(%q) = %d entries, %v", tt.in, len(h.Entries), err)
			continue
		}
		want := strings.ReplaceAll(tt.want, " command= ", " ")
		if got := row(h.Entries[0]); got != want {
			t.Errorf("Parse(%q)\n got %s\nwant %s", tt.in, got, want)
		}
		if h.Entries[0].Word != tt.in {
			t.Errorf("Parse(%q): word %q", tt.in, h.Entries[0].Word)
		}
	}
}

func TestParseList(t *testing.T) {
	h, err := Parse(" --randomize\t--localslots=3 # grpc://commented\n#all\r\n--localslots_cpp/9 +mdns +zeroconf\nred grpc://blue#tail\n\n")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range h.Entries {
		words = append(words, e.Word)
	}
	h.Entries = nil
	want := List{Randomize: true, LocalSlots: 3, LocalSlotsCPP: 9, MDNS: true, Zeroconf: true}
	if !reflect.DeepEqual(h, want) || strings.Join(words, " ") != "red grpc://blue" {
		t.Errorf("got %+v with %q", h, words)
	}
	for _, empty := range []string{"", " \n\t", "# nothing"} {
		if h, err := Parse(empty); err != nil || !reflect.DeepEqual(h, List{}) {
			t.Errorf("Parse(%q) = %+v, %v", empty, h, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ in, says string }{
		{"red grpc:// blue", `"grpc://": the host's name is missing; expected grpc://HOST[:PORT][/SLOTS][,OPTION…]`},
		{"http://h", `"http://h": unknown scheme "http"; known are grpc, grpcs, grpc+unix, reapi, reapis, ssh`},
		{"grpc://h:0", `port "0" is not a number from 1 to 65535`},
		{"grpc://h:65536", `port "65536" is not`},
		{"grpc://h:", `port "" is not`},
		{"grpc://h/0", `slots "0" is not a number from 1 to 10000`},
		{"grpc://h/many", `slots "many" is not`},
		{"grpc://h/", `slots "" is not`},
		{"grpc://h/4/5", `slots "4/5" is not`},
		{"grpc://h/4:3634", `slots "4:3634" is not`},
		{"grpc://::1", "an IPv6 address goes in brackets: [::1]"},
		{"grpc://[::1", "is not an IPv6 address in brackets"},
		{"grpc://[1.2.3.4]", "is not an IPv6 address in brackets"},
		{"grpc://me@h", "the user cannot be read"},
		{"grpc://-oProxyCommand=x", "is not a host's name"},
		{"ssh://-oProxyCommand=x@h", "the user cannot be read"},
		{"grpc://h,lzo", `unknown option "lzo"; known are debug=lines, debug=none, match=identical, match=calibrated`},
		{"grpc://h,", `unknown option ""`},
		{"grpc://h,match=lines", `unknown option "match=lines"`},
		{"reapi://h", "the port is missing; expected reapi://HOST:PORT"},
		{"grpc+unix://run/s", "the path is not absolute; expected grpc+unix:///PATH"},
		{"unix:run/s", "the path is not absolute"},
		{"red,fast", `unknown option "fast"; known are lzo, cpp, auth, auth=NAME, down, debug=lines`},
		{"red,auth=", `unknown option "auth="`},
		{"red/0", `slots "0"`},
		{"red/x", `slots "x"`},
		{"red:http", `port "http" is not a number from 1 to 65535; expected HOST[:PORT][/SLOTS][,OPTION…], or grpc://HOST for a helper`},
		{"localhost/", `slots ""`},
		{"::1", "an IPv6 address goes in brackets"},
		{",lzo", "the host's name is missing"},
		{"me@", "expected [USER]@HOST"},
		{"-x@h", "expected [USER]@HOST"},
		{"me@-x", "expected [USER]@HOST"},
		{"me@[::1]", "put an IPv6 address in ssh's configuration"},
		{"-v", "is not a host's name"},
		{"--verbose", "expected --randomize"},
		{"--localslots=", `slots ""`},
		{"--localslots=-3", `slots "-3"`},
		{"+avahi", "expected --randomize"},
		{"h\x00st", "is not a host's name"},
		{strings.Repeat("a ", 1001), "1001 entries are over the limit of 1000"},
		{strings.Repeat(" ", 1<<17), "131072 bytes are over the limit"},
	}
	for _, tt := range tests {
		h, err := Parse(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("Parse(%.40q): %v\nwant %s", tt.in, err, tt.says)
		}
		if !reflect.DeepEqual(h, List{}) {
			t.Errorf("Parse(%.40q) failed and gives %+v", tt.in, h)
		}
	}
}

// FuzzParse checks that what was read reads the same again from its words, and
// that no address can be taken for an option.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"grpc://h:1/2,debug=lines", "grpcs://[::1]:3", "unix:/run/s", "grpc+unix:///s,match=identical",
		"reapi://e:8980", "ssh://a@b:2/3", "red/8:4200,lzo,cpp", "[::1]=3", "@h", "u@h/2:cmd,down",
		"localhost/4", "--randomize --localslots=3 +mdns", "# x\na b\tc",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := Parse(s)
		if err != nil {
			return
		}
		var words []string
		for _, e := range h.Entries {
			words = append(words, e.Word)
			if a := e.Address(); a == "" || a[0] == '-' || strings.ContainsAny(a, " \t\n\x00") {
				t.Fatalf("%q has the address %q", e.Word, a)
			}
			if e.Slots < 0 || e.Slots > MaxSlots {
				t.Fatalf("%q has %d slots", e.Word, e.Slots)
			}
		}
		again, err := Parse(strings.Join(words, " "))
		if err != nil || !reflect.DeepEqual(again.Entries, h.Entries) {
			t.Fatalf("%q reads as %+v, and its words as %+v, %v", s, h.Entries, again.Entries, err)
		}
	})
}
