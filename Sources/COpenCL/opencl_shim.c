// The one place that knows OpenCL's headers. Functions are looked up in the loader when it is opened, so nothing is
// linked. Only functions of OpenCL 1.2 are used.
#include "opencl_shim.h"

#if defined(__has_include)
#if __has_include(<CL/cl.h>)
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#define OPENCL_HEADERS 1
#elif __has_include(<OpenCL/cl.h>)
#include <OpenCL/cl.h>
#define OPENCL_HEADERS 1
#endif
#endif

#ifdef OPENCL_HEADERS
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define FUNCTIONS(F) \
  F(clGetPlatformIDs) F(clGetPlatformInfo) F(clGetDeviceIDs) F(clGetDeviceInfo) \
  F(clCreateContext) F(clReleaseContext) F(clCreateCommandQueue) F(clReleaseCommandQueue) \
  F(clCreateBuffer) F(clReleaseMemObject) F(clEnqueueWriteBuffer) F(clEnqueueReadBuffer) \
  F(clEnqueueCopyBuffer) F(clEnqueueFillBuffer) F(clCreateProgramWithSource) \
  F(clReleaseProgram) F(clBuildProgram) F(clGetProgramBuildInfo) F(clCreateKernel) \
  F(clReleaseKernel) F(clSetKernelArg) F(clEnqueueNDRangeKernel) F(clWaitForEvents) \
  F(clGetEventProfilingInfo) F(clReleaseEvent) F(clFlush) F(clFinish)

#define DECLARE(name) static __typeof__(&name) p_##name;
FUNCTIONS(DECLARE)

static char message[512];
static void *loader;

static bool find(void *library, const char *name, void **target) {
  *target = dlsym(library, name);
  if (!*target) snprintf(message, sizeof message, "%s is missing", name);
  return *target != NULL;
}

opencl_open_result opencl_open(void) {
  if (loader) return opencl_open_done;
  static const char *const names[] = {
#ifdef __APPLE__
    "/System/Library/Frameworks/OpenCL.framework/OpenCL",
#else
    "libOpenCL.so.1", "libOpenCL.so",
#endif
  };
  void *library = NULL;
  for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++) {
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library && i == 0) {
      const char *said = dlerror();
      snprintf(message, sizeof message, "%s", said ? said : names[i]);
    }
  }
  if (!library) return opencl_open_no_loader;
#define FIND(name) if (!find(library, #name, (void **)&p_##name)) return opencl_open_too_old;
  FUNCTIONS(FIND)
  loader = library;
  return opencl_open_done;
}

const char *opencl_open_message(void) { return message; }

int32_t opencl_platforms(opencl_handle *handles, uint32_t capacity, uint32_t *count) {
  return p_clGetPlatformIDs(capacity, capacity ? (cl_platform_id *)handles : NULL, count);
}

int32_t opencl_devices(
  opencl_handle platform, opencl_handle *handles, uint32_t capacity, uint32_t *count) {
  int32_t error = p_clGetDeviceIDs(
    platform, CL_DEVICE_TYPE_ALL, capacity, capacity ? (cl_device_id *)handles : NULL, count);
  // A platform without devices is none of the caller's errors.
  if (error == CL_DEVICE_NOT_FOUND) {
    *count = 0;
    return 0;
  }
  return error;
}

int32_t opencl_get_text(opencl_handle handle, opencl_text text, char *buffer, size_t capacity) {
  if (capacity == 0) return 0;
  char whole[16384];
  size_t length = 0;
  cl_device_info what = 0;
  switch (text) {
  case opencl_text_platform_name:
  case opencl_text_platform_version: break;
  case opencl_text_device_name: what = CL_DEVICE_NAME; break;
  case opencl_text_device_vendor: what = CL_DEVICE_VENDOR; break;
  case opencl_text_device_version: what = CL_DEVICE_VERSION; break;
  case opencl_text_driver_version: what = CL_DRIVER_VERSION; break;
  case opencl_text_extensions: what = CL_DEVICE_EXTENSIONS; break;
  }
  int32_t error;
  if (text == opencl_text_platform_name || text == opencl_text_platform_version) {
    error = p_clGetPlatformInfo(
      handle, text == opencl_text_platform_name ? CL_PLATFORM_NAME : CL_PLATFORM_VERSION,
      sizeof whole, whole, &length);
  } else {
    error = p_clGetDeviceInfo(handle, what, sizeof whole, whole, &length);
  }
  if (error) length = 0;
  if (length >= capacity) length = capacity - 1;
  memcpy(buffer, whole, length);
  buffer[length] = 0;
  return error;
}

static int32_t unsigned_number(
  opencl_handle device, cl_device_info what, uint64_t *value) {
  cl_uint number = 0;
  int32_t error = p_clGetDeviceInfo(device, what, sizeof number, &number, NULL);
  *value = number;
  return error;
}

