package session

import "testing"

// The helper's compiler gets a locale that prints alike everywhere, and the
// agent knows when the client's is another.
func TestLocale(t *testing.T) {
	for _, tc := range []struct {
		env    map[string]string
		locale string
		exact  bool
	}{
		{nil, "C", true},
		{map[string]string{"LANG": "C"}, "C", true},
		{map[string]string{"LANG": "POSIX"}, "C", true},
		{map[string]string{"LANG": "C.UTF-8"}, "C.UTF-8", true},
		{map[string]string{"LANG": "C.utf8"}, "C.UTF-8", true},
		{map[string]string{"LANG": "en_US.UTF-8"}, "C", false},
		{map[string]string{"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "C", true},
		{map[string]string{"LANG": "C.UTF-8", "LC_MESSAGES": "de_DE.UTF-8"}, "C", false},
		{map[string]string{"LANG": "C.UTF-8", "LC_CTYPE": "C"}, "C", false}, // other quotes than either
		{map[string]string{"LANG": "C.UTF-8", "LANGUAGE": "de"}, "C.UTF-8", false},
		{map[string]string{"LANG": "C", "LANGUAGE": "de"}, "C", true},
		{map[string]string{"LC_ALL": "", "LANG": "C.UTF-8"}, "C.UTF-8", true},
	} {
		locale, exact := localeOf(func(k string) string { return tc.env[k] }, func() bool { return true })
		if locale != tc.locale || exact != tc.exact {
			t.Errorf("%v: got %s %t, want %s %t", tc.env, locale, exact, tc.locale, tc.exact)
		}
	}
}

// A locale that is named but not installed is C at home.
func TestLocaleNotInstalled(t *testing.T) {
	locale, exact := localeOf(func(string) string { return "C.UTF-8" }, func() bool { return false })
	if locale != "C" || !exact {
		t.Errorf("got %s %t, want C true", locale, exact)
	}
}
