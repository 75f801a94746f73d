/* Much to say: unused, signs, fallthrough, indentation, formats, macros. */
#include <stdio.h>
#define TWICE(x) ((x) + (x))
static int never(void) { return 1; }
int said(unsigned n, int k)
{
	int unused;
	if (n < -1)
		printf("%d %s\n", TWICE(3L), k);
	switch (k) {
	case 1: k = 2;
	case 2: k++; /* fall through */
	case 3: return k;
	}
	if (k)
		k = 4;
		n = k;
	return n == k ? n : TWICE(k);
}
#warning "a warning"