static int32_t long_number(opencl_handle device, cl_device_info what, uint64_t *value) {
  cl_ulong number = 0;
  int32_t error = p_clGetDeviceInfo(device, what, sizeof number, &number, NULL);
  *value = number;
  return error;
}

static int32_t size_number(opencl_handle device, cl_device_info what, uint64_t *value) {
  size_t number = 0;
  int32_t error = p_clGetDeviceInfo(device, what, sizeof number, &number, NULL);
  *value = number;
  return error;
}

static int32_t device_type(opencl_handle device, uint64_t *value) {
  cl_device_type type = 0;
  int32_t error = p_clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
  *value = type & CL_DEVICE_TYPE_GPU           ? 2
           : type & CL_DEVICE_TYPE_ACCELERATOR ? 3
           : type & CL_DEVICE_TYPE_CPU         ? 1
                                               : 0;
  return error;
}

int32_t opencl_get_number(opencl_handle device, opencl_number number, uint64_t *value) {
  *value = 0;
  switch (number) {
  case opencl_number_type: return device_type(device, value);
  case opencl_number_available: return unsigned_number(device, CL_DEVICE_AVAILABLE, value);
  case opencl_number_compiler_available:
    return unsigned_number(device, CL_DEVICE_COMPILER_AVAILABLE, value);
  case opencl_number_compute_units:
    return unsigned_number(device, CL_DEVICE_MAX_COMPUTE_UNITS, value);
  case opencl_number_clock_megahertz:
    return unsigned_number(device, CL_DEVICE_MAX_CLOCK_FREQUENCY, value);
  case opencl_number_global_bytes: return long_number(device, CL_DEVICE_GLOBAL_MEM_SIZE, value);
  case opencl_number_largest_allocation_bytes:
    return long_number(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, value);
  case opencl_number_local_bytes: return long_number(device, CL_DEVICE_LOCAL_MEM_SIZE, value);
  case opencl_number_work_group_size:
    return size_number(device, CL_DEVICE_MAX_WORK_GROUP_SIZE, value);
  case opencl_number_parameter_bytes:
    return size_number(device, CL_DEVICE_MAX_PARAMETER_SIZE, value);
  case opencl_number_float_vector_width:
    return unsigned_number(device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, value);
  case opencl_number_unified_memory:
    return unsigned_number(device, CL_DEVICE_HOST_UNIFIED_MEMORY, value);
  }
  return CL_INVALID_VALUE;
}

opencl_handle opencl_create_context(opencl_handle device, int32_t *error) {
  cl_device_id devices[] = {device};
  return p_clCreateContext(NULL, 1, devices, NULL, NULL, error);
}

opencl_handle opencl_create_queue(
  opencl_handle context, opencl_handle device, bool profiling, int32_t *error) {
  return p_clCreateCommandQueue(
    context, device, profiling ? CL_QUEUE_PROFILING_ENABLE : 0, error);
}

opencl_handle opencl_create_buffer(opencl_handle context, size_t bytes, int32_t *error) {
  return p_clCreateBuffer(context, CL_MEM_READ_WRITE, bytes, NULL, error);
}

void opencl_release(opencl_kind kind, opencl_handle handle) {
  switch (kind) {
  case opencl_kind_context: p_clReleaseContext(handle); break;
  case opencl_kind_queue: p_clReleaseCommandQueue(handle); break;
  case opencl_kind_memory: p_clReleaseMemObject(handle); break;
  case opencl_kind_program: p_clReleaseProgram(handle); break;
  case opencl_kind_kernel: p_clReleaseKernel(handle); break;
  }
}

int32_t opencl_write(
  opencl_handle queue, opencl_handle memory, size_t offset, size_t bytes, const void *source) {
  return p_clEnqueueWriteBuffer(queue, memory, CL_TRUE, offset, bytes, source, 0, NULL, NULL);
}

int32_t opencl_read(
  opencl_handle queue, opencl_handle memory, size_t offset, size_t bytes, void *target) {
  return p_clEnqueueReadBuffer(queue, memory, CL_TRUE, offset, bytes, target, 0, NULL, NULL);
}

int32_t opencl_copy(
  opencl_handle queue, opencl_handle source, size_t source_offset, opencl_handle target,
  size_t target_offset, size_t bytes) {
  return p_clEnqueueCopyBuffer(
    queue, source, target, source_offset, target_offset, bytes, 0, NULL, NULL);
}

int32_t opencl_fill_zero(
  opencl_handle queue, opencl_handle memory, size_t offset, size_t bytes) {
  const cl_uchar zero = 0;
  return p_clEnqueueFillBuffer(
    queue, memory, &zero, sizeof zero, offset, bytes, 0, NULL, NULL);
}

opencl_handle opencl_create_program(
  opencl_handle context, const char *source, size_t length, int32_t *error) {
  return p_clCreateProgramWithSource(context, 1, &source, &length, error);
}

