/* Vector extensions, loops to vectorise, builtins, inline assembler. */
typedef int v4 __attribute__((vector_size(16)));
v4 plus(v4 a, v4 b) { return a * 3 + b; }
void scaled(float *restrict to, const float *restrict from, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = from[i] * 1.5f + 2;
}
int bits(unsigned long x) { return __builtin_popcountl(x) + __builtin_clzl(x | 1) + __builtin_ctzl(x | 8); }
unsigned swapped(unsigned x) { return __builtin_bswap32(x); }
int opaque(int x) { __asm__ volatile("" : "+r"(x) : : "memory"); return x; }
void copied(char *a, const char *b) { __builtin_memcpy(a, b, 33); }
int jump(int n) { static void *to[] = { &&a, &&b }; goto *to[n & 1]; a: return 1; b: return 2; }
