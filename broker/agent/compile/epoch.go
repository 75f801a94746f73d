package compile

import (
	"strconv"

	"github.com/crosscc/crosscc/argv"
)

// maxEpoch is the last second of the year 9999, gcc's own bound.
const maxEpoch = 253402300799

// Epoch is the date that stands for now, where this compiler honours that: gcc does since
// 7, clang since 16.
func (c *Compile) Epoch() (string, bool) {
	value := c.Session.Getenv("SOURCE_DATE_EPOCH")
	honoured := 7
	if c.Toolchain.Family == argv.Clang {
		honoured = 16
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil || n > maxEpoch || c.Major() < honoured {
		return "", false
	}
	return value, true
}
