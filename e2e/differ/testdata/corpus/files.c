/* What a file says of itself, and what it reads. */
#include <assert.h>
#include <limits.h>
#include "sub/shape.h"
#if __has_include("include/forced.h")
#include "include/forced.h"
#endif
#if __has_include("nowhere.h")
#include "nowhere.h"
#endif
const char *names[] = { __FILE__, __BASE_FILE__, SHAPE, __VERSION__ };
int level = __INCLUDE_LEVEL__, line = __LINE__, number = __COUNTER__;
int checked(int n) { assert(n < INT_MAX); return n + 1; }
#ifdef FORCED
int forced = FORCED;
#endif
