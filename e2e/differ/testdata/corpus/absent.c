#include "not/there.h"
int absent;
