package config

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "1s": time.Second,
	} {
		if d, err := parseDuration(in); d != want || err != nil {
			t.Errorf("parseDuration(%q) = %v, %v", in, d, err)
		}
	}
	for _, in := range []string{"", "10", "10 m", "-1m", "0s", "5ns", "1d", "m", "99999999h"} {
		if d, err := parseDuration(in); err == nil || !strings.Contains(err.Error(), "such as 90s") {
			t.Errorf("parseDuration(%q) = %v, %v", in, d, err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"1K": 1 << 10, "512M": 512 << 20, "10G": 10 << 30, "1.5T": 3 << 39, "2GiB": 2 << 30, ".5M": 512 << 10,
	} {
		if n, err := parseSize(in); n != want || err != nil {
			t.Errorf("parseSize(%q) = %d, %v", in, n, err)
		}
	}
	for _, in := range []string{
		"", "10", "G", "10GB", "10g", "10 G", "-1G", "+1G", "1e3G", "0G", "0.0001K", "1.2.3G", "NaNG", "InfG",
		"0x1G", "9999999999T", "10iB", "1_0G",
	} {
		if n, err := parseSize(in); err == nil || !strings.Contains(err.Error(), "such as 512M") {
			t.Errorf("parseSize(%q) = %d, %v", in, n, err)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:0": "127.0.0.1:0", ":3634": ":3634", "[::1]:07": "[::1]:7", "localhost:3634": "localhost:3634",
		"unix:/run/s": "unix:/run/s", "off": "off",
	} {
		a, err := parseAddress(in)
		if a.String() != want || err != nil || a.Off() != (want == "off") {
			t.Errorf("parseAddress(%q) = %v, %v", in, a, err)
		}
	}
	for _, in := range []string{
		"", "3634", "127.0.0.1", "h:", "h:http", "h:-1", "h:65536", "::1:80", "*:80", "a b:80", "unix:run/s", "unix:", "Off",
		"tcp://h:1",
	} {
		var a Address
		if err := a.Set(in); err == nil || !strings.Contains(err.Error(), "unix:/PATH") {
			t.Errorf("parseAddress(%q) = %v, %v", in, a, err)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("10G")
	f.Add("1.5TiB")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseSize(s); err == nil && n <= 0 {
			t.Fatalf("parseSize(%q) = %d", s, n)
		}
	})
}
