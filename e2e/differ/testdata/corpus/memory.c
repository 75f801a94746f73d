/* Atomics, thread-local storage, volatile, sections, visibility, aliases. */
#include <stdatomic.h>
#include <stddef.h>

atomic_int counter;
_Thread_local int mine = 3;
volatile int device;
__attribute__((section(".special"), used)) static int placed = 5;
__attribute__((visibility("hidden"))) int hidden_(void) { return placed; }
int again(void) __attribute__((alias("first")));
int first(void) { return atomic_fetch_add(&counter, 2) + mine++ + device; }
int swapped(int *p, int a, int b) { return __atomic_compare_exchange_n(p, &a, b, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED); }
__attribute__((constructor)) static void begun(void) { device = 1; }
size_t where(void) { return offsetof(struct { char c; long l; }, l); }
