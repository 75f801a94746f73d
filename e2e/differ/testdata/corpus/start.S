#include "sub/shape.h"
#define VALUE 42
	.data
	.globl value
value:	.word VALUE
	.ascii SHAPE
	.include "include/more.inc"
	.incbin "include/data.bin", 2, 3
