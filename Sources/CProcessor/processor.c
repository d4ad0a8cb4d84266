#include "CProcessor.h"

#if defined(__x86_64__)
#include <immintrin.h>

int processor_level(void) {
  __builtin_cpu_init();
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")))
    return 0;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return 4;
  return 3;
}

void processor_flush_denormals(void) { _mm_setcsr(_mm_getcsr() | 0x8040); }

unsigned processor_exchange_denormals(void) {
  unsigned state = _mm_getcsr();
  _mm_setcsr(state | 0x8040);
  return state;
}

void processor_restore_denormals(unsigned state) { _mm_setcsr(state); }
#else
int processor_level(void) { return 0; }
void processor_flush_denormals(void) {}
unsigned processor_exchange_denormals(void) { return 0; }
void processor_restore_denormals(unsigned state) { (void)state; }
#endif
