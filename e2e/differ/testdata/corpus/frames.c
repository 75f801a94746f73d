/* What protects a frame: arrays, variable length, alloca, large locals, calls. */
#include <string.h>
#include <stdlib.h>

int copied(const char *s) { char b[40]; strcpy(b, s); return b[3]; }
int variable(int n) { int v[n + 1]; memset(v, 1, sizeof v); return v[n]; }
int alloca_(int n) { char *p = __builtin_alloca(n); memset(p, n, n); return p[n / 2]; }
extern void use(void *);
void large(void) { char page[1 << 16]; use(page); }
int tail(int n, int (*f)(int)) { return n > 4 ? f(n) : tail(n + 1, f); }
void *grown(void *p, size_t n) { return realloc(p, n * 2); }
