// OpenCL 1.2 through the system's loader, opened at run time. Swift sees handles and numbers only, so that it builds
// alike with and without OpenCL's headers.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Any of OpenCL's handles: platform, device, context, queue, memory, program, kernel.
typedef void *opencl_handle;

/// What a handle is, for `opencl_release`.
typedef enum {
  opencl_kind_context,
  opencl_kind_queue,
  opencl_kind_memory,
  opencl_kind_program,
  opencl_kind_kernel,
} opencl_kind;

/// Texts about a platform or device.
typedef enum {
  opencl_text_platform_name,
  opencl_text_platform_version,
  opencl_text_device_name,
  opencl_text_device_vendor,
  opencl_text_device_version,
  opencl_text_driver_version,
  opencl_text_extensions,
} opencl_text;

/// Numbers about a device.
typedef enum {
  /// 1 CPU, 2 GPU, 3 accelerator, 0 another.
  opencl_number_type,
  opencl_number_available,
  opencl_number_compiler_available,
  opencl_number_compute_units,
  opencl_number_clock_megahertz,
  opencl_number_global_bytes,
  opencl_number_largest_allocation_bytes,
  opencl_number_local_bytes,
  opencl_number_work_group_size,
  opencl_number_parameter_bytes,
  opencl_number_float_vector_width,
  opencl_number_unified_memory,
} opencl_number;

/// What `opencl_open` found.
typedef enum {
  opencl_open_done,
  /// The shim was compiled without OpenCL's headers.
  opencl_open_no_headers,
  /// No loader library could be opened; `opencl_open_message` says what the system said.
  opencl_open_no_loader,
  /// The loader lacks a function of OpenCL 1.2; `opencl_open_message` names it.
  opencl_open_too_old,
} opencl_open_result;

/// Opens the loader; again at no cost. Not from two threads at once.
opencl_open_result opencl_open(void);
const char *opencl_open_message(void);

// Everything below is for after `opencl_open_done`. Results are OpenCL's error codes, 0 where all went well; -1001 is
// a loader without any driver.

/// The platforms and the devices of one: writes up to `capacity` handles, tells how many there are.
int32_t opencl_platforms(opencl_handle *handles, uint32_t capacity, uint32_t *count);
int32_t opencl_devices(
  opencl_handle platform, opencl_handle *handles, uint32_t capacity, uint32_t *count);
/// Writes a text with its final zero, cut to `capacity`; the handle is a platform or a device as the text asks.
int32_t opencl_get_text(opencl_handle handle, opencl_text text, char *buffer, size_t capacity);
int32_t opencl_get_number(opencl_handle device, opencl_number number, uint64_t *value);

opencl_handle opencl_create_context(opencl_handle device, int32_t *error);
/// A queue in order; `profiling` lets events tell times.
opencl_handle opencl_create_queue(
  opencl_handle context, opencl_handle device, bool profiling, int32_t *error);
opencl_handle opencl_create_buffer(opencl_handle context, size_t bytes, int32_t *error);
void opencl_release(opencl_kind kind, opencl_handle handle);

/// Copies; the first two return when they are done, the others when they are in the queue.
int32_t opencl_write(
  opencl_handle queue, opencl_handle memory, size_t offset, size_t bytes, const void *source);
int32_t opencl_read(
  opencl_handle queue, opencl_handle memory, size_t offset, size_t bytes, void *target);
int32_t opencl_copy(
  opencl_handle queue, opencl_handle source, size_t source_offset, opencl_handle target,
  size_t target_offset, size_t bytes);
int32_t opencl_fill_zero(opencl_handle queue, opencl_handle memory, size_t offset, size_t bytes);

/// A program of one source text; built for the device with options. Where building fails, `opencl_build_log` has the
/// compiler's words.
opencl_handle opencl_create_program(
  opencl_handle context, const char *source, size_t length, int32_t *error);
int32_t opencl_build(opencl_handle program, opencl_handle device, const char *options);
/// The length of the log with its final zero; writes as much of it as fits.
size_t opencl_build_log(
  opencl_handle program, opencl_handle device, char *buffer, size_t capacity);

opencl_handle opencl_create_kernel(opencl_handle program, const char *name, int32_t *error);
int32_t opencl_set_memory(opencl_handle kernel, uint32_t index, opencl_handle memory);
int32_t opencl_set_offset(opencl_handle kernel, uint32_t index, uint64_t value);
/// Three sizes each. With `nanoseconds`, waits for the kernel and tells how long it ran; the queue must be profiling.
int32_t opencl_launch(
  opencl_handle queue, opencl_handle kernel, const size_t *global, const size_t *local,
  uint64_t *nanoseconds);
int32_t opencl_flush(opencl_handle queue);
int32_t opencl_finish(opencl_handle queue);
