// SPDX-License-Identifier: Apache-2.0
//
// The entry points of the CUDA runtime: each takes the lock, may be told to fail, checks its arguments as documented,
// and queues or does its work.
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <cstring>

#include "streams.hpp"

using namespace hso::emulated;

namespace {

using Guard = std::lock_guard<std::recursive_mutex>;

cudaError_t begin(Site site) {
  progress();
  return enter(site);
}

/// A call that a capture of the stream cannot hold: it fails, and so does the capture.
bool refused_by_capture(cudaStream_t stream) {
  if (!is_capturing(stream)) return false;
  invalidate_capture(stream);
  return true;
}

struct Pool {
  int device;
};

std::string kind_name(cudaMemcpyKind kind) {
  return kind == cudaMemcpyHostToDevice   ? "copy host to device"
         : kind == cudaMemcpyDeviceToHost ? "copy device to host"
                                          : "copy device to device";
}

/// The host's side of a copy: pinned memory is read or written when the copy runs, other memory at the call.
struct HostSide {
  bool pinned;
  HostSide(const void* address, std::size_t bytes, const std::string& what) {
    const Block* block = find(address);
    pinned = block != nullptr && block->place == Place::pinned;
    if (block != nullptr && block->place == Place::device) violation(what + ": the host's side is device memory");
    if (pinned) require_inside(address, bytes, Place::pinned, what);
  }
};

void queue_copy(cudaStream_t stream, void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const std::string name = kind_name(kind);
  const bool from_device = kind != cudaMemcpyHostToDevice, to_device = kind != cudaMemcpyDeviceToHost;
  const auto check = [=] {
    if (from_device) require_inside(from, bytes, Place::device, name);
    if (to_device) require_inside(to, bytes, Place::device, name);
  };
  check();
  enqueue(stream, {Item::Kind::copy, name, [=] {
                     check();
                     std::memmove(to, from, bytes);
                   }});
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::allocation); e != cudaSuccess) return e;
  drain_all();  // it may wait for the device
  ++book().allocations;
  *memory = bytes == 0 ? nullptr : take(Place::device, bytes, false);
  return *memory != nullptr || bytes == 0 ? cudaSuccess : report(cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void* memory) {
  const Guard guard(lock());
  if (memory == nullptr) return lost();
  drain_all();  // documented: no work of the device may still use the memory
  ++book().waits;
  ++book().releases;
  give_back(memory, Place::device, false);
  return lost();
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::allocation); e != cudaSuccess) return e;
  *memory = take(Place::pinned, bytes, false);
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  const Guard guard(lock());
  if (memory == nullptr) return lost();
  drain_all();
  give_back(memory, Place::pinned, false);
  return lost();
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::allocation); e != cudaSuccess) return e;
  if (properties->allocType != cudaMemAllocationTypePinned || properties->location.type != cudaMemLocationTypeDevice ||
      properties->location.id < 0 || properties->location.id >= device_count())
    return report(cudaErrorInvalidValue);
  *pool = reinterpret_cast<cudaMemPool_t>(new Pool{properties->location.id});
  count_handle(1);
  return cudaSuccess;
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  const Guard guard(lock());
  drain_all();
  delete reinterpret_cast<Pool*>(pool);
  count_handle(-1);
  return lost();
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return lost(); }
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return lost(); }

// What the pool holds without using it is as good as free here: reserved and used are the same.
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void* value) {
  const Guard guard(lock());
  *static_cast<std::uint64_t*>(value) = device_used(reinterpret_cast<Pool*>(pool)->device);
  return lost();
}

cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::allocation); e != cudaSuccess) return e;
  require_stream(stream, "cudaMallocFromPoolAsync");
  if (is_capturing(stream)) violation("cudaMallocFromPoolAsync inside a capture: the graph would own the memory");
  if (reinterpret_cast<Pool*>(pool)->device != current_device()) return report(cudaErrorInvalidDevice);
  ++book().allocations;
  *memory = take(Place::device, bytes, true);
  if (*memory == nullptr) {
    drain_all();  // releases that are queued
    *memory = take(Place::device, bytes, true);
  }
  return *memory != nullptr ? cudaSuccess : report(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  const Guard guard(lock());
  const Block* block = find(memory);
  if (block == nullptr || block->begin != memory || !block->pooled)
    violation("cudaFreeAsync: no live block of a pool begins there");
  ++book().releases;
  enqueue(stream, {Item::Kind::release, "cudaFreeAsync", [memory] { give_back(memory, Place::device, true); }});
  if (lost() != cudaSuccess) drain(stream);
  return lost();
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::copy); e != cudaSuccess) return e;
  require_stream(stream, "cudaMemcpyAsync");
  if (!is_capturing(stream)) {
    ++book().copies;
    book().copied_bytes += static_cast<std::int64_t>(bytes);
  }
  if (kind == cudaMemcpyDeviceToDevice) return queue_copy(stream, to, from, bytes, kind), cudaSuccess;
  const bool upload = kind == cudaMemcpyHostToDevice;
  const HostSide host(upload ? from : to, bytes, kind_name(kind));
  if (!host.pinned && refused_by_capture(stream)) return report(cudaErrorStreamCaptureUnsupported);
  if (host.pinned) return queue_copy(stream, to, from, bytes, kind), cudaSuccess;
  if (!upload) {  // documented: pageable memory is written before the call returns
    queue_copy(stream, to, from, bytes, kind);
    wait_for(stream);
    return lost();
  }
  const auto* first = static_cast<const char*>(from);
  const auto staged = std::make_shared<std::vector<char>>(first, first + bytes);
  require_inside(to, bytes, Place::device, kind_name(kind));
  enqueue(stream, {Item::Kind::copy, kind_name(kind), [=] { std::memcpy(to, staged->data(), staged->size()); }});
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::any); e != cudaSuccess) return e;
  if (flags != cudaStreamNonBlocking) violation("a stream that waits for the default stream");
  *stream = add_stream();
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Guard guard(lock());
  require_stream(stream, "cudaStreamDestroy");
  if (stream->capturing) violation("cudaStreamDestroy: the stream is capturing");
  remove_stream(stream);
  return lost();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::wait); e != cudaSuccess) return e;
  require_stream(stream, "cudaStreamSynchronize");
  if (refused_by_capture(stream)) return report(cudaErrorStreamCaptureUnsupported);
  wait_for(stream);
  return lost();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::any); e != cudaSuccess) return e;
  require_stream(stream, "cudaStreamWaitEvent");
  if (is_capturing(stream)) violation("cudaStreamWaitEvent inside a capture is not emulated");
  if (event->mark) enqueue(stream, {Item::Kind::event, "cudaStreamWaitEvent", {}, event->mark});
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::graph); e != cudaSuccess) return e;
  require_stream(stream, "cudaStreamBeginCapture");
  if (stream->capturing) violation("cudaStreamBeginCapture: the stream captures already");
  stream->capturing = true;
  stream->invalid = false;
  stream->capture = std::make_unique<CUgraph_st>();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Guard guard(lock());
  const cudaError_t error = begin(Site::graph);
  require_stream(stream, "cudaStreamEndCapture");
  if (!stream->capturing) violation("cudaStreamEndCapture: the stream captures nothing");
  stream->capturing = false;
  const std::unique_ptr<CUgraph_st> made = std::move(stream->capture);
  *graph = nullptr;
  if (error != cudaSuccess) return error;
  if (stream->invalid) return report(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st(*made);
  count_handle(1);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::any); e != cudaSuccess) return e;
  *event = new CUevent_st;
  count_handle(1);
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Guard guard(lock());
  count_handle(-1);
  delete event;
  return lost();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::any); e != cudaSuccess) return e;
  require_stream(stream, "cudaEventRecord");
  if (is_capturing(stream)) violation("cudaEventRecord inside a capture is not emulated");
  const auto mark = std::make_shared<Mark>(Mark{stream});
  event->mark = mark;
  enqueue(stream, {Item::Kind::event, "cudaEventRecord", [mark] { mark->done = true; }});
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::wait); e != cudaSuccess) return e;
  if (!event->mark || event->mark->done) return lost();
  ++book().waits;
  run_until(*event->mark);
  return lost();
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::any); e != cudaSuccess) return e;
  return !event->mark || event->mark->done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::graph); e != cudaSuccess) return e;
  *executable = new CUgraphExec_st{.graph = std::make_shared<CUgraph_st>(*graph)};
  count_handle(1);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const Guard guard(lock());
  count_handle(-1);
  delete graph;
  return lost();
}

// CUDA keeps an executable alive until its launches are done. The host code promises more: it waits first.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const Guard guard(lock());
  if (*executable->queued > 0 && lost() == cudaSuccess)
    violation("cudaGraphExecDestroy: launches of it are still queued");
  count_handle(-1);
  delete executable;
  return lost();
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const Guard guard(lock());
  if (const cudaError_t e = begin(Site::graph); e != cudaSuccess) return e;
  require_stream(stream, "cudaGraphLaunch");
  if (is_capturing(stream)) violation("cudaGraphLaunch inside a capture is not emulated");
  ++book().graph_launches;
  book().graph_nodes += static_cast<std::int64_t>(executable->graph->items.size());
  ++*executable->queued;
  enqueue(stream, {Item::Kind::graph, "graph", [graph = executable->graph, queued = executable->queued] {
                     for (const Item& item : graph->items)
                       if (item.run) item.run();
                     --*queued;
                   }});
  return cudaSuccess;
}

}  // extern "C"
