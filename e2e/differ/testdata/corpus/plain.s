	.data
	.globl plain
plain:	.long 1, 2, 3
	.include "include/more.inc"
