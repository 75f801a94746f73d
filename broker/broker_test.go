package broker

import "testing"

func TestHidden(t *testing.T) {
	for name, want := range map[string]bool{
		"/": true, "/usr": true, "/usr/src/linux": true, "/tmp/x": true, "/.crosscc/a": true, "/etc/ld.so.preload": true,
		"/usrlocal": false, "/home/u/usr": false, "/root/x": false, "/work": false,
	} {
		if got := Hidden(name); got != want {
			t.Errorf("Hidden(%s) = %t, want %t", name, got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	good := func() *Job {
		return &Job{Name: "gcc", Dir: "/work", Outputs: []string{"a.o"}, Env: []string{"A=1", "B=2"},
			Root: new(Dir)}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Job){
		"no name":              func(j *Job) { j.Name = "" },
		"a path for a name":    func(j *Job) { j.Name = "/bin/gcc" },
		"relative directory":   func(j *Job) { j.Dir = "work" },
		"unclean directory":    func(j *Job) { j.Dir = "/work/../etc" },
		"too many words":       func(j *Job) { j.Args = make([]string, MaxArgs+1) },
		"no output":            func(j *Job) { j.Outputs = nil },
		"climbing output":      func(j *Job) { j.Outputs = []string{"../a.o"} },
		"absolute output":      func(j *Job) { j.Outputs = []string{"/a.o"} },
		"no tree":              func(j *Job) { j.Root = nil },
		"malformed tree":       func(j *Job) { j.Root = &Dir{Files: []File{{Name: ".."}}} },
		"environment unsorted": func(j *Job) { j.Env = []string{"B=2", "A=1"} },
	} {
		j := good()
		if change(j); j.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
