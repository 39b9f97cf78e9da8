// GCC 12's _tile_loadconfig tells the compiler of eight of the 64 bytes that it reads, so that the others' stores may be left out, and the
// tiles' first use is then an illegal instruction. Included first when llama.cpp is built for AMX (bench/build_llamacpp).
#pragma once
#include <immintrin.h>
#define _tile_loadconfig(p) __asm__ volatile("ldtilecfg %0" ::"m"(*(const char(*)[64])(p)))
