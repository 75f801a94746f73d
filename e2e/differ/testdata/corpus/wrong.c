/* Errors: an unknown name, a missing semicolon, and a header that is not there. */
#include "include/forced.h"
int wrong(int n) { return unknown + n }
int other(void) { struct none s; return s.x; }
