// The allocator of the GNU C library keeps what was freed for later calls.
#include "CProcessor.h"

#if defined(__linux__)
#include <malloc.h>
#endif

void process_release_freed_memory(void) {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}
