// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/core/state.hpp"

#include "hsogpu/optim/optimizer.hpp"

namespace hso {

template <class T>
RawTensors save_state(Optimizer<T>& optimizer) {
  StateWriter writer;
  optimizer.visit_state(writer, nullptr);
  return writer.take();
}

template <class T>
void load_state(Optimizer<T>& optimizer, Objective<T>& coming, const RawTensors& state, const std::string& source) {
  StateReader reader(state, source);
  optimizer.visit_state(reader, &coming);
  reader.require_all_read();
}

template RawTensors save_state(Optimizer<float>&);
template RawTensors save_state(Optimizer<double>&);
template void load_state(Optimizer<float>&, Objective<float>&, const RawTensors&, const std::string&);
template void load_state(Optimizer<double>&, Objective<double>&, const RawTensors&, const std::string&);

}  // namespace hso
