package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestFaultsAreTold: a build that did not end is in its row and in the verdict, and
// takes nothing from a build that did.
func TestFaultsAreTold(t *testing.T) {
	lua, zlib := projects()[0], projects()[1]
	good := row{build: build{project: lua, target: targets()[0], family: "gcc"}, files: 68, identical: 68, took: 1500 * time.Millisecond}
	good.status.Jobs.Remote, good.status.Jobs.Local = 34, 2
	good.status.LocalReasons = map[string]int{"link": 2}
	bad := row{build: build{project: zlib, target: targets()[1], family: "clang"}}
	bad.fault("%v", errors.New("make: *** no"))

	var out strings.Builder
	printRow(&out, good)
	printRow(&out, bad)
	const want = "  68 of 68 files are identical; 34 remote, 0 cached, 2 local (link 2); 1.5 s\n" +
		"  0 of 0 files are identical; 0 remote, 0 cached, 0 local; 0.0 s\n" +
		"  NOT AS IT SHOULD BE: make: *** no\n"
	if out.String() != want {
		t.Errorf("rows are told as %q, want %q", out.String(), want)
	}
	if err := verdict([]row{good}); err != nil {
		t.Errorf("a good row is %v", err)
	}
	const fault = "1 things are not as they should be:\n  zlib clang riscv64-unknown-linux-gnu: make: *** no"
	if err := verdict([]row{good, bad}); err == nil || err.Error() != fault {
		t.Errorf("the verdict is %v, want %s", err, fault)
	}
}
