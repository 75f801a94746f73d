package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// flags are what each file is compiled with. Calibration proves a pair for a set
// of them at a time, so there is one set.
func flags() []string { return []string{"-O2", "-g", "-MD", "-Wall"} }

const makefile = `FLAGS = %s
SOURCES = $(wildcard *.c *.cc)
all: $(addsuffix .o,$(SOURCES))
%%.c.o: %%.c
	$(CC) $(FLAGS) -c $< -o $@
%%.cc.o: %%.cc
	$(CXX) $(FLAGS) -c $< -o $@
`

const header = `#pragma once
#include <stddef.h>
struct record { unsigned kind : 5, size : 11; double weight; char name[24]; struct record *next; };
extern int record_seen(const struct record *, size_t);
#define EACH(r, list) for (const struct record *r = (list); r; r = r->next)
`

// writeProject leaves a project of so many files, a quarter of them C++, that is
// the same each time. They are small ones, of some 100 lines.
func writeProject(dir string, files int) error {
	random := rand.New(rand.NewPCG(4, 4))
	errs := []error{
		os.WriteFile(filepath.Join(dir, "Makefile"), fmt.Appendf(nil, makefile, strings.Join(flags(), " ")), 0o644),
		os.WriteFile(filepath.Join(dir, "record.h"), []byte(header), 0o644),
		os.WriteFile(filepath.Join(dir, "warm"), []byte("int warm(void) { return 1; }\n"), 0o644),
	}
	for i := range files {
		name, text := fmt.Sprintf("file%03d.c", i), cFile(random, i)
		if i%4 == 3 {
			name, text = name+"c", cxxFile(random, i)
		}
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

// cFunctions are bodies that reach different parts of a compiler; %[1]d makes the
// name, %[2]d and %[3]d are numbers from 1 to 99.
var cFunctions = []string{`
static const int table%[1]d[] = { %[2]d, %[3]d, %[2]d * %[3]d, -%[2]d };
int switch%[1]d(int n)
{
	switch (n) {
	case 0: return %[2]d;
	case 1: return table%[1]d[n + 1];
	case 2: puts("two of %[2]d"); /* fall through */
	case 5: return n * %[3]d;
	case 9: return n %% %[2]d;
	case %[2]d00: return table%[1]d[n & 3];
	default: return n > %[3]d ? switch%[1]d(n - %[3]d) : -1;
	}
}
`, `
double mean%[1]d(const double *v, size_t n)
{
	double sum = %[2]d.%[3]d, least = v[0];
	for (size_t i = 0; i < n; i++) {
		sum += v[i] * v[n - 1 - i] + sqrt(fabs(v[i]));
		if (v[i] < least)
			least = v[i];
	}
	return sum / (double)n - least * 0.%[2]d;
}
`, `
size_t records%[1]d(struct record *list, const char *name)
{
	size_t n = %[2]d;
	EACH(r, list) {
		if (strcmp(r->name, name) == 0 && r->kind != %[3]d %% 32)
			n += r->size;
		else if (record_seen(r, n))
			break;
	}
	list->size = (unsigned)n;
	snprintf(list->name, sizeof list->name, "%%zu of %%s", n, name);
	return n;
}
`, `
uint64_t mix%[1]d(uint64_t x, unsigned r)
{
	for (unsigned i = 0; i < %[2]d; i++) {
		x ^= x >> (%[3]d %% 31 + 1);
		x *= 0x9e3779b97f4a7c15u + %[2]d;
		x = (x << (r & 63)) | (x >> ((64 - r) & 63));
	}
	return __builtin_bswap64(x) + (uint64_t)__builtin_popcountll(x);
}
`, `
static int compare%[1]d(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	return x->weight < y->weight ? -%[2]d : x->weight > y->weight ? %[3]d : strcmp(x->name, y->name);
}
void sort%[1]d(struct record *list, size_t n)
{
	qsort(list, n, sizeof *list, compare%[1]d);
	for (size_t i = 1; i < n; i++)
		list[i - 1].next = &list[i];
}
`, `
void matrix%[1]d(float out[8][8], float a[8][8], float b[8][8])
{
	for (int i = 0; i < 8; i++)
		for (int j = 0; j < 8; j++) {
			float sum = %[2]d;
			for (int k = 0; k < 8; k++)
				sum += a[i][k] * b[k][j];
			out[i][j] = sum < %[3]d ? sum : -sum;
		}
}
`}

func cFile(random *rand.Rand, number int) string {
	var b strings.Builder
	b.WriteString("#include <math.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include \"record.h\"\n")
	writeFunctions(&b, random, number, cFunctions, 8)
	return b.String()
}

var cxxFunctions = []string{`
int words%[1]d(const std::string &text)
{
	std::map<std::string, int> seen;
	std::string word;
	for (char c : text + " ") {
		if (c == ' ' && !word.empty()) {
			seen[word] += %[2]d;
			word.clear();
		} else {
			word += c;
		}
	}
	return seen.empty() ? %[3]d : seen.begin()->second;
}
`, `
struct shape%[1]d { virtual ~shape%[1]d() = default; virtual double area() const { return %[2]d; } };
struct square%[1]d : shape%[1]d { double side = %[3]d; double area() const override { return side * side; } };
std::unique_ptr<shape%[1]d> make%[1]d(int n)
{
	if (n > %[2]d)
		throw std::runtime_error("more than %[2]d");
	return n & 1 ? std::make_unique<square%[1]d>() : std::make_unique<shape%[1]d>();
}
`, `
std::vector<int> sorted%[1]d(std::vector<int> v)
{
	std::sort(v.begin(), v.end(), [](int a, int b) { return a %% %[2]d < b %% %[2]d; });
	v.erase(std::remove_if(v.begin(), v.end(), [](int n) { return n > %[3]d; }), v.end());
	return v;
}
`}

func cxxFile(random *rand.Rand, number int) string {
	var b strings.Builder
	b.WriteString("#include <algorithm>\n#include <map>\n#include <memory>\n#include <stdexcept>\n#include <string>\n#include <vector>\n")
	writeFunctions(&b, random, number, cxxFunctions, 3)
	return b.String()
}

func writeFunctions(b *strings.Builder, random *rand.Rand, number int, from []string, n int) {
	for i := range n {
		fmt.Fprintf(b, from[random.IntN(len(from))], number*100+i, 1+random.IntN(99), 1+random.IntN(99))
	}
}
