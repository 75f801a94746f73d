package main

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/crosscc/crosscc/e2e/bench/contender"
	"github.com/crosscc/crosscc/e2e/bench/place"
	"github.com/crosscc/crosscc/e2e/bench/workload"
)

// An arena is one network and one workload, at which the contenders meet.
type arena struct {
	network place.Network
	w       *workload.Workload
	steps   []step
}

// A step is one mode at one number of jobs.
type step struct {
	mode   string
	jobs   int
	rounds int
}

// name is what -only is matched with, and a contender's name after it.
func (a arena) name(s step) string {
	return fmt.Sprintf("%s/%s/%s/j%d", a.network.Name, a.w.Name, s.mode, s.jobs)
}

// plan is what is run. Without all it is what tells most in few minutes.
func plan(all bool, rounds int) []arena {
	if all {
		return fullPlan(rounds)
	}
	ws, nets := workload.All(), place.Networks()
	fewer := max(1, rounds-1) // of those that take long
	steps := func(r int, list ...step) []step {
		for i := range list {
			list[i].rounds = r
		}
		return list
	}
	return []arena{
		{nets[0], ws["c++"], slices.Concat(
			steps(fewer, step{mode: contender.Cold, jobs: 8}, step{mode: contender.Warm, jobs: 8}),
			steps(rounds, step{mode: contender.Hit, jobs: 1}, step{mode: contender.Hit, jobs: 8}))},
		{nets[0], ws["c++"].Few(6), steps(fewer, step{mode: contender.Warm, jobs: 1})},
		{nets[0], ws["c"].Few(60), steps(rounds, step{mode: contender.Warm, jobs: 1})},
		{nets[0], ws["c"], slices.Concat(steps(fewer, step{mode: contender.Warm, jobs: 8}), steps(rounds, step{mode: contender.Hit, jobs: 1}))},
		{nets[0], ws["huge"], steps(fewer, step{mode: contender.Warm, jobs: 1})},
		{nets[2], ws["c++"].Few(6), steps(fewer, step{mode: contender.Warm, jobs: 8})},
		{nets[2], ws["c"].Few(60), steps(rounds, step{mode: contender.Warm, jobs: 1}, step{mode: contender.Warm, jobs: 8})},
	}
}

// fullPlan is every combination.
func fullPlan(rounds int) []arena {
	ws := workload.All()
	var all []arena
	for _, n := range place.Networks() {
		for _, name := range []string{"c++", "c", "huge"} {
			jobs := []int{1, 8, 64}
			if name == "huge" {
				jobs = jobs[:1]
			}
			a := arena{network: n, w: ws[name]}
			for _, mode := range []string{contender.Cold, contender.Warm, contender.Define, contender.Hit} {
				for _, j := range jobs {
					a.steps = append(a.steps, step{mode, j, rounds})
				}
			}
			all = append(all, a)
		}
	}
	return all
}

// choose keeps of the plan what only names, with the contenders that it names.
func choose(all []arena, contenders []contender.Contender, full bool, only *regexp.Regexp) []chosen {
	var list []chosen
	for _, a := range all {
		c := chosen{arena: a, entries: make(map[step][]contender.Contender)}
		c.steps = nil
		for _, s := range a.steps {
			for _, who := range contenders {
				local := who.Local && a.network.Name != place.Loopback
				if who.Has(s.mode, full) && !local && only.MatchString(a.name(s)+"/"+who.Name) {
					c.entries[s] = append(c.entries[s], who)
				}
			}
			if len(c.entries[s]) > 0 {
				c.steps = append(c.steps, s)
			}
		}
		if len(c.steps) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// chosen is an arena and who meets there in which step.
type chosen struct {
	arena
	entries map[step][]contender.Contender
}

// contenders are all who meet there, in their usual order.
func (c chosen) contenders(order []contender.Contender) []contender.Contender {
	var list []contender.Contender
	for _, who := range order {
		for _, s := range c.steps {
			if slices.ContainsFunc(c.entries[s], func(e contender.Contender) bool { return e.Name == who.Name }) {
				list = append(list, who)
				break
			}
		}
	}
	return list
}
