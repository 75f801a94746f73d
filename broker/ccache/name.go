package ccache

import (
	"encoding/base32"
	"encoding/hex"
	"strings"
)

// The lengths of keys, in bytes. ccache's are of 20 today; the rest is room for a
// longer hash.
const (
	minKey = 16
	maxKey = 64
)

// ParseKey reads the part of a path that names an entry, in each way that ccache
// writes it, and returns the key in hex, which is one for all ways:
//
//	flat      a key
//	subdirs   a key with a slash after its first two characters
//	bazel     ac/ and 64 hex digits: a key of 20 bytes, and the first 12 of them again
//
// A key is hex digits, as ccache 4.14 writes it, or four of them and 18 bytes in
// base32hex, as 4.7 does. Nothing else is a name, so no path leads anywhere.
func ParseKey(path string) (key string, ok bool) {
	if digits, bazel := strings.CutPrefix(path, "ac/"); bazel && len(digits) == 64 {
		if digits[40:] == digits[:24] {
			digits = digits[:40]
		}
		return digits, isHex(digits)
	}
	if len(path) > 2 && path[2] == '/' {
		path = path[:2] + path[3:]
	}
	if len(path) == mixedKey {
		return parseMixed(path)
	}
	return path, len(path) >= 2*minKey && len(path) <= 2*maxKey && len(path)%2 == 0 && isHex(path)
}

// mixedKey is how long a key of 20 bytes is when the first two are in hex and the
// rest is in base32hex.
const mixedKey = 4 + 29

func parseMixed(s string) (key string, ok bool) {
	tail, err := mixed.DecodeString(s[4:])
	// The last digit has a bit to spare: each key has one name.
	if err != nil || mixed.EncodeToString(tail) != s[4:] {
		return "", false
	}
	return s[:4] + hex.EncodeToString(tail), isHex(s[:4])
}

var mixed = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
