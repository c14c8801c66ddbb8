// The numbers of cuBLASLt's interface that this library uses, from NVIDIA's documentation of it;
// tests/cuda_constants.cpp compares them with a toolkit's own headers where there is one.
#pragma once

namespace ms {

constexpr int kF32 = 0, kBf16 = 14, kE4m3 = 28;                           // cudaDataType
constexpr int kCompute32F = 68;                                           // cublasComputeType_t
constexpr int kTransA = 3, kTransB = 4, kEpilogue = 7, kBiasPointer = 8;  // matmul desc attributes
constexpr int kAScalePointer = 17, kBScalePointer = 18, kFastAccumulate = 25;
constexpr int kAScaleMode = 31, kBScaleMode = 32;
constexpr int kScaleOuterVector = 3;  // one f32 a row of the operand, CUDA 12.9 and later
constexpr int kEpilogueBias = 4;
constexpr int kOpN = 0, kOpT = 1;
constexpr int kPreferWorkspace = 1, kPreferReduction = 3, kPreferAlignment = 5;
constexpr int kReduceInComputeType = 2;  // partial sums of split k stay in f32

}  // namespace ms
