// See models/complexity.cpp: without it, the header hides an operation's inputs.
#ifndef NDEBUG
#define NDEBUG
#endif

#include "xception/bench/operators.h"

#include <ATen/record_function.h>

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace xception {
namespace {

/// The count that is going on; operators come from several threads.
struct Counting {
  std::mutex mutex;
  OperatorCount count;
};
Counting* counting = nullptr;

/// An operator that has begun.
struct Running : at::ObserverContext {
  Running* caller = nullptr;
  std::int64_t read = 0;
  std::int64_t written = 0;
  OperatorCount called = {};  ///< the operators that it called
  std::vector<bool> fresh;    ///< of its results: whether each is a new tensor
};
thread_local Running* innermost = nullptr;

std::int64_t bytes_of(const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.layout() != at::kStrided) return 0;
  std::int64_t elements = 1;
  for (std::int64_t i = 0; i < tensor.dim(); ++i) {
    if (tensor.stride(i) != 0 || tensor.size(i) == 0) elements *= tensor.size(i);
  }
  return elements * static_cast<std::int64_t>(tensor.element_size());
}

/// Of a tensor, a list of tensors or a list of optional ones.
std::int64_t bytes_of(const c10::IValue& value) {
  if (value.isTensor()) return bytes_of(value.toTensor());
  std::int64_t bytes = 0;
  if (value.isTensorList()) {
    for (const auto& tensor : value.toTensorVector()) bytes += bytes_of(tensor);
  } else if (value.isList()) {
    for (const auto& item : value.toListRef()) {
      if (item.isTensor()) bytes += bytes_of(item.toTensor());
    }
  }
  return bytes;
}

/// Makes room, without touching an element.
bool allocates(std::string_view name) {
  for (const std::string_view start : {"aten::empty", "aten::new_empty", "aten::resize",
                                       "aten::set_", "aten::_reshape_alias", "aten::result_type"}) {
    if (name.starts_with(start)) return true;
  }
  return false;
}

/// Overwrites its first argument without reading it.
bool overwrites(std::string_view name) {
  for (const std::string_view whole :
       {"aten::copy_", "aten::fill_", "aten::zero_", "aten::uniform_", "aten::normal_",
        "aten::random_", "aten::bernoulli_"}) {
    if (name == whole) return true;
  }
  return false;
}

void add(OperatorCount& sum, const OperatorCount& count) {
  sum.operators += count.operators;
  sum.read_bytes += count.read_bytes;
  sum.written_bytes += count.written_bytes;
}

void note_operands(Running& running, const at::RecordFunction& function) {
  const auto schema = function.operator_schema();
  if (!schema || allocates(function.name())) return;
  const auto inputs = function.inputs();
  const auto& arguments = schema->arguments();
  for (std::size_t i = 0; i < inputs.size() && i < arguments.size(); ++i) {
    const auto* alias = arguments[i].alias_info();
    const bool changed = alias != nullptr && alias->isWrite();
    const auto bytes = bytes_of(inputs[i]);
    if (changed) running.written += bytes;
    if (!changed || !(arguments[i].is_out() || overwrites(function.name()))) running.read += bytes;
  }
  for (const auto& result : schema->returns()) {
    running.fresh.push_back(result.alias_info() == nullptr);
  }
}

std::unique_ptr<at::ObserverContext> start_operator(const at::RecordFunction& function) {
  auto running = std::make_unique<Running>();
  running->caller = innermost;
  innermost = running.get();
  note_operands(*running, function);
  return running;
}

void end_operator(const at::RecordFunction& function, at::ObserverContext* context) {
  auto* running = dynamic_cast<Running*>(context);
  if (running == nullptr) return;
  innermost = running->caller;
  const auto& results = function.outputs();
  for (std::size_t i = 0; i < results.size() && i < running->fresh.size(); ++i) {
    if (running->fresh[i]) running->written += bytes_of(results[i]);
  }
  // What writes nothing and isn't built of others is a view, or asks for a property.
  const auto& called = running->called;
  if (running->written == 0 && called.operators == 0) return;
  const bool itself = running->read + running->written >= called.bytes();
  const OperatorCount count = itself ? OperatorCount{.operators = 1,
                                                     .read_bytes = running->read,
                                                     .written_bytes = running->written}
                                     : called;
  if (running->caller != nullptr) {
    add(running->caller->called, count);
    return;
  }
  const std::lock_guard lock(counting->mutex);
  add(counting->count, count);
}

}  // namespace

OperatorCount count_operators(const std::function<void()>& work) {
  Counting here;
  counting = &here;
  // Of all threads: on a GPU the backward pass has its own.
  const auto handle = at::addGlobalCallback(at::RecordFunctionCallback(start_operator, end_operator)
                                                .needsInputs(true)
                                                .needsOutputs(true)
                                                .scopes({at::RecordScope::FUNCTION}));
  struct End {
    at::CallbackHandle handle;
    ~End() { at::removeCallback(handle); }
  };
  const End end{handle};
  work();
  return here.count;
}

}  // namespace xception
