package words

import "testing"

func TestQuoteWord(t *testing.T) {
	for in, want := range map[string]string{
		"": "''", "-O2": "-O2", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "a.o": "a.o", "~": "'~'", "ü": "'ü'",
	} {
		if got := QuoteWord(in); got != want {
			t.Errorf("QuoteWord(%q) = %s, want %s", in, got, want)
		}
	}
}
