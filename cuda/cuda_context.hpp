// SPDX-License-Identifier: Apache-2.0
//
// One CUDA device: a stream on which everything is ordered, a memory pool of its own whose memory never goes back to
// the system, cuBLAS and cuSOLVER handles bound to the stream, and pinned memory for what the host reads and writes.
// stream(), launch(), blas() and solver() make the device current for the calling thread while what they return lives;
// like all calls they are refused while another thread is inside one.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "handles.hpp"
#include "hsogpu/core/context.hpp"
#include "hsogpu/core/error.hpp"
#include "launch.hpp"
#include "memory_pool.hpp"
#include "staging.hpp"

namespace hso::detail {

template <class T>
class CudaOps;

class CudaContext final : public Context {
 public:
  /// The device must exist. DeviceError when this build holds no code for it.
  CudaContext(int ordinal, const ContextOptions& options);
  ~CudaContext() override;

  bool is_cuda() const override { return true; }
  std::string name() const override;
  std::string description() const override;
  DeviceMemory memory() const override;
  void synchronize() override;
  void wait() noexcept;  ///< synchronize for destructors: a lost device is found out by others
  void to_device(const void* host, void* device, Index bytes) override;
  void to_host(const void* device, void* host, Index bytes) override;
  std::unique_ptr<Recorded> make_recorded() override;
  std::unique_ptr<Readback> make_readback(Index capacity) override;

  OnDevice<cudaStream_t> stream();
  Launch launch() { return {stream(), multiprocessors_}; }
  OnDevice<cublasHandle_t> blas();
  OnDevice<cusolverDnHandle_t> solver();
  cusolverDnParams_t solver_params() const { return solver_params_.get(); }
  Staging& staging() { return *staging_; }
  /// Some device memory, where a size query of a library wants an address.
  const void* device_pointer() const { return blas_workspace_.get(); }
  Index total_bytes() const { return total_bytes_; }
  /// Runs call(), and once more when memory ran out, after the pools gave back what they do not use: cuBLAS and
  /// cuSOLVER allocate beside them.
  template <class Call>
  void with_room(const Call& call) {
    try {
      call();
    } catch (const MemoryError&) {
      make_room();
      call();
    }
  }

  /// False where HSO_CUDA_GRAPHS=0 is in the environment.
  bool graphs_enabled() const { return graphs_enabled_; }
  bool capturing() const { return capturing_; }
  void begin_capture();
  /// The recorded graph; empty when the capture was invalidated, or memory was released inside it. Never throws: it
  /// also cleans up after exceptions.
  GraphHandle end_capture() noexcept;
  /// DeviceError while a launch sequence is being recorded: `what` cannot be part of one.
  void require_not_capturing(const char* what) const;

 private:
  void* raw_allocate(Index bytes) override;
  void raw_release(void* memory) noexcept override;
  Ops<float>& ops_float() override;
  Ops<double>& ops_double() override;
  void create_libraries();
  void make_room();

  int ordinal_;
  int multiprocessors_ = 0;
  Index total_bytes_ = 0;
  bool graphs_enabled_ = true;
  bool capturing_ = false;
  std::vector<void*> released_in_capture_;
  std::mutex releasing_;  ///< of the two before
  std::unique_ptr<MemoryPool> pool_;
  StreamHandle stream_;
  DeviceBytes blas_workspace_;
  BlasHandle blas_;
  SolverHandle solver_;
  SolverParams solver_params_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<CudaOps<float>> ops_float_;
  std::unique_ptr<CudaOps<double>> ops_double_;
};

}  // namespace hso::detail
