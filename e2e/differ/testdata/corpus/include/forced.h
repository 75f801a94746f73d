#ifndef FORCED
#define FORCED 1
#endif
