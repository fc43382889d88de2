// SPDX-License-Identifier: Apache-2.0
#include "faulty_kernels.hpp"

#include "shared_memory.cuh"

namespace hso::test {

namespace {

constexpr int kThreads = 64;

__global__ void add_one(float* x, int first, int end) {
  const int i = first + static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < end) x[i] += 1;
}

__global__ void add_to_first(float* x, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[0] += 1;
}

__global__ void take_from_neighbour(float* x, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i + 1 < n) x[i] = x[i + 1] + 1;
}

__global__ void take_from_shared_neighbour(float* x, int n) {
  float* shared = detail::shared_memory<float>();
  const int me = static_cast<int>(threadIdx.x), i = static_cast<int>(blockIdx.x * blockDim.x) + me;
  shared[me] = i < n ? x[i] : 0;
  const float next = shared[(me + 1) % kThreads];
  __syncthreads();
  if (i < n) x[i] = next;
}

__global__ void leave_early(float* x, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (threadIdx.x >= kThreads / 2) return;
  __syncthreads();
  if (i < n) x[i] = 0;
}

__global__ void wait_in_two_places(float* x, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (threadIdx.x >= kThreads / 2) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  if (i < n) x[i] = 0;
}

__global__ void write_behind_shared(float* x, int n) {
  float* shared = detail::shared_memory<float>();
  const int me = static_cast<int>(threadIdx.x), i = static_cast<int>(blockIdx.x * blockDim.x) + me;
  shared[me + 1] = i < n ? x[i] : 0;
  __syncthreads();
  if (i < n) x[i] = shared[me + 1];
}

__global__ void last_block_decides(float* x, int n) {
  if (threadIdx.x == 0 && n > 0) x[0] = static_cast<float>(blockIdx.x);
}

struct alignas(16) FourFloats {
  float v[4];
};

__global__ void read_four_from_the_second(float* x, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (4 * i + 5 > n) return;
  const FourFloats four = *reinterpret_cast<const FourFloats*>(x + 4 * i + 1);
  x[4 * i] = four.v[0] + four.v[1] + four.v[2] + four.v[3];
}

}  // namespace

cudaError_t launch_faulty(Fault fault, float* x, int n, cudaStream_t stream) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>((n + kThreads) / kThreads));
  config.blockDim = dim3(kThreads);
  config.stream = stream;
  if (fault == Fault::none) return cudaLaunchKernelEx(&config, add_one, x, 0, n);
  if (fault == Fault::one_too_far) return cudaLaunchKernelEx(&config, add_one, x, 0, n + 1);
  if (fault == Fault::before_the_start) return cudaLaunchKernelEx(&config, add_one, x, -1, n);
  if (fault == Fault::same_word) return cudaLaunchKernelEx(&config, add_to_first, x, n);
  if (fault == Fault::neighbour) return cudaLaunchKernelEx(&config, take_from_neighbour, x, n);
  if (fault == Fault::wrong_block_order) return cudaLaunchKernelEx(&config, last_block_decides, x, n);
  if (fault == Fault::misaligned) return cudaLaunchKernelEx(&config, read_four_from_the_second, x, n);
  config.dynamicSmemBytes = kThreads * sizeof(float);
  if (fault == Fault::shared_word) return cudaLaunchKernelEx(&config, take_from_shared_neighbour, x, n);
  if (fault == Fault::missing_barrier) return cudaLaunchKernelEx(&config, leave_early, x, n);
  if (fault == Fault::other_barrier) return cudaLaunchKernelEx(&config, wait_in_two_places, x, n);
  return cudaLaunchKernelEx(&config, write_behind_shared, x, n);
}

}  // namespace hso::test
