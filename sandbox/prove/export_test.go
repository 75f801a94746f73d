package prove

// Attempts are what the probe tries, each in words.
func Attempts() (all []string) {
	for _, a := range attempts() {
		all = append(all, a.what)
	}
	return all
}
