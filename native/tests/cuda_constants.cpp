// Compiles only if what this library declares of CUDA's driver and of cuBLASLt agrees with a
// toolkit's own headers. Needs such headers, so it is built where a toolkit is, and nothing links
// it.
#include <cublasLt.h>
#include <cuda.h>

#include <cstddef>

#include "../launch/cublaslt.h"
#include "../launch/cublaslt_constants.h"
#include "../launch/driver.h"

#define MS_SAME(ours, theirs) \
  static_assert(static_cast<int>(ours) == static_cast<int>(theirs), #ours " is not " #theirs)

using namespace ms;

MS_SAME(kF32, CUDA_R_32F);
MS_SAME(kBf16, CUDA_R_16BF);
MS_SAME(kE4m3, CUDA_R_8F_E4M3);
MS_SAME(kCompute32F, CUBLAS_COMPUTE_32F);
MS_SAME(kTransA, CUBLASLT_MATMUL_DESC_TRANSA);
MS_SAME(kTransB, CUBLASLT_MATMUL_DESC_TRANSB);
MS_SAME(kEpilogue, CUBLASLT_MATMUL_DESC_EPILOGUE);
MS_SAME(kBiasPointer, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
MS_SAME(kAScalePointer, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER);
MS_SAME(kBScalePointer, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER);
MS_SAME(kFastAccumulate, CUBLASLT_MATMUL_DESC_FAST_ACCUM);
MS_SAME(kEpilogueBias, CUBLASLT_EPILOGUE_BIAS);
MS_SAME(kOpN, CUBLAS_OP_N);
MS_SAME(kOpT, CUBLAS_OP_T);
MS_SAME(kPreferWorkspace, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
MS_SAME(kPreferReduction, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
MS_SAME(kPreferAlignment, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
MS_SAME(kReduceInComputeType, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
#if CUBLAS_VERSION >= 120900
MS_SAME(kAScaleMode, CUBLASLT_MATMUL_DESC_A_SCALE_MODE);
MS_SAME(kBScaleMode, CUBLASLT_MATMUL_DESC_B_SCALE_MODE);
MS_SAME(kScaleOuterVector, CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
#endif
MS_SAME(sizeof(LtAlgo), sizeof(cublasLtMatmulAlgo_t));
MS_SAME(sizeof(LtHeuristic), sizeof(cublasLtMatmulHeuristicResult_t));
MS_SAME(offsetof(LtHeuristic, workspace), offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
MS_SAME(offsetof(LtHeuristic, state), offsetof(cublasLtMatmulHeuristicResult_t, state));

MS_SAME(kCuOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
MS_SAME(kCuNotFound, CUDA_ERROR_NOT_FOUND);
MS_SAME(kCuNotReady, CUDA_ERROR_NOT_READY);
MS_SAME(kCuMultiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
MS_SAME(kCuComputeMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
MS_SAME(kCuComputeMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
MS_SAME(kCuStreamNonBlocking, CU_STREAM_NON_BLOCKING);
MS_SAME(kCuEventDisableTiming, CU_EVENT_DISABLE_TIMING);
MS_SAME(kCuCaptureThreadLocal, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
MS_SAME(kCuFunctionMaxDynamicShared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
MS_SAME(kCuLaunchProgrammaticSerialization, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
MS_SAME(sizeof(CuLaunchAttribute), sizeof(CUlaunchAttribute));
MS_SAME(offsetof(CuLaunchAttribute, value), offsetof(CUlaunchAttribute, value));
MS_SAME(sizeof(CuLaunchConfig), sizeof(CUlaunchConfig));
MS_SAME(offsetof(CuLaunchConfig, shared_bytes), offsetof(CUlaunchConfig, sharedMemBytes));
MS_SAME(offsetof(CuLaunchConfig, stream), offsetof(CUlaunchConfig, hStream));
MS_SAME(offsetof(CuLaunchConfig, attributes), offsetof(CUlaunchConfig, attrs));
MS_SAME(offsetof(CuLaunchConfig, n_attributes), offsetof(CUlaunchConfig, numAttrs));
