package compile

import (
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains"
)

func TestEpoch(t *testing.T) {
	for _, tt := range []struct {
		family       argv.Family
		version, env string
		want         bool
	}{
		{argv.GCC, "12.2.0", "SOURCE_DATE_EPOCH=0", true}, {argv.GCC, "12.2.0", "SOURCE_DATE_EPOCH=253402300799", true},
		{argv.GCC, "12.2.0", "SOURCE_DATE_EPOCH=253402300800", false}, {argv.GCC, "12.2.0", "SOURCE_DATE_EPOCH=", false},
		{argv.GCC, "12.2.0", "SOURCE_DATE_EPOCH=+1", false}, {argv.GCC, "12.2.0", "", false}, {argv.GCC, "6.3.0", "SOURCE_DATE_EPOCH=0", false},
		{argv.Clang, "14.0.6", "SOURCE_DATE_EPOCH=0", false}, {argv.Clang, "16.0.0", "SOURCE_DATE_EPOCH=0", true},
	} {
		c := &Compile{
			Session:   &session.Session{Client: &local.Client{Request: local.Request{Env: strings.Fields(tt.env)}}},
			Toolchain: toolchains.Toolchain{Identity: toolchains.Identity{Family: tt.family, Version: tt.version}},
		}
		if _, ok := c.Epoch(); ok != tt.want {
			t.Errorf("%s %s, %s: %v", tt.family, tt.version, tt.env, ok)
		}
	}
}
