package local

import (
	"slices"
	"testing"
)

func TestListed(t *testing.T) {
	environ := []string{"PATH=/bin", "CROSSCC_HOSTS=a", "LC_TIME=C", "LANG=C", "MAKEFLAGS=-j", "AWS_SECRET=x", "PATH=/second",
		"CROSSCC", "XLC_ALL=1", "MACOSX_DEPLOYMENT_TARGET=11", "SOURCE_DATE_EPOCH=", "_CROSSCC_LEVEL=1", "SOURCE_DATE_EPOCH=2", "=C:", ""}
	want := []string{"PATH=/bin", "CROSSCC_HOSTS=a", "LC_TIME=C", "LANG=C", "MACOSX_DEPLOYMENT_TARGET=11", "SOURCE_DATE_EPOCH="}
	if got := Listed(environ); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestVariables(t *testing.T) {
	seen := make(map[string]bool)
	for _, row := range Variables() {
		if row.Reason == "" || seen[row.Name] {
			t.Errorf("%q: no reason, or twice", row.Name)
		}
		seen[row.Name] = true
	}
}

func TestGetenvSetenv(t *testing.T) {
	environ := []string{"A=1", "AB=2", "A=3", "E="}
	for name, want := range map[string]string{"A": "1", "AB": "2", "E": "", "B": "", "": ""} {
		if got := Getenv(environ, name); got != want {
			t.Errorf("Getenv(%q) = %q, want %q", name, got, want)
		}
	}
	if got, want := Setenv(environ, "A=9", "AB", "C=1"), []string{"E=", "A=9", "C=1"}; !slices.Equal(got, want) {
		t.Errorf("Setenv = %q, want %q", got, want)
	}
}
