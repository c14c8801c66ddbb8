// The CUDA driver API as the library uses it: types, the few constants, and one table of functions
// that is filled from libcuda at run time (driver_cuda.cpp) or by the emulator
// (emu/driver_emu.cpp). Declared here so that no CUDA header is needed to build or check the host
// code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ms {

using CuResult = int;
using CuPointer = std::uint64_t;
struct CuContextTag;
struct CuStreamTag;
struct CuEventTag;
struct CuGraphTag;
struct CuGraphExecTag;
struct CuModuleTag;
struct CuFunctionTag;
using CuContext = CuContextTag*;
using CuStream = CuStreamTag*;
using CuEvent = CuEventTag*;
using CuGraph = CuGraphTag*;
using CuGraphExec = CuGraphExecTag*;
using CuModule = CuModuleTag*;
using CuFunction = CuFunctionTag*;

constexpr CuResult kCuSuccess = 0;
constexpr CuResult kCuOutOfMemory = 2;
constexpr CuResult kCuNotFound = 500;
constexpr CuResult kCuNotReady = 600;

constexpr int kCuMultiprocessors = 16;  // CU_DEVICE_ATTRIBUTE_*
constexpr int kCuComputeMajor = 75;
constexpr int kCuComputeMinor = 76;
constexpr unsigned kCuStreamNonBlocking = 1;
constexpr unsigned kCuEventDisableTiming = 2;
constexpr int kCuCaptureThreadLocal = 1;
constexpr int kCuFunctionMaxDynamicShared = 8;  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
constexpr int kCuLaunchProgrammaticSerialization = 6;

struct CuLaunchAttribute {
  int id;
  int pad;
  union {
    char bytes[64];
    int programmatic_serialization;
  } value;
};
static_assert(sizeof(CuLaunchAttribute) == 72, "CUlaunchAttribute");

struct CuLaunchConfig {
  unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
  CuStream stream;
  CuLaunchAttribute* attributes;
  unsigned n_attributes;
};
static_assert(sizeof(CuLaunchConfig) == 56, "CUlaunchConfig");

struct Driver {
  bool emulated;
  CuResult (*init)(unsigned);
  CuResult (*device_get)(int*, int);
  CuResult (*device_name)(char*, int, int);
  CuResult (*driver_version)(int*);
  CuResult (*device_attribute)(int*, int, int);
  CuResult (*primary_retain)(CuContext*, int);
  CuResult (*primary_release)(int);
  CuResult (*set_current)(CuContext);
  CuResult (*error_string)(CuResult, const char**);
  CuResult (*mem_info)(std::size_t*, std::size_t*);
  CuResult (*mem_alloc)(CuPointer*, std::size_t);
  CuResult (*mem_free)(CuPointer);
  CuResult (*host_alloc)(void**, std::size_t, unsigned);
  CuResult (*host_free)(void*);
  CuResult (*memset_async)(CuPointer, unsigned char, std::size_t, CuStream);
  CuResult (*h2d_async)(CuPointer, const void*, std::size_t, CuStream);
  CuResult (*d2h_async)(void*, CuPointer, std::size_t, CuStream);
  CuResult (*d2d_async)(CuPointer, CuPointer, std::size_t, CuStream);
  CuResult (*priority_range)(int*, int*);
  CuResult (*stream_create)(CuStream*, unsigned, int);
  CuResult (*stream_destroy)(CuStream);
  CuResult (*stream_sync)(CuStream);
  CuResult (*stream_wait)(CuStream, CuEvent, unsigned);
  CuResult (*event_create)(CuEvent*, unsigned);
  CuResult (*event_destroy)(CuEvent);
  CuResult (*event_record)(CuEvent, CuStream);
  CuResult (*event_query)(CuEvent);
  CuResult (*event_sync)(CuEvent);
  CuResult (*event_elapsed)(float*, CuEvent, CuEvent);
  CuResult (*capture_begin)(CuStream, int);
  CuResult (*capture_end)(CuStream, CuGraph*);
  CuResult (*graph_instantiate)(CuGraphExec*, CuGraph, unsigned long long);
  CuResult (*graph_upload)(CuGraphExec, CuStream);
  CuResult (*graph_launch)(CuGraphExec, CuStream);
  CuResult (*graph_exec_destroy)(CuGraphExec);
  CuResult (*graph_destroy)(CuGraph);
  CuResult (*module_load)(CuModule*, const void*);
  CuResult (*module_unload)(CuModule);
  CuResult (*module_function)(CuFunction*, CuModule, const char*);
  CuResult (*function_attribute)(CuFunction, int, int);
  CuResult (*launch)(const CuLaunchConfig*, CuFunction, void**, void**);
};

/// Fills the table; returns nullptr, or what is missing.
const char* load_driver(Driver& driver);

}  // namespace ms
