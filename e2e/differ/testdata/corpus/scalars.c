/* Integers of every width, division, shifts, switch tables, bit-fields. */
#include <stdint.h>
#include "sub/shape.h"

struct flags { unsigned a : 3, b : 7; signed c : 5; uint64_t d : 33; };

int64_t mix(int8_t a, uint16_t b, int32_t c, uint64_t d, struct flags f)
{
	return a / 3 + b % 7 + (c << 3) + (int64_t)(d >> 5) + f.a * f.b - f.c + (int64_t)f.d;
}

const char *name(int n)
{
	switch (n) {
	case 0: return "none";
	case 1: return "one";
	case 2: case 3: return SHAPE;
	case 40: return __FILE__;
	case 41: return "forty-one";
	case 42: return __func__;
	default: return "";
	}
}

static int table[] = { 9, 8, 7, 6, 5, 4, 3, 2, 1, __LINE__ };
int sum(int n)
{
	int s = 0;
	for (int i = 0; i < n && i < 10; i++)
		s += table[i] * i;
	return s;
}
