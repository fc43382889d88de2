// SPDX-License-Identifier: Apache-2.0
#include "library_call.hpp"

#include <algorithm>
#include <cstring>

namespace hso::emulated {

namespace {

void overwrite(const Operand& workspace, std::int64_t bytes) {
  const std::int64_t count = std::min(workspace.column_bytes, bytes);
  if (count > 0) std::memset(const_cast<void*>(workspace.data), 0xFF, static_cast<std::size_t>(count));
}

// What runs counts, in graphs too.
void count(const LibraryCall& call) {
  ++book().names[call.name];
  book().flops += call.flops;
  book().library_bytes += operand_bytes(call.operands);
}

}  // namespace

void queue_call(cudaStream_t stream, int device, LibraryCall call, std::int64_t rubbish) {
  if (device != current_device()) violation(call.name + ": the current device is not that of the handle");
  std::vector<Operand> touched = call.operands;
  touched.push_back(call.workspace);
  require_operands(call.name, device, touched);
  if (!is_capturing(stream)) ++book().library_calls;
  const std::string name = call.name;
  const auto run = [call = std::move(call), touched = std::move(touched), rubbish] {
    const Open open;
    require_live(call.name, touched);
    overwrite(call.workspace, rubbish);
    call.run();
    count(call);
  };
  enqueue(stream, {Item::Kind::library, name, run});
}

}  // namespace hso::emulated