int32_t opencl_build(opencl_handle program, opencl_handle device, const char *options) {
  cl_device_id devices[] = {device};
  return p_clBuildProgram(program, 1, devices, options, NULL, NULL);
}

size_t opencl_build_log(
  opencl_handle program, opencl_handle device, char *buffer, size_t capacity) {
  size_t length = 0;
  if (p_clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &length)) return 0;
  // The whole log or nothing is what OpenCL writes.
  if (length <= capacity) {
    p_clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, length, buffer, NULL);
  }
  return length;
}

opencl_handle opencl_create_kernel(opencl_handle program, const char *name, int32_t *error) {
  return p_clCreateKernel(program, name, error);
}

int32_t opencl_set_memory(opencl_handle kernel, uint32_t index, opencl_handle memory) {
  cl_mem value = memory;
  return p_clSetKernelArg(kernel, index, sizeof value, &value);
}

int32_t opencl_set_offset(opencl_handle kernel, uint32_t index, uint64_t value) {
  cl_ulong number = value;
  return p_clSetKernelArg(kernel, index, sizeof number, &number);
}

int32_t opencl_launch(
  opencl_handle queue, opencl_handle kernel, const size_t *global, const size_t *local,
  uint64_t *nanoseconds) {
  if (!nanoseconds) {
    return p_clEnqueueNDRangeKernel(queue, kernel, 3, NULL, global, local, 0, NULL, NULL);
  }
  cl_event event = NULL;
  int32_t error =
    p_clEnqueueNDRangeKernel(queue, kernel, 3, NULL, global, local, 0, NULL, &event);
  if (error) return error;
  error = p_clWaitForEvents(1, &event);
  cl_ulong start = 0, end = 0;
  if (!error) {
    error = p_clGetEventProfilingInfo(
      event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL);
  }
  if (!error) {
    error = p_clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
  }
  *nanoseconds = end > start ? end - start : 0;
  p_clReleaseEvent(event);
  return error;
}

int32_t opencl_flush(opencl_handle queue) { return p_clFlush(queue); }
int32_t opencl_finish(opencl_handle queue) { return p_clFinish(queue); }

#else

// Without the headers `opencl_open` says so, and nothing else is ever called; these stand for the linker.
#define NEVER -1

opencl_open_result opencl_open(void) { return opencl_open_no_headers; }
const char *opencl_open_message(void) { return ""; }
int32_t opencl_platforms(opencl_handle *a, uint32_t b, uint32_t *c) { return NEVER; }
int32_t opencl_devices(opencl_handle a, opencl_handle *b, uint32_t c, uint32_t *d) {
  return NEVER;
}
int32_t opencl_get_text(opencl_handle a, opencl_text b, char *c, size_t d) { return NEVER; }
int32_t opencl_get_number(opencl_handle a, opencl_number b, uint64_t *c) { return NEVER; }
opencl_handle opencl_create_context(opencl_handle a, int32_t *b) { return NULL; }
opencl_handle opencl_create_queue(opencl_handle a, opencl_handle b, bool c, int32_t *d) {
  return NULL;
}
opencl_handle opencl_create_buffer(opencl_handle a, size_t b, int32_t *c) { return NULL; }
void opencl_release(opencl_kind a, opencl_handle b) {}
int32_t opencl_write(opencl_handle a, opencl_handle b, size_t c, size_t d, const void *e) {
  return NEVER;
}
int32_t opencl_read(opencl_handle a, opencl_handle b, size_t c, size_t d, void *e) {
  return NEVER;
}
int32_t opencl_copy(
  opencl_handle a, opencl_handle b, size_t c, opencl_handle d, size_t e, size_t f) {
  return NEVER;
}
int32_t opencl_fill_zero(opencl_handle a, opencl_handle b, size_t c, size_t d) { return NEVER; }
opencl_handle opencl_create_program(opencl_handle a, const char *b, size_t c, int32_t *d) {
  return NULL;
}
int32_t opencl_build(opencl_handle a, opencl_handle b, const char *c) { return NEVER; }
size_t opencl_build_log(opencl_handle a, opencl_handle b, char *c, size_t d) { return 0; }
opencl_handle opencl_create_kernel(opencl_handle a, const char *b, int32_t *c) { return NULL; }
int32_t opencl_set_memory(opencl_handle a, uint32_t b, opencl_handle c) { return NEVER; }
int32_t opencl_set_offset(opencl_handle a, uint32_t b, uint64_t c) { return NEVER; }
int32_t opencl_launch(
  opencl_handle a, opencl_handle b, const size_t *c, const size_t *d, uint64_t *e) {
  return NEVER;
}
int32_t opencl_flush(opencl_handle a) { return NEVER; }
int32_t opencl_finish(opencl_handle a) { return NEVER; }

#endif
