package table

import (
	"strings"
	"testing"
)

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 9.999: "10.0", 99.96: "100", -12.34: "-12.3"} {
		if got := Figure(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestWrite(t *testing.T) {
	var b strings.Builder
	Write(&b, []string{"a", "client"}, [][]string{{"1–2", "x"}, {"3", "**y**"}})
	const want = "" +
		"| a   | client |\n" +
		"|-----|--------|\n" +
		"| 1–2 | x      |\n" +
		"| 3   | **y**  |\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
